namespace FastLB.SystemTests.Program;

/// <summary>Which worker gets a request, end to end, while strategies, weights and workers change.</summary>
public abstract class ChoosingTests(string engine) : TestsOfAPool(engine)
{
    [Fact]
    public async Task A_worker_that_is_ten_times_slower_gets_so_few_requests_by_response_time_that_p99_is_without_it()
    {
        using var fleet = new NumberedWorkers(4, i => i == 0 ? 300 : 30);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: round-robin"));
        var before = await HttpLoad.Closed(fastlb.Url("/"), 6, 240);
        Assert.InRange(HttpLoad.ShareOf(before, "0"), 0.2, 0.3);

        await Put(fastlb, "/pools/app/strategy", "response-time");
        var after = await HttpLoad.Closed(fastlb.Url("/"), 6, 1_200);

        Assert.All(after, a => Assert.Equal(200, a.Status));

        // Loops look at it now and then, and at their first choice all are alike, so the first hundred are theirs to learn from.
        Assert.InRange(HttpLoad.ShareOf([.. after.Skip(100)], "0"), 0, 0.01);
    }

    [Theory]
    [InlineData("response-time", 0, 0.05)]
    [InlineData("least-connections", 0.3, 1)]
    public async Task A_worker_that_fails_at_once_attracts_nothing_by_response_time(string strategy, double least, double most)
    {
        using var fleet = new NumberedWorkers(4, i => i == 0 ? 0 : 20);
        fleet.Failing = 0;
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: {strategy}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 16, 2_000);

        // By connections alone the one that fails looks like the one with nothing to do.
        Assert.InRange((double)answers.Count(a => a.Status == 500) / answers.Count, least, most);
    }

    [NeedsToolsFact("wrk")]
    public async Task Switching_the_strategy_under_load_loses_nothing()
    {
        using var fleet = new NumberedWorkers(3, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: two-choices"));
        using var wrk = RunningProgram.Start("wrk", ["-t1", "-c16", "-d4s", "--timeout", "10s", "-H", "X-User: somebody", fastlb.Url("/").ToString()]);
        string[] strategies =
        [
            "round-robin", "{\"name\": \"consistent-hash\", \"key\": \"header:X-User\"}", "response-time", "weighted-round-robin", "source-address", "auto", "random",
            "least-connections", "two-choices",
        ];
        foreach (var strategy in strategies)
        {
            var served = Enumerable.Range(0, 3).Sum(fleet.Requests);
            await Put(fastlb, "/pools/app/strategy", strategy);
            await Eventually.True(() => Enumerable.Range(0, 3).Sum(fleet.Requests) > served + 200, $"requests flow by {strategy}", () => fastlb.Program.Errors);
        }

        await wrk.Exit(TimeSpan.FromSeconds(30));
        Assert.DoesNotContain("Non-2xx", wrk.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Socket errors", wrk.Output, StringComparison.Ordinal);
        Assert.Equal("two-choices", (string)(await fastlb.Status())["pools"]![0]!["strategy"]!);
    }

    [Fact]
    public async Task A_worker_that_joins_ten_moves_less_than_an_eighth_of_the_keys()
    {
        using var fleet = new NumberedWorkers(11, _ => 0);
        await using var ten = await FastLbUnderTest.Start(Pool(fleet, "strategy: { name: consistent-hash, key: header:X-User, loadBound: none }", 10));
        await using var eleven = await FastLbUnderTest.Start(Pool(fleet, "strategy: { name: consistent-hash, key: header:X-User, loadBound: none }"));
        var before = await HttpLoad.Closed(ten.Url("/"), 8, 1_000, n => ("X-User", HttpLoad.Text(n)));
        var again = await HttpLoad.Closed(ten.Url("/"), 8, 1_000, n => ("X-User", HttpLoad.Text(n)));
        var after = await HttpLoad.Closed(eleven.Url("/"), 8, 1_000, n => ("X-User", HttpLoad.Text(n)));

        Assert.Equal(before.Select(a => a.Body), again.Select(a => a.Body));
        var moved = Enumerable.Range(0, 1_000).Count(i => before[i].Body != after[i].Body);
        Assert.InRange(moved, 50, 120);
    }

    [Theory]
    [InlineData("by: client-address", 1)]
    [InlineData("by: header:X-User", 8)]
    public async Task Sessions_stay_by_what_they_go_by(string by, int mostWorkers)
    {
        using var fleet = new NumberedWorkers(8, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, $"strategy: round-robin\n    sticky: {{ {by} }}"));

        var answers = await HttpLoad.Closed(fastlb.Url("/"), 4, 400, n => ("X-User", HttpLoad.Text(n % 40)));

        for (var user = 0; user < 40; user++)
        {
            Assert.Single(answers.Where((_, n) => n % 40 == user).Select(a => a.Body).Distinct());
        }

        Assert.InRange(answers.Select(a => a.Body).Distinct().Count(), mostWorkers == 1 ? 1 : 5, mostWorkers);
    }

    [Fact]
    public async Task Weights_change_while_requests_flow()
    {
        using var fleet = new NumberedWorkers(2, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: weighted-round-robin"));
        Assert.InRange(HttpLoad.ShareOf(await HttpLoad.Closed(fastlb.Url("/"), 2, 400), "0"), 0.45, 0.55);

        await Put(fastlb, "/pools/app/workers/0/weight", "3");

        Assert.InRange(HttpLoad.ShareOf(await HttpLoad.Closed(fastlb.Url("/"), 2, 400), "0"), 0.7, 0.8);
    }

    [Theory]
    [InlineData("/pools/app/strategy", "no-such", 400, "name: there is no strategy 'no-such'")]
    [InlineData("/pools/app/strategy", "{\"name\": \"round-robin\", \"key\": \"path\"}", 400, "key: the strategy round-robin goes by no key")]
    [InlineData("/pools/nope/strategy", "round-robin", 404, "there is no pool 'nope'")]
    [InlineData("/pools/app/workers/7/weight", "2", 404, "pool app has no worker 7")]
    [InlineData("/pools/app/workers/0/weight", "0", 400, "weight: 0 is out of range")]
    [InlineData("/pools/app/workers/0/breaker", "open", 400, "worker app/0 has no breaker")]
    public async Task A_wrong_wish_of_the_operator_changes_nothing_and_says_why(string path, string body, int status, string text)
    {
        using var fleet = new NumberedWorkers(1, _ => 0);
        await using var fastlb = await FastLbUnderTest.Start(Pool(fleet, "strategy: random"));

        using var answer = await Http.PutAsync(fastlb.Admin(path), new StringContent(body));

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.StartsWith(text, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal("random", (string)(await fastlb.Status())["pools"]![0]!["strategy"]!);
    }
}
