using System.Globalization;
using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Proxy;

/// <summary>A body comes out with the content that it came in with, however it is cut into receives and framed anew.</summary>
public class BodyRelayTests
{
    private const string Next = "GET /next HTTP/1.1\r\n\r\n";

    [Fact]
    public void A_chunked_body_framed_anew_holds_the_same_data_however_it_arrives() => Prop.ForAll<byte[], ulong>((data, seed) =>
    {
        var chance = new RandomSource(seed);
        var body = Encoding.Latin1.GetString(data);
        var wire = Chunk(body, chance);
        Assert.Equal(body, Unchunk(Pass(BodyKind.Chunked, wire, true, chance)));
        Assert.Equal(body, Pass(BodyKind.Chunked, wire, false, chance));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_body_with_a_length_passes_as_it_is_and_stops_at_its_length() => Prop.ForAll<byte[], ulong>((data, seed) =>
    {
        var body = Encoding.Latin1.GetString(data);
        Assert.Equal(body, Pass(BodyKind.Length, body, false, new RandomSource(seed)));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void A_chunked_body_is_framed_right_at_every_split_into_two()
    {
        const string Wire = "5;a=b\r\nhello\r\n1\r\n \r\n0006\r\nworld!\r\n0\r\nX-Trailer: y\r\n\r\n";
        for (var split = 1; split < Wire.Length; split++)
        {
            var relay = new BodyRelay(new BodyFraming(BodyKind.Chunked, 0), sendsChunks: true);
            var sent = Take(ref relay, Wire[..split], out _) + Take(ref relay, Wire[split..] + Next, out var rest);
            Assert.True(relay.IsComplete);
            Assert.Equal("hello world!", Unchunk(sent));
            Assert.Equal(Next, rest);
        }
    }

    [Fact]
    public void A_full_buffer_is_framed_in_the_room_around_its_data()
    {
        foreach (var length in new[] { 1, 15, 16, 255, 256, 4_095, 65_535, BufferPool.LargeCapacity })
        {
            var relay = new BodyRelay(new BodyFraming(BodyKind.UntilClose, 0), sendsChunks: true);
            var body = new string('x', length);
            Assert.Equal($"{length:x}\r\n{body}\r\n", Take(ref relay, body, out _));
            Assert.False(relay.IsComplete);
            relay.EndWithConnection();
            Assert.True(relay.IsComplete && relay.NeedsLastChunk);
        }
    }

    [Fact]
    public void A_body_over_its_limit_is_refused_and_one_at_its_limit_is_not()
    {
        foreach (var (limit, refusal) in new[] { (10, Refusal.None), (9, Refusal.BodyTooLarge) })
        {
            var relay = new BodyRelay(new BodyFraming(BodyKind.Chunked, 0), sendsChunks: true, limit);
            var pool = new BufferPool();
            var buffer = pool.TryRent(BufferPool.LargeCapacity)!;
            var bytes = "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n"u8;
            bytes.CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
            var result = relay.Take(buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + bytes.Length, out var got);
            Assert.Equal(refusal, got);
            Assert.Equal(refusal == Refusal.None ? RelayStatus.Complete : RelayStatus.Invalid, result.Status);
        }
    }

    /// <summary>Sends a body through in random receives, with the next message behind it, and answers what goes out.</summary>
    private static string Pass(BodyKind kind, string wire, bool sendsChunks, RandomSource chance)
    {
        var relay = new BodyRelay(new BodyFraming(kind, kind == BodyKind.Length ? wire.Length : 0), sendsChunks);
        var sent = new StringBuilder();
        var all = wire + Next;
        var position = 0;
        while (!relay.IsComplete)
        {
            var count = Math.Min(all.Length - position, 1 + chance.Next(chance.Next(2) == 0 ? 3 : 40));
            sent.Append(Take(ref relay, all.Substring(position, count), out var rest));
            position += count;
            if (relay.IsComplete)
            {
                Assert.Equal(Next, rest + all[position..]);
            }
        }

        return sent.ToString();
    }

    /// <summary>One receive: what is to be sent of it, and what does not belong to the body and has to be untouched.</summary>
    private static string Take(ref BodyRelay relay, string received, out string rest)
    {
        var pool = new BufferPool();
        var buffer = pool.TryRent(BufferPool.LargeCapacity)!;
        buffer.Memory.AsSpan().Fill((byte)'#');
        var bytes = Encoding.Latin1.GetBytes(received);
        bytes.CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
        var end = LoopBuffer.DataOffset + bytes.Length;
        var result = relay.Take(buffer, LoopBuffer.DataOffset, end, out var refusal);
        Assert.Equal(Refusal.None, refusal);
        Assert.Equal(relay.IsComplete, result.Status == RelayStatus.Complete);
        rest = Encoding.Latin1.GetString(buffer.Span(result.Consumed, end));
        return Encoding.Latin1.GetString(buffer.Span(result.SendStart, result.SendEnd));
    }

    private static string Chunk(string body, RandomSource chance)
    {
        var wire = new StringBuilder();
        for (var position = 0; position < body.Length;)
        {
            var size = Math.Min(body.Length - position, 1 + chance.Next(20));
            wire.Append(CultureInfo.InvariantCulture, $"{size:x}{(chance.Next(4) == 0 ? ";x=y" : "")}\r\n{body.AsSpan(position, size)}\r\n");
            position += size;
        }

        return wire.Append(chance.Next(3) == 0 ? "0\r\nT: u\r\n\r\n" : "0\r\n\r\n").ToString();
    }

    private static string Unchunk(string wire)
    {
        var body = new StringBuilder();
        while (true)
        {
            var line = wire.IndexOf("\r\n", StringComparison.Ordinal);
            var size = int.Parse(wire.AsSpan(0, line), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
            if (size == 0)
            {
                Assert.Equal("0\r\n\r\n", wire);
                return body.ToString();
            }

            body.Append(wire, line + 2, size);
            Assert.Equal("\r\n", wire.Substring(line + 2 + size, 2));
            wire = wire[(line + 4 + size)..];
        }
    }
}
