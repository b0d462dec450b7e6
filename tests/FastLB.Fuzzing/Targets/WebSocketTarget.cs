using System.Buffers.Binary;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Fuzzing.References;

namespace FastLB.Fuzzing.Targets;

/// <summary>Frames in a row. The first byte says from which side they come.</summary>
internal sealed class WebSocketTarget : FuzzTarget
{
    public override string Name => "web-socket";

    public override int MaxBytes => 70_000;

    public override IReadOnlyList<byte[]> Fragments { get; } =
    [
        [0x81, 0x00], [0x81, 0x80, 0, 0, 0, 0], [0x88, 0x02, 3, 0xE9], [0x88, 0x82, 1, 2, 3, 4, 2, 0xEB], [0x89, 0x00], [0x8A, 0x7D], [0x82, 0x7E, 0, 126], [0x82, 0x7E, 0, 125],
        [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], [0x82, 0x7F, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], [0x82, 0x7F, 0x80, 0, 0, 0, 0, 0, 0, 0], [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x03], [0x0B], [0xF1],
    ];

    public override byte[] Generate(RandomSource chance)
    {
        var isFromClient = chance.Chance(0.5);
        var wire = new List<byte> { isFromClient ? (byte)1 : (byte)0 };
        for (var count = 1 + chance.Next(5); count > 0; count--)
        {
            byte[] opcodes = [0, 1, 2, 8, 9, 10];
            var opcode = opcodes[chance.Next(opcodes.Length)];
            var length = opcode >= 8 ? chance.Next(126) : chance.Chance(0.02) ? 65_530 + chance.Next(12) : chance.Chance(0.2) ? 120 + chance.Next(12) : chance.Next(30);
            var form = length < 126 ? length : length < 65_536 ? 126 : 127;
            wire.Add((byte)(opcode | (opcode >= 8 || chance.Chance(0.6) ? 0x80 : 0) | (chance.Chance(0.1) ? chance.Next(8) << 4 : 0)));
            wire.Add((byte)(form | (isFromClient ? 0x80 : 0)));
            var number = new byte[8];
            BinaryPrimitives.WriteInt64BigEndian(number, length);
            wire.AddRange(form == 127 ? number : form == 126 ? number[6..] : []);
            wire.AddRange(Enumerable.Range(0, length + (isFromClient ? 4 : 0)).Select(_ => (byte)chance.Next(256)));
        }

        return [.. wire];
    }

    public override ulong Run(byte[] input)
    {
        if (input.Length == 0)
        {
            return 0;
        }

        var isFromClient = (input[0] & 1) != 0;
        var bytes = input[1..];
        var expected = WebSocketReference.Read(bytes, isFromClient);
        var ends = Scan(bytes, [], isFromClient, out var scanner);
        Agree(string.Join(' ', expected.Ends), string.Join(' ', ends), "the frames' ends");
        Agree((expected.Status, expected.Messages, expected.HasClosed), (scanner.Status, (int)scanner.Messages, scanner.HasClosed), "status, messages, closed");
        var cutEnds = Scan(bytes, CutsOf(bytes), isFromClient, out var cut);
        Agree(string.Join(' ', ends), string.Join(' ', cutEnds), "the frames' ends in pieces");
        Agree((scanner.Status, scanner.Messages, scanner.HasClosed), (cut.Status, cut.Messages, cut.HasClosed), "status, messages, closed in pieces");
        Accepted += scanner.Status == ParseStatus.Done ? 1 : 0;
        if (scanner.Status == ParseStatus.Done)
        {
            CheckGoodbye(bytes, isFromClient, expected);
        }

        return Signal.Of((long)scanner.Status, ends.Count > 4 ? 4 : ends.Count, scanner.HasClosed ? 1 : 0, scanner.Messages > 3 ? 3 : scanner.Messages, bytes.Length > 0 ? bytes[0] & 0x8F : 0, bytes.Length > 1 ? Signal.Bucket(bytes[1] & 0x7F) : 0, Signal.Bucket(bytes.Length));
    }

    /// <summary>Between two frames a close frame of ours may be put in, and is one.</summary>
    private static void CheckGoodbye(byte[] bytes, bool isFromClient, WebSocketReference.Verdict before)
    {
        var frame = new byte[WebSocketClose.MaxBytes];
        var length = isFromClient ? WebSocketClose.WriteMasked(WebSocketClose.GoingAway, (uint)Signal.Of(bytes), frame) : WebSocketClose.Write(WebSocketClose.GoingAway, frame);
        var after = WebSocketReference.Read([.. bytes, .. frame[..length]], isFromClient);
        Agree((ParseStatus.Done, true, before.Ends.Count + 1), (after.Status, after.HasClosed, after.Ends.Count), "a goodbye behind them");
        var payload = frame[(length - 2)..length];
        for (var i = 0; i < 2 && isFromClient; i++)
        {
            payload[i] ^= frame[2 + i];
        }

        Agree(WebSocketClose.GoingAway, BinaryPrimitives.ReadUInt16BigEndian(payload), "the code of the goodbye");
    }

    private static List<int> Scan(byte[] bytes, int[] cuts, bool isFromClient, out WebSocketScanner scanner)
    {
        scanner = new WebSocketScanner(isFromClient);
        var ends = new List<int>();
        var position = 0;
        foreach (var come in cuts.Append(bytes.Length))
        {
            while (position < come)
            {
                var taken = scanner.Advance(bytes.AsSpan(position, come - position));
                Require(taken > 0 && taken <= come - position, $"it took {taken} of {come - position} bytes");
                position += taken;
                if (scanner.Status == ParseStatus.Done)
                {
                    ends.Add(position);
                }
            }
        }

        return ends;
    }
}
