using FastLB.Microbenchmarks;

namespace FastLB.Tests;

/// <summary>The benchmarks run small, so that they never rot, and what they measure allocates nothing once it is warm.</summary>
public sealed class BenchmarksTests
{
    public static TheoryData<string, Action> Benchmarks
    {
        get
        {
            var heads = new HeadRewriterBenchmarks();
            var forwarding = new ForwardingBenchmarks();
            var few = new PickBenchmarks { Workers = 2 };
            var many = new PickBenchmarks { Workers = 64 };
            var choices = new ChoiceBenchmarks();
            var zones = new ZoneTableBenchmarks();
            var cookies = new StickyCookieBenchmarks();
            var timers = new TimerBenchmarks();
            var histogram = new HistogramBenchmarks();
            var requests = new RequestParserBenchmarks();
            var rules = new RequestRulesBenchmarks();
            var responses = new ResponseParserBenchmarks();
            var pieces = new TrickledRequestBenchmarks { PieceBytes = 16 };
            var chunks = new ChunkedReaderBenchmarks { ChunkBytes = 1024 };
            chunks.Setup();
            var breakers = new BreakerBenchmarks();
            var clients = new ClientLimitBenchmarks();
            var waiting = new WaitingBenchmarks();
            var recording = new RecordingBenchmarks();
            var frames = new WebSocketBenchmarks();

            // Assert.Equal allocates, so these do without it.
            return new TheoryData<string, Action>
            {
                { "a wrk request is parsed", () => Assert.True(requests.WrkRequest() == SampleMessages.WrkRequest.Length) },
                { "a browser request is parsed", () => Assert.True(requests.BrowserRequest() == SampleMessages.BrowserRequest.Length) },
                { "a wrk request is checked", () => Assert.True(rules.WrkRequest() > 0) },
                { "a browser request is checked", () => Assert.True(rules.BrowserRequest() > 0) },
                { "a Node response is parsed", () => Assert.True(responses.NodeResponse() == SampleMessages.NodeResponse.Length) },
                { "a Node response is checked", () => Assert.True(responses.NodeResponseWithRules() == 128) },
                { "a request in pieces is parsed", () => Assert.True(pieces.BrowserRequest() == SampleMessages.BrowserRequest.Length) },
                { "64 KB in chunks are read", () => Assert.True(chunks.Read() == 64 * 1024) },
                { "a wrk request's head is rewritten", () => Assert.True(heads.WrkRequest() > 0) },
                { "a browser request's head is rewritten", () => Assert.True(heads.BrowserRequestWithStickyCookieStripped() > 0) },
                { "a Node response's head is rewritten", () => Assert.True(heads.NodeResponse() > 0) },
                { "a request's client behind proxies", () => Assert.True(forwarding.Client()) },
                { "the lines of a request that was forwarded", () => Assert.True(forwarding.Lines() > 200) },
                { "a PROXY header of version 1", () => Assert.True(forwarding.HeaderOfVersion1() == 46) },
                { "a PROXY header of version 2", () => Assert.True(forwarding.HeaderOfVersion2() == 28) },
                { "round robin among two", () => Assert.True(few.RoundRobin() is 0 or 1) },
                { "two choices among 64", () => Assert.True(many.TwoChoices() is >= 0 and < 64) },
                { "weighted round robin among 64", () => Assert.True(many.WeightedRoundRobin() is >= 0 and < 64) },
                { "a random one of 64", () => Assert.True(many.Random() is >= 0 and < 64) },
                { "least connections among 64", () => Assert.True(many.LeastConnections() is >= 0 and < 64) },
                { "response time among 64, measured", () => Assert.True(many.ResponseTime() is >= 0 and < 64) },
                { "response time among two, measured", () => Assert.True(few.ResponseTime() is 0 or 1) },
                { "consistent hash among 64", () => Assert.True(many.ConsistentHash() is >= 0 and < 64) },
                { "a worker of the zone", () => Assert.True(many.Zone() is >= 0 and < 64) },
                { "the automatic choice among 64", () => Assert.True(many.Auto() is >= 0 and < 64) },
                { "two choices alone", () => Assert.True(choices.TwoChoices() is >= 0 and < 64) },
                { "response time alone", () => Assert.True(choices.ResponseTime() is >= 0 and < 64) },
                { "consistent hash alone", () => Assert.True(choices.ConsistentHash() is >= 0 and < 64) },
                { "the zone of an IPv4 client", () => Assert.True(zones.IPv4() is 0 or -1) },
                { "the zone of an IPv6 client", () => Assert.True(zones.IPv6() is 1 or -1) },
                { "our own cookie", () => Assert.True(cookies.Own()) },
                { "a forged cookie", () => Assert.False(cookies.Forged()) },
                { "one of a hundred routes", () => Assert.True(s_routes.Last() == 99) },
                { "none of a hundred routes", () => Assert.True(s_routes.Miss() == -1) },
                { "the route of a path that can be read in several ways", () => Assert.True(s_routes.OddPath() == 99) },
                { "a route by a regular expression", () => Assert.True(s_routes.RegularExpression() == 0) },
                { "a deadline pushed back", timers.PushBack },
                { "a deadline armed and cancelled", timers.ArmAndCancel },
                { "a deadline reached", () => Assert.True(timers.ArmAndReach() > 0) },
                { "a turn of the loop with nothing to do", s_turns.NothingToDo },
                { "a byte received and sent", () => Assert.True(s_turns.EchoOneByte() == 42) },
                { "a duration recorded", histogram.Record },
                { "a buffer rented and released", () => Assert.True(s_buffers.RentAndRelease()) },
                { "a closed breaker asked", () => Assert.True(breakers.MayPass()) },
                { "an open breaker asked", () => Assert.False(breakers.MayPassOpen()) },
                { "a request through a breaker", () => Assert.True(breakers.PassAndSucceed()) },
                { "a client's request within its rate", () => Assert.True(clients.Allowed()) },
                { "a client's request above its rate", () => Assert.False(clients.Refused()) },
                { "a client that pushes out another", () => Assert.True(clients.NewClient()) },
                { "a client's connection counted", () => Assert.True(clients.EnterAndExit()) },
                { "a place in a bulkhead", () => Assert.True(waiting.EnterAndExitLimit()) },
                { "a line of the access log", () => Assert.True(recording.KeepAndWrite()) },
                { "a hundred small frames", () => Assert.True(frames.HundredSmall() == 100) },
                { "a large frame", () => Assert.True(frames.OneLarge() == 1) },
                { "a place in the line", () => Assert.True(waiting.EnterAndLeaveLine()) },
            };
        }
    }

    private static readonly RouteBenchmarks s_routes = new();
    private static readonly BufferBenchmarks s_buffers = new();
    private static readonly LoopTurnBenchmarks s_turns = new();

    [Theory]
    [MemberData(nameof(Benchmarks))]
    public void A_benchmark_runs_and_allocates_nothing(string what, Action benchmark) =>
        Assert.True(AllocatesNothingOnceWarm(benchmark, out var lastBytes), $"{what} still allocates when it is warm: {lastBytes} bytes in {RoundCalls} calls");

    [Fact]
    public void A_benchmark_that_allocates_now_and_then_is_seen()
    {
        object? kept = null;
        var calls = 0;
        Assert.False(AllocatesNothingOnceWarm(() => kept = ++calls % 500 == 0 ? new object() : kept, out _));
        GC.KeepAlive(kept);
    }

    private const int RoundCalls = 1_000;

    /// <summary>
    /// Whether three rounds in a row allocate nothing.
    /// The first rounds may: the runtime compiles what proves hot a second time without optimizing it, to learn about it, and such code boxes.
    /// When that happens is the runtime's affair, so a round that allocated is followed by others, at most a hundred.
    /// </summary>
    private static bool AllocatesNothingOnceWarm(Action benchmark, out long lastBytes)
    {
        var quietRounds = 0;
        lastBytes = 0;
        for (var round = 0; round < 100 && quietRounds < 3; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < RoundCalls; i++)
            {
                benchmark();
            }

            var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
            quietRounds = bytes == 0 ? quietRounds + 1 : 0;
            lastBytes = bytes == 0 ? lastBytes : bytes;
        }

        return quietRounds == 3;
    }

    [Fact]
    public void A_table_of_keys_is_built() => Assert.True(new MaglevTableBenchmarks { Workers = 64 }.Build() > 64);

    [Fact]
    public void Histograms_of_several_loops_are_read_as_one() => Assert.InRange(new HistogramReadingBenchmarks().MergeAndRead(), 4 * 50_000, 4 * 100_000);

    [Fact]
    public void Loops_that_share_pools_count_every_request_once()
    {
        // The measures check the counts themselves.
        Assert.True(SharedNothing.MeasureOnePool(threads: 4, requests: 10_000) >= 0);
        Assert.True(SharedNothing.MeasureOwnPools(threads: 4, requests: 10_000) >= 0);
        Assert.True(SharedNothing.MeasureSharedCell(threads: 4, requests: 10_000) >= 0);
    }
}
