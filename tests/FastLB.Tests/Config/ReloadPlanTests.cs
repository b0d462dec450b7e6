using System.Text.RegularExpressions;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>What a reload makes of the difference between two files. Everything else goes by whether settings are equal, so that is looked at first.</summary>
public class ReloadPlanTests
{
    private const string Guarded =
        """
        listeners: [{ bind: 127.0.0.1:8000, pool: app, maxConnectionsPerClient: 30 }]
        zones: { near: [10.0.0.0/8] }
        pools:
          app:
            strategy: { name: consistent-hash, key: header:X-User, loadBound: 3 }
            slowStart: 30s
            health: { path: /healthz, interval: 2s, timeout: 900ms, rise: 4, fall: 6 }
            outliers: { failures: 4, ejection: 20s }
            breaker: { failures: 8, open: 2s, maxOpen: 40s }
            retries: { attempts: 2, on: [closed, "503"], backoff: 40ms }
            limits: { maxRequests: 200, worker: { maxRequests: 50, maxConnections: 40 } }
            queue: { length: 100, priorityHeader: X-Priority }
            rateLimits: [{ key: client-address, rate: 100/s, burst: 40 }]
            fallback: { text: sorry }
            workers: [{ address: 127.0.0.1:9001, weight: 4, zone: near }]

        """;

    [Fact]
    public void The_same_file_read_twice_says_the_same()
    {
        foreach (var text in (string[])[ConfigurationSample.Text, Guarded])
        {
            var (one, other) = (Read(text), Read(text));

            Assert.Equal(one, other);
            Assert.Equal("nothing has changed", ReloadPlan.Between(one, other).Describe());
        }
    }

    [Fact]
    public void Every_number_and_every_duration_makes_a_difference()
    {
        foreach (var text in (string[])[ConfigurationSample.Text, Guarded])
        {
            var before = Read(text);
            var changed = 0;
            foreach (Match number in Regex.Matches(text, @"(?<=[ \[:])(\d+)(?=(ms|s|h|KB|MB)?[ ,}\r\n])"))
            {
                // Halved, so that what has an upper bound stays below it.
                var other = number.Value is "1" or "0" ? "2" : ((long.Parse(number.Value) + 1) / 2).ToString();
                if (ConfigurationSample.Read(text[..number.Index] + other + text[(number.Index + number.Length)..]).Settings is { } after)
                {
                    changed++;
                    Assert.True(before != after, $"nothing is said to have changed where {text[Math.Max(0, number.Index - 30)..number.Index]}[{number.Value}] became {other}");
                }
            }

            Assert.True(changed > 10, $"only {changed} changes were right");
        }
    }

    [Fact]
    public void What_comes_goes_and_changes_is_told_by_its_name()
    {
        var text = ConfigurationSample.Text
            .Replace("'[::1]:9000'", "x").Replace("\"[::1]:9000\"", "\"[::1]:9001\"").Replace("transport: unix", "transport: tcp")
            .Replace("strategy: round-robin", "strategy: two-choices");

        var plan = ReloadPlan.Between(Read(ConfigurationSample.Text), Read(text));

        Assert.Equal("added listener [::1]:9001; removed listener [::1]:9000; changed pools app, api", plan.Describe());
        Assert.Equal([PoolChangeKind.Same, PoolChangeKind.Applied, PoolChangeKind.Same], plan.Pools.Select(p => p.Kind));
    }

    [Fact]
    public void What_guards_a_pool_takes_another_pool_and_engine_and_loops_another_start()
    {
        var text = ConfigurationSample.Text.Replace("loops: 2", "loops: 3").Replace("strategy: round-robin", "limits: { maxRequests: 5 }");

        var plan = ReloadPlan.Between(Read(ConfigurationSample.Text), Read(text));

        Assert.Equal(PoolChangeKind.Replaced, plan.Pools[1].Kind);
        Assert.Equal(["loops"], plan.AtNextStart);
    }

    [Fact]
    public void A_listener_that_speaks_another_protocol_needs_sockets_of_its_own()
    {
        var before = Read(ConfigurationSample.Text);
        var after = before with { Listeners = [before.Listeners[0] with { Protocol = Core.Proxy.ListenerProtocol.Tcp }, before.Listeners[1]] };

        var plan = ReloadPlan.Between(before, after);

        Assert.Equal((1, 1, 1), (plan.Added.Count, plan.Removed.Count, plan.Kept.Count));
    }

    [Fact]
    public void A_listener_with_other_sockets_at_its_address_is_reopened()
    {
        var text = ConfigurationSample.Text.Replace("- bind: 127.0.0.1:8000", "- bind: 127.0.0.1:8000\n    backlog: 7", StringComparison.Ordinal);

        var plan = ReloadPlan.Between(Read(ConfigurationSample.Text), Read(text));

        Assert.Equal("reopened listener 127.0.0.1:8000", plan.Describe());
    }

    private static Settings Read(string text)
    {
        var result = ConfigurationSample.Read(text);
        Assert.True(result.Settings is not null, string.Join('\n', result.Errors));
        return result.Settings;
    }
}
