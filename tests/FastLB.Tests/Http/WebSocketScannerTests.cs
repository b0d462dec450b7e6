using FastLB.Core.Http;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Http;

/// <summary>The frames' ends, however a stream is cut into pieces.</summary>
public sealed class WebSocketScannerTests
{
    private static readonly int[] s_lengths = [0, 1, 2, 124, 125, 126, 127, 128, 65_535, 65_536, 65_537];

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Every_frame_ends_where_it_ends_wherever_it_is_cut(bool isFromClient)
    {
        foreach (var length in s_lengths)
        {
            var frame = WebSocketFrames.Make(0x82, new byte[length], isFromClient);
            byte[] stream = [.. frame, .. frame];
            for (var cut = 0; cut <= Math.Min(stream.Length, 300); cut++)
            {
                var scanner = new WebSocketScanner(isFromClient);
                Assert.Equal([frame.Length, stream.Length], EndsOf(ref scanner, stream, [cut]));
                Assert.Equal((ParseStatus.Done, 2), (scanner.Status, scanner.Messages));
            }
        }
    }

    [Fact]
    public void Any_frames_in_any_pieces_end_where_they_were_made_to_end()
    {
        var frame = from opcode in Gen.Elements<byte>(0, 1, 2, 8, 9, 10)
                    from fin in Gen.Elements<byte>(0, 0x80)
                    from reserved in Gen.Elements<byte>(0, 0x40, 0x70)
                    from length in Gen.OneOf(Gen.Choose(0, 130), Gen.Elements(s_lengths))
                    let isControl = opcode >= 8
                    select (First: (byte)(opcode | reserved | (isControl ? 0x80 : fin)), Length: isControl ? length % 126 : length);
        var cuts = Gen.Choose(0, 5_000).ArrayOf();
        Prop.ForAll(frame.ArrayOf().ToArbitrary(), cuts.ToArbitrary(), ArbMap.Default.ArbFor<bool>(), (frames, cutsAt, isFromClient) =>
        {
            var stream = new List<byte>();
            var ends = new List<int>();
            foreach (var (first, length) in frames)
            {
                stream.AddRange(WebSocketFrames.Make(first, new byte[length], isFromClient));
                ends.Add(stream.Count);
            }

            var scanner = new WebSocketScanner(isFromClient);
            Assert.Equal(ends, EndsOf(ref scanner, [.. stream], cutsAt));
            Assert.Equal(frames.Count(f => (f.First & 0x88) == 0x80), scanner.Messages);
            Assert.Equal(frames.Any(f => (f.First & 15) == 8), scanner.HasClosed);
        }).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData("a text frame", "8101 41", false, true)]
    [InlineData("with reserved bits of an extension", "C101 41", false, true)]
    [InlineData("masked by a server", "8181 00000000 41", false, false)]
    [InlineData("not masked by a client", "8101 41", true, false)]
    [InlineData("of an unknown kind", "8301 41", false, false)]
    [InlineData("of an unknown control kind", "8B00", false, false)]
    [InlineData("a ping in pieces", "0900", false, false)]
    [InlineData("a ping of 126 bytes", "897E 007E", false, false)]
    [InlineData("a length of 125 in the longer form", "827E 007D", false, false)]
    [InlineData("a length of 126 in the longer form", "827E 007E", false, true)]
    [InlineData("a length of 65535 in the longest form", "827F 000000000000FFFF", false, false)]
    [InlineData("a length of 65536 in the longest form", "827F 0000000000010000", false, true)]
    [InlineData("a length of 2^63 - 1", "827F 7FFFFFFFFFFFFFFF", false, true)]
    [InlineData("a length of 2^63", "827F 8000000000000000", false, false)]
    public void What_breaks_the_rules_is_seen(string what, string hex, bool isFromClient, bool isValid)
    {
        var bytes = Convert.FromHexString(hex.Replace(" ", "", StringComparison.Ordinal));
        var whole = new WebSocketScanner(isFromClient);
        whole.Advance(bytes);
        Assert.True(isValid == (whole.Status != ParseStatus.Invalid), what);

        var pieces = new WebSocketScanner(isFromClient);
        foreach (var one in bytes)
        {
            pieces.Advance([one]);
        }

        Assert.Equal(whole.Status, pieces.Status);
    }

    [Fact]
    public void Whatever_comes_it_ends_and_takes_no_more_than_there_is() =>
        Prop.ForAll<byte[], bool>((bytes, isFromClient) =>
        {
            var scanner = new WebSocketScanner(isFromClient);
            for (var at = 0; at < bytes.Length;)
            {
                var taken = scanner.Advance(bytes.AsSpan(at));
                Assert.InRange(taken, 1, bytes.Length - at);
                at += taken;
            }
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_close_frames_that_are_put_in_are_frames()
    {
        Span<byte> frame = stackalloc byte[WebSocketClose.MaxBytes];
        Assert.Equal("880203F4", Convert.ToHexString(frame[..WebSocketClose.Write(WebSocketClose.ServiceRestart, frame)]));
        var scanner = new WebSocketScanner(isFromClient: true);
        var length = WebSocketClose.WriteMasked(WebSocketClose.GoingAway, 0xA1B2C3D4, frame);
        Assert.Equal(length, scanner.Advance(frame[..length]));
        Assert.Equal((ParseStatus.Done, true), (scanner.Status, scanner.HasClosed));
        Assert.Equal(1001, ((frame[6] ^ frame[2]) << 8) | (frame[7] ^ frame[3]));
    }

    private static List<int> EndsOf(ref WebSocketScanner scanner, byte[] stream, int[] cuts)
    {
        var ends = new List<int>();
        var at = 0;
        foreach (var cut in cuts.Where(c => c <= stream.Length).Append(stream.Length).Order())
        {
            while (at < cut)
            {
                at += scanner.Advance(stream.AsSpan(at, cut - at));
                if (scanner.Status == ParseStatus.Done)
                {
                    ends.Add(at);
                }
            }
        }

        return ends;
    }
}
