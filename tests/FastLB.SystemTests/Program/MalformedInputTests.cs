using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>What hostile or broken clients send over a real socket: each gets its status, and no worker hears of it.</summary>
public abstract class MalformedInputTests(DemoFleet demo)
{
    public static TheoryData<string, string, int> Malformed => new()
    {
        { "two different lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400 },
        { "length and encoding", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "encoding that does not end in chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", 400 },
        { "unknown encoding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: rot13, chunked\r\n\r\n0\r\n\r\n", 501 },
        { "chunked twice", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400 },
        { "encoding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 },
        { "negative length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400 },
        { "length with a sign", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400 },
        { "length beyond 64 bits", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400 },
        { "white space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400 },
        { "folded header", "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400 },
        { "bare line feed", "GET / HTTP/1.1\nHost: a\n\n", 400 },
        { "bare line feed between headers", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400 },
        { "bare carriage return", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400 },
        { "NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400 },
        { "control byte in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\u0001: b\r\n\r\n", 400 },
        { "no Host", "GET / HTTP/1.1\r\n\r\n", 400 },
        { "two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
        { "Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400 },
        { "two spaces in the request line", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "no version", "GET /\r\n\r\n", 400 },
        { "another major version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
        { "the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
        { "raw UTF-8 in the target", "GET /ü HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
        { "a TLS hello", "\u0016\u0003\u0001\u0002\0\u0001\0\u0001\u00fc\u0003\u0003", 400 },
        { "CONNECT", "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 405 },
        { "unknown expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nContent-Length: 1\r\n\r\n", 417 },
        { "HTTP/1.0 POST without a length", "POST / HTTP/1.0\r\nHost: a\r\n\r\nabc", 411 },
        { "a target over its limit", $"GET /{new string('a', 9000)} HTTP/1.1\r\nHost: a\r\n\r\n", 414 },
        { "a head over its limit", $"GET / HTTP/1.1\r\nHost: a\r\nX: {new string('a', 40_000)}\r\n\r\n", 431 },
        { "too many headers", $"GET / HTTP/1.1\r\nHost: a\r\n{string.Concat(Enumerable.Range(0, 200).Select(i => $"X{i}: b\r\n"))}\r\n", 431 },
        { "a chunk size with a sign", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", 400 },
        { "a chunk size that overflows", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400 },
        { "a bare line feed in a chunk extension", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\na\r\n0\r\n\r\n", 400 },
    };

    [Theory]
    [MemberData(nameof(Malformed))]
    public async Task A_malformed_request_gets_its_status_and_reaches_no_worker(string what, string bytes, int status)
    {
        var before = await demo.RequestsAtWorkers();
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send(Encoding.UTF8.GetBytes(bytes));
        var answer = await client.Read();
        Assert.True(answer.Status == status, $"{what}: {answer.Status} {answer.Text}");
        Assert.StartsWith($"{status} ", answer.Text, StringComparison.Ordinal);
        Assert.Equal("close", answer.Headers["connection"]);
        Assert.Equal(before, await demo.RequestsAtWorkers());
    }

    [Fact]
    public async Task A_well_formed_request_is_answered()
    {
        var before = await demo.RequestsAtWorkers();
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        Assert.Equal(200, (await client.Get("/healthz")).Status);
        Assert.Equal(before + 1, await demo.RequestsAtWorkers());
    }

    [Fact]
    public async Task A_head_that_does_not_end_in_time_gets_408()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ");
        Assert.Equal(408, (await client.Read()).Status);
    }

    [Fact]
    public async Task A_request_over_the_body_limit_gets_413()
    {
        using var client = await RawClient.Connect(demo.FastLb.Endpoint);
        await client.Send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000000\r\n\r\n");
        Assert.Equal(413, (await client.Read()).Status);
    }

    [Fact]
    public async Task Random_and_mutated_bytes_crash_nothing_and_leak_no_descriptor()
    {
        var descriptors = demo.FastLb.OpenDescriptors();
        var seed = Environment.TickCount;
        var seconds = int.TryParse(Environment.GetEnvironmentVariable("FASTLB_FUZZ_SECONDS"), out var asked) ? asked : 8;
        var end = Environment.TickCount64 + (seconds * 1000L);
        var answered = 0;
        await Task.WhenAll(Enumerable.Range(0, 64).Select(async i =>
        {
            var random = new Random(seed + i);
            while (Environment.TickCount64 < end)
            {
                using var client = await RawClient.Connect(demo.FastLb.Endpoint);
                try
                {
                    await client.Send(HostileBytes.Next(random));
                    if (random.Next(2) == 0)
                    {
                        client.EndSending();
                        Interlocked.Add(ref answered, (await client.ReadToEnd())?.Length > 0 ? 1 : 0);
                    }
                }
                catch (System.Net.Sockets.SocketException)
                {
                    // FastLB closed first, which is its good right.
                }
            }
        }));
        Assert.True(answered > 0, $"nothing was ever answered (seed {seed})");
        Assert.False(demo.FastLb.Program.HasExited, $"fastlb ended (seed {seed}):\n{demo.FastLb.Program.Errors}");
        await Eventually.True(
            async () => (long)(await demo.FastLb.Status())["totals"]!["connectionsOpen"]! == 0, $"all connections are closed (seed {seed})");

        // Pooled connections to the workers stay open for some seconds; they are not the clients'.
        await Eventually.True(() => demo.FastLb.OpenDescriptors() <= descriptors + 4, $"the descriptors are back (seed {seed})");
        using var control = await RawClient.Connect(demo.FastLb.Endpoint);
        Assert.Equal(200, (await control.Get("/healthz")).Status);
    }
}
