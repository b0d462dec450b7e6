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
            var few = new PickBenchmarks { Workers = 2 };
            var many = new PickBenchmarks { Workers = 64 };
            var cookies = new StickyCookieBenchmarks();
            var timers = new TimerBenchmarks();
            return new TheoryData<string, Action>
            {
                { "a wrk request's head is rewritten", () => Assert.True(heads.WrkRequest() > 0) },
                { "a browser request's head is rewritten", () => Assert.True(heads.BrowserRequestWithStickyCookieStripped() > 0) },
                { "a Node response's head is rewritten", () => Assert.True(heads.NodeResponse() > 0) },
                { "round robin among two", () => Assert.True(few.RoundRobin() is 0 or 1) },
                { "two choices among 64", () => Assert.True(many.TwoChoices() is >= 0 and < 64) },
                { "our own cookie", () => Assert.True(cookies.Own()) },
                { "a forged cookie", () => Assert.False(cookies.Forged()) },
                { "the last of ten routes", () => Assert.True(s_routes.LastOfTen() == 9) },
                { "a deadline pushed back", timers.PushBack },
                { "a deadline armed and cancelled", timers.ArmAndCancel },
                { "a buffer rented and released", () => Assert.True(s_buffers.RentAndRelease()) },
            };
        }
    }

    private static readonly RouteBenchmarks s_routes = new();
    private static readonly BufferBenchmarks s_buffers = new();

    [Theory]
    [MemberData(nameof(Benchmarks))]
    public void A_benchmark_runs_and_allocates_nothing(string what, Action benchmark)
    {
        for (var i = 0; i < 100; i++)
        {
            benchmark();
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            benchmark();
        }

        Assert.True(GC.GetAllocatedBytesForCurrentThread() == before, $"{what} allocated");
    }
}
