using System.Net;
using FastLB.Admin;
using FastLB.Core.Loop;
using FastLB.Tests.ConfigurationFiles;

namespace FastLB.Tests.Programs;

/// <summary>What an operator may change of a server that runs, what is refused, and where it is shown.</summary>
public sealed class OperatorTests
{
    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1", "127.0.0.1")]
    [InlineData("127.0.0.1", "localhost", "127.0.0.1")]
    [InlineData("0.0.0.0", "127.0.0.1", "127.0.0.1")]
    [InlineData("0.0.0.0", "127.8.9.10", "127.8.9.10")]
    [InlineData("127.0.0.1", "0.0.0.0", "0.0.0.0")]
    [InlineData("127.0.0.1", "[::ffff:127.0.0.1]", "[::ffff:127.0.0.1]")]
    public async Task An_address_of_our_own_listeners_is_no_worker(string bind, string host, string told)
    {
        await using var server = Server.Start(Settings(bind), new RecordedLines());
        var listener = server.GetStatus().Listeners.Single().Bind;
        var port = listener[(listener.LastIndexOf(':') + 1)..];

        var refused = server.Operator.Add("app", $"{host}:{port}", 1);

        Assert.Equal(
            new OperatorAnswer(OperatorResult.Wrong, $"address: {told}:{port} is FastLB's own listener ({listener}); requests would go round for ever"),
            refused);
        Assert.Equal(OperatorResult.Done, server.Operator.Add("app", "127.0.0.1:9", 1).Result);
    }

    [Fact]
    public async Task A_listener_that_comes_where_the_operator_added_a_worker_is_refused()
    {
        var settings = Settings("127.0.0.1");
        await using var server = Server.Start(settings, new RecordedLines());
        using var free = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        free.Start();
        var added = (IPEndPoint)free.LocalEndpoint;
        free.Stop();
        Assert.Equal("worker app/1 at " + added + " takes requests", server.Operator.Add("app", added.ToString(), 1).Text);
        var next = settings with { Listeners = [.. settings.Listeners, settings.Listeners[0] with { Bind = Endpoint.Ip(IPAddress.Any, added.Port) }] };

        var refused = await server.ReloadAsync(next, forgetsChanges: false);

        Assert.Equal(
            new ReloadResult(false, $"worker app/1, which the operator added at {added}, would be FastLB's own listener (0.0.0.0:{added.Port}), and requests would go round for ever; remove it with 'fastlb worker remove app/1', or reload with --reset"),
            refused);
        Assert.True((await server.ReloadAsync(next, forgetsChanges: true)).IsDone);
    }

    [Fact]
    public async Task What_the_operator_changed_is_in_the_status_and_in_the_answer_of_a_reload()
    {
        var settings = Settings("127.0.0.1");
        await using var server = Server.Start(settings, new RecordedLines());
        Assert.DoesNotContain("operator", StatusTable.Render(server.GetStatus()), StringComparison.Ordinal);
        Assert.Equal("nothing has changed", (await server.ReloadAsync(settings, forgetsChanges: false)).Text);

        server.Operator.UseStrategy("app", "least-connections", null, null);
        server.Operator.SetWeight("app", 0, 5);
        server.Operator.Switch("app", 0, "drain");
        server.Operator.Add("app", "127.0.0.1:10", 2);
        server.Operator.Maintain("shop", "on");

        Assert.Contains(
            """
              the operator's strategy: least-connections (configured: two-choices)
              the operator's weight of app/0: 5 (configured: 3)
              the operator's worker app/1: added at 127.0.0.1:10

            """,
            StatusTable.Render(server.GetStatus()).ReplaceLineEndings("\n"),
            StringComparison.Ordinal);
        Assert.Equal(
            "nothing has changed; the operator's changes stay: app strategy, app/0 weight, app/0 state, app/1 added, route shop maintenance",
            (await server.ReloadAsync(settings, forgetsChanges: false)).Text);
        Assert.Equal("nothing has changed; the operator's changes are undone", (await server.ReloadAsync(settings, forgetsChanges: true)).Text);
        Assert.DoesNotContain("the operator's", StatusTable.Render(server.GetStatus()), StringComparison.Ordinal);
        Assert.Equal("nothing has changed", (await server.ReloadAsync(settings, forgetsChanges: false)).Text);
    }

    [Fact]
    public void Another_number_of_workers_is_told_with_the_configured_one()
    {
        var pool = new Core.Balancing.Pool(Settings("127.0.0.1").Pools[0]);

        Assert.Equal([new OperatorChange("app scale", "instances: 8 (configured: 4)")], OperatorChange.Of(pool, 8, 4));
        Assert.Empty(OperatorChange.Of(pool, null, 4));
    }

    [Fact]
    public async Task The_log_names_workers_as_everything_else_does()
    {
        var log = new RecordedLines();
        await using var server = Server.Start(Settings("127.0.0.1"), log);

        server.Operator.SetWeight("app", 0, 5);
        server.Operator.Switch("app", 0, "off");
        server.Operator.Add("app", "127.0.0.1:10", 1);
        server.Operator.Remove("app", 1);

        Assert.Equal(
            [
                "Information: worker app/0: the operator gave it the weight 5",
                "Information: worker app/0: the operator switched it to off",
                "Information: worker app/1: the operator added it at 127.0.0.1:10",
                "Information: worker app/1: the operator removed it from 127.0.0.1:10",
            ],
            log.Lines.Where(l => l.Contains("the operator", StringComparison.Ordinal)));
    }

    /// <summary>A listener whose port the kernel chooses, with a named route to one pool with one worker.</summary>
    private static Settings Settings(string bind)
    {
        var settings = ConfigurationSample.Read(
            """
            engine: epoll
            loops: 1
            listeners: [{ bind: 127.0.0.1:1, routes: [{ name: shop, path: /shop, pool: app }, { pool: app }] }]
            pools: { app: { workers: [{ address: 127.0.0.1:9999, weight: 3 }] } }
            """).Settings!;
        return settings with { Listeners = [settings.Listeners[0] with { Bind = Endpoint.Ip(IPAddress.Parse(bind), 0) }] };
    }
}
