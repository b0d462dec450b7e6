using System.Runtime.CompilerServices;
using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Microbenchmarks;

namespace FastLB.Tests.Http;

/// <summary>What the golden cases cannot show: what the parsers do not do.</summary>
public class ParserTests
{
    [Fact]
    public void A_call_without_a_new_line_end_looks_only_at_new_bytes()
    {
        var head = new MessageHead();
        var bytes = Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: a\r\nX: yz");
        Assert.Equal(ParseStatus.Partial, RequestParser.Parse(bytes.AsSpan(0, 20), 0, HttpLimits.Default, head, out _));

        // Damage to what was seen shows only when it is read again, which the next line end makes necessary.
        bytes[0] = 0;
        Assert.Equal(ParseStatus.Partial, RequestParser.Parse(bytes, 26, HttpLimits.Default, head, out _));
        Assert.Equal(ParseStatus.Invalid, RequestParser.Parse(bytes, 20, HttpLimits.Default, head, out _));
    }

    [Fact]
    public void A_response_call_without_a_new_line_end_looks_only_at_new_bytes()
    {
        var head = new MessageHead();
        var bytes = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nHost: a\r\nX: yz");
        Assert.Equal(ParseStatus.Partial, ResponseParser.Parse(bytes.AsSpan(0, 20), 0, HttpLimits.Default, head, out _));
        bytes[0] = 0;
        Assert.Equal(ParseStatus.Partial, ResponseParser.Parse(bytes, 27, HttpLimits.Default, head, out _));
        Assert.Equal(ParseStatus.Invalid, ResponseParser.Parse(bytes, 20, HttpLimits.Default, head, out _));
    }

    [Fact]
    public void A_head_that_is_used_again_keeps_nothing_of_the_message_before()
    {
        var head = new MessageHead();
        Assert.Equal(ParseStatus.Done, Parse("POST / HTTP/1.0\r\nHost: a\r\nHost: b\r\nContent-Length: 5\r\n\r\n", head));
        Assert.True(head.Repeats(HeaderId.Host));
        Assert.Equal(ParseStatus.Done, Parse("BREW /tea HTTP/1.1\r\nX: y\r\nHost: c\r\n\r\n", head));
        Assert.Equal(2, head.HeaderCount);
        Assert.Equal(RequestMethod.Other, head.Method);
        Assert.Equal(HttpVersion.Http11, head.Version);
        Assert.False(head.Has(HeaderId.ContentLength));
        Assert.False(head.Repeats(HeaderId.Host));
        Assert.Equal(head.Headers[1], head.First(HeaderId.Host));
    }

    [Fact]
    public void Asking_for_a_header_that_does_not_occur_is_a_mistake_of_ours()
    {
        var head = new MessageHead();
        Assert.Equal(ParseStatus.Done, Parse("GET / HTTP/1.1\r\nHost: a\r\n\r\n", head));
        Assert.Throws<InvariantViolatedException>(() => head.First(HeaderId.Cookie).Id);
    }

    [Fact]
    public void A_chunked_body_that_is_over_is_not_read_on()
    {
        var reader = default(ChunkedReader);
        Assert.Equal(ChunkStep.End, reader.Next("0\r\n\r\n"u8, out _, out _, out _, out _));
        Assert.Throws<InvariantViolatedException>(() => reader.Next("0\r\n\r\n"u8, out _, out _, out _, out _));
        Assert.Equal(ChunkStep.NeedMore, default(ChunkedReader).Next([], out _, out _, out _, out _));
    }

    [Fact]
    public void A_chunked_reader_takes_at_most_24_bytes_of_a_connection() =>
        Assert.InRange(Unsafe.SizeOf<ChunkedReader>(), 1, 24);

    [Fact]
    public void A_limit_that_offsets_cannot_express_is_a_mistake_of_ours() =>
        Assert.Throws<InvariantViolatedException>(() =>
            RequestParser.Parse("G"u8, 0, HttpLimits.Default with { HeadBytes = MessageHead.MaxBytes + 1 }, new MessageHead(), out _));

    [Fact]
    public void Parsing_and_rules_allocate_nothing()
    {
        var messages = Sample.All.Where(sample => sample.Kind != "chunks" && sample.Bytes.Length < 5000).ToArray();
        var bodies = Sample.All.Where(sample => sample.Kind == "chunks").ToArray();
        var head = new MessageHead();
        var read = ReadAll(messages, bodies, head);
        Assert.True(read > 0);

        // The runtime may allocate once when it compiles hot code anew; what the parser allocates, it does in every round.
        var allocated = -1L;
        for (var attempt = 0; attempt < 5 && allocated != 0; attempt++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var round = 0; round < 10; round++)
            {
                read = ReadAll(messages, bodies, head);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Assert.Equal(0, allocated);
    }

    [Fact]
    public void The_benchmarks_read_their_messages_to_the_end()
    {
        var requests = new RequestParserBenchmarks();
        Assert.Equal(SampleMessages.WrkRequest.Length, requests.WrkRequest());
        Assert.Equal(SampleMessages.BrowserRequest.Length, requests.BrowserRequest());
        var rules = new RequestRulesBenchmarks();
        Assert.Equal("127.0.0.1:8000".Length, rules.WrkRequest());
        Assert.Equal("shop.example.com".Length, rules.BrowserRequest());
        var responses = new ResponseParserBenchmarks();
        Assert.Equal(SampleMessages.NodeResponse.Length, responses.NodeResponse());
        Assert.Equal(128, responses.NodeResponseWithRules());
        Assert.Equal(SampleMessages.BrowserRequest.Length, new TrickledRequestBenchmarks { PieceBytes = 7 }.BrowserRequest());
        var chunks = new ChunkedReaderBenchmarks { ChunkBytes = 1024 };
        chunks.Setup();
        Assert.Equal(64 * 1024, chunks.Read());
    }

    private static ParseStatus Parse(string text, MessageHead head) =>
        RequestParser.Parse(Encoding.ASCII.GetBytes(text), 0, HttpLimits.Default, head, out _);

    /// <summary>Reads everything, accepted and refused, and counts what was accepted.</summary>
    private static int ReadAll(Sample[] messages, Sample[] bodies, MessageHead head)
    {
        var accepted = 0;
        foreach (var sample in messages)
        {
            ReadOnlySpan<byte> bytes = sample.Bytes;
            if (sample.Kind == "request")
            {
                if (RequestParser.Parse(bytes, 0, sample.Limits, head, out _) == ParseStatus.Done
                    && RequestRules.Check(bytes, head, sample.Limits, out var facts) == Refusal.None)
                {
                    accepted += facts.Connection.Names(bytes, "X-A"u8) ? 2 : 1;
                }
            }
            else if (ResponseParser.Parse(bytes, 0, sample.Limits, head, out _) == ParseStatus.Done
                && ResponseRules.Check(bytes, head, sample.AnswerTo, out _) == Refusal.None)
            {
                accepted++;
            }
        }

        foreach (var sample in bodies)
        {
            var reader = default(ChunkedReader);
            ReadOnlySpan<byte> rest = sample.Bytes;
            ChunkStep step;
            do
            {
                step = reader.Next(rest, out var consumed, out _, out _, out _);
                rest = rest[consumed..];
            }
            while (step == ChunkStep.Data);
            accepted += step == ChunkStep.End ? 1 : 0;
        }

        return accepted;
    }
}
