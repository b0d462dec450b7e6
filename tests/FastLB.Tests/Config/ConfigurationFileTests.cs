using System.Text;
using FastLB.Core;
using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Core.Routing;
using FastLB.Fleet;

namespace FastLB.Tests.ConfigurationFiles;

public sealed class ConfigurationFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("fastlb-tests-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("0us", 0, false)]
    [InlineData("75us", 75_000, true)]
    [InlineData("adaptive", 50_000, false)]
    public void Spinning_is_a_time_or_adaptive(string spin, long limitNs, bool atOnce)
    {
        var settings = ConfigurationSample.Read(
            $"spin: {spin}\nlisteners: [{{ bind: 127.0.0.1:8000, pool: app }}]\npools: {{ app: {{ workers: [127.0.0.1:9] }} }}\n").Settings!;
        Assert.Equal((limitNs, atOnce), (settings.Spin.LimitNs, settings.Spin.ShouldSpin));
    }

    [Fact]
    public void A_file_with_every_key_is_read_into_settings()
    {
        var result = ConfigurationSample.Read(ConfigurationSample.Text);

        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        var settings = result.Settings!;
        Assert.Equal(EngineChoice.Epoll, settings.Engine);
        Assert.Equal(2, settings.Loops);
        Assert.Equal("127.0.0.1:8001", settings.AdminBind!.ToString());
        Assert.Equal(15_000, settings.DrainMs);
        Assert.Equal(["127.0.0.1:8000", "[::1]:9000"], settings.Listeners.Select(l => l.Bind.ToString()));
        Assert.Equal(
            [new RouteRule("api.example.com", "/v1/", "api"), new RouteRule("*.example.com", null, "legacy"), new RouteRule(null, null, "app")],
            settings.Listeners[0].Routes);
        Assert.Equal(ListenerProtocol.Tcp, settings.Listeners[1].Protocol);
        Assert.Equal([new RouteRule(null, null, "legacy")], settings.Listeners[1].Routes);

        Assert.Equal(["app", "api", "legacy"], settings.Pools.Select(p => p.Name));
        Assert.Equal(new StickySettings("SID", "0123456789abcdef", Strip: false), settings.Pools[0].Sticky);
        Assert.Equal(new StickySettings("FASTLB", null), settings.Pools[1].Sticky);
        Assert.Null(settings.Pools[2].Sticky);
        Assert.Equal(["two-choices", "round-robin", "two-choices"], settings.Pools.Select(p => p.Strategy.Name));
        Assert.Equal([new ReachedWorker(Endpoint.Unix("/run/api.sock"))], settings.Pools[1].Reached);
        Assert.Equal(["127.0.0.1:9001 1", "10.0.0.7:9002 2"], settings.Pools[2].Reached.Select(w => $"{w.Endpoint} {w.Weight}"));

        var run = Assert.Single(settings.Runs);
        Assert.Equal("app", run.PoolName);
        Assert.Equal(["sh", "server.js", "--name", ""], run.Command);
        Assert.Equal(3, run.Instances);
        Assert.Equal("/", run.Directory);
        Assert.Equal(new Dictionary<string, string> { ["NODE_ENV"] = "production", ["WORKERS"] = "4", ["EMPTY"] = "" }, run.Environment.ToDictionary());
        Assert.Equal(WorkerTransport.Unix, run.Transport);
        Assert.Equal((20_000, 1_000, 15_000), (run.ReadyTimeoutMs, run.KillTimeoutMs, run.DrainMs));
    }

    [Theory]
    [InlineData("", 16)]
    [InlineData("\n    pipelineDepth: 1", 1)]
    [InlineData("\n    pipelineDepth: 64", 64)]
    public void A_pool_says_how_many_requests_run_ahead(string line, int expected)
    {
        var text = ConfigurationSample.Text.Replace("    strategy: two-choices", $"    strategy: two-choices{line}", StringComparison.Ordinal);
        Assert.Equal(expected, ConfigurationSample.Read(text).Settings!.Pools[0].PipelineDepth);
    }

    [Theory]
    [InlineData("", Acceleration.Auto)]
    [InlineData("\n    tcp: { acceleration: auto }", Acceleration.Auto)]
    [InlineData("\n    tcp: { acceleration: sockmap }", Acceleration.Sockmap)]
    [InlineData("\n    tcp: { acceleration: splice }", Acceleration.Splice)]
    [InlineData("\n    tcp: { acceleration: copy }", Acceleration.Copy)]
    public void A_pool_says_what_moves_the_bytes_of_its_TCP_connections(string line, Acceleration expected)
    {
        var text = ConfigurationSample.Text.Replace("    strategy: two-choices", $"    strategy: two-choices{line}", StringComparison.Ordinal);
        Assert.Equal(expected, ConfigurationSample.Read(text).Settings!.Pools[0].Acceleration);
    }

    [Fact]
    public void Listeners_and_pools_override_timeouts_and_limits_key_by_key()
    {
        var settings = ConfigurationSample.Read(ConfigurationSample.Text).Settings!;

        var ofFile = new Timeouts
        {
            HeadMs = 5_000,
            BodyMs = 20_000,
            KeepAliveMs = 45_000,
            ConnectMs = 500,
            ResponseMs = 10_000,
            TunnelMs = 7_200_000,
            QueueMs = 3_000,
            DrainMs = 15_000,
        };
        Assert.Equal(ofFile with { HeadMs = 2_000 }, settings.Listeners[0].Timeouts);
        Assert.Equal(ofFile, settings.Listeners[1].Timeouts);
        Assert.Equal(ofFile with { ConnectMs = 250 }, settings.Pools[0].Timeouts);
        Assert.Equal(ofFile, settings.Pools[1].Timeouts);

        var limits = new HttpLimits { HeadBytes = 16 * 1024, TargetBytes = 4 * 1024, HeaderCount = 64, BodyBytes = 1024 * 1024 };
        Assert.Equal(limits with { BodyBytes = HttpLimits.Default.BodyBytes }, settings.Listeners[0].Limits);
        Assert.Equal(limits, settings.Listeners[1].Limits);
    }

    [Fact]
    public void A_small_file_gets_the_defaults()
    {
        var result = ConfigurationSample.Read("listeners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { run: { command: [node] } } }\n");

        Assert.Empty(result.Errors);
        var settings = result.Settings!;
        Assert.Equal((EngineChoice.Auto, 0, null), (settings.Engine, settings.Loops, settings.AdminBind));
        Assert.False(settings.Spin.ShouldSpin);
        Assert.Equal(Timeouts.Default, settings.Listeners[0].Timeouts);
        Assert.Equal(HttpLimits.Default, settings.Listeners[0].Limits);
        Assert.Equal(RunReader.InstancesForMax, settings.Runs[0].Instances);
        Assert.Null(settings.Runs[0].Directory);
    }

    [Fact]
    public void A_smaller_head_limit_takes_the_inherited_target_limit_with_it()
    {
        var result = ConfigurationSample.Read(
            "limits: { head: 2KB }\nlisteners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { workers: [127.0.0.1:1] } }\n");

        Assert.Empty(result.Errors);
        Assert.Equal((2048, 2048), (result.Settings!.Listeners[0].Limits.HeadBytes, result.Settings.Listeners[0].Limits.TargetBytes));
    }

    [Fact]
    public void All_mistakes_of_a_file_are_told_in_one_run_and_in_its_order()
    {
        var result = ConfigurationSample.Read(
            """
            engine: fast
            listeners:
              - { bind: 8000, pool: ap, protocl: http }
            pools:
              app:
                sticky: { secret: short }
                workers: [nowhere.test:80]
            """);

        Assert.Equal(
            [
                "fastlb.yaml:1:9: engine: expected auto or io-uring or epoll, found 'fast'",
                "fastlb.yaml:3:13: bind: '8000' is only a port; write 127.0.0.1:8000, or 0.0.0.0:8000 to be reached from other machines",
                "fastlb.yaml:3:25: there is no pool 'ap'; did you mean 'app'?",
                "fastlb.yaml:3:29: unknown key 'protocl' in listener 8000; did you mean 'protocol'?",
                "fastlb.yaml:6:23: secret: it has 5 characters; at least 16 are needed ('openssl rand -hex 32' makes a good one)",
                "fastlb.yaml:7:15: workers: the name 'nowhere.test' cannot be resolved: Name or service not known",
            ],
            result.Errors.Select(e => e.ToString()));
    }

    [Fact]
    public void A_program_that_is_looked_for_where_FastLB_is_started_is_told_so()
    {
        var result = ConfigurationSample.Read("listeners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { run: { command: [no/such] } } }\n");
        Assert.Equal(
            ["fastlb.yaml:2:34: command: it cannot be started: 'no/such' does not exist, where FastLB is started; until that is mended no worker of this pool runs"],
            result.Warnings.Select(w => w.ToString()));
    }

    [Theory]
    [InlineData("  legacy:\n", "  spare: { workers: [127.0.0.1:7000] }\n  legacy:\n",
        "fastlb.yaml:42:3: no listener sends anything to pool 'spare'")]
    [InlineData("      - { pool: app }\n", "      - { pool: app }\n      - { path: /late, pool: app }\n",
        "fastlb.yaml:22:9: route 4 of listener 127.0.0.1:8000 is never reached; a route before it takes everything")]
    [InlineData("backend.test:9002", "several.test:9002",
        "fastlb.yaml:45:20: workers: 'several.test' has 2 addresses and only 10.0.0.7 is used; write each as a worker of its own")]
    [InlineData("[sh, server.js,", "[nod, server.js,",
        "fastlb.yaml:31:17: command: it cannot be started: 'nod': no such program in PATH; until that is mended no worker of this pool runs")]
    [InlineData("[sh, server.js,", "[./no/such, server.js,",
        "fastlb.yaml:31:17: command: it cannot be started: '/no/such' does not exist; until that is mended no worker of this pool runs")]
    [InlineData("[sh, server.js,", "[/etc/passwd, server.js,",
        "fastlb.yaml:31:17: command: it cannot be started: '/etc/passwd' is not executable (chmod +x makes it so); until that is mended no worker of this pool runs")]
    [InlineData("{ NODE_ENV: production,", "{ PATH: /no/such,",
        "fastlb.yaml:31:17: command: it cannot be started: 'sh': no such program in PATH; until that is mended no worker of this pool runs")]
    public void What_is_only_doubtful_is_a_warning_and_the_file_is_used(string right, string doubtful, string expected)
    {
        Assert.Equal(1, ConfigurationSample.Text.Split(right).Length - 1);

        var result = ConfigurationSample.Read(ConfigurationSample.Text.Replace(right, doubtful, StringComparison.Ordinal));

        Assert.Empty(result.Errors);
        Assert.NotNull(result.Settings);
        Assert.Equal([expected], result.Warnings.Select(w => w.ToString()));
    }

    [Fact]
    public void A_name_with_one_address_in_each_family_is_no_reason_to_warn()
    {
        var result = ConfigurationSample.Read(ConfigurationSample.Text.Replace("backend.test:9002", "both.test:9002", StringComparison.Ordinal));

        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("sticky: false", false)]
    [InlineData("sticky: true", true)]
    [InlineData("sticky: { cookie: SID }", true)]
    [InlineData("sticky: { by: client-address }", false)]
    [InlineData("sticky: { by: cookie:JSESSIONID }", false)]
    public void Workers_whose_sessions_stick_by_our_cookie_open_together(string sticky, bool openTogether)
    {
        var result = ConfigurationSample.Read($"listeners: [{{ bind: 127.0.0.1:8000, pool: app }}]\npools:\n  app:\n    {sticky}\n    run: {{ command: [node] }}\n");

        Assert.Equal(openTogether, Assert.Single(result.Settings!.Runs).OpensTogether);
    }

    [Theory]
    [InlineData("    sticky: true\n", "", true)]
    [InlineData("    sticky: true\n", "    sticky: true\n", false)]
    public void Sticky_sessions_need_a_listener_that_speaks_http(string of, string with, bool isRight)
    {
        var text = "listeners: [{ bind: 127.0.0.1:8000, protocol: tcp, pool: app }]\npools:\n  app:\n    sticky: true\n    workers: [127.0.0.1:1]\n";

        var result = ConfigurationSample.Read(text.Replace(of, with, StringComparison.Ordinal));

        Assert.Equal(
            isRight ? [] : ["fastlb.yaml:4:5: sticky: pool 'app' has only tcp listeners, and TCP knows no cookies and headers; 'by: client-address' works there"],
            result.Errors.Select(e => e.ToString()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n\n")]
    [InlineData("# nothing but a comment\n")]
    public void An_empty_file_is_told_what_it_needs(string text) =>
        Assert.Equal(["fastlb.yaml:1:1: the file is empty; it needs 'listeners' and 'pools'"], ConfigurationSample.Read(text).Errors.Select(e => e.ToString()));

    [Fact]
    public void A_file_of_another_kind_is_told_what_it_needs()
    {
        Assert.Equal(
            ["fastlb.yaml:1:1: the configuration: expected keys (engine, loops, spin, watch, admin, timeouts, limits, forwarding, maxConnections, whenFull, accessLog, geo, zones, listeners, pools), found 'hello'"],
            ConfigurationSample.Read("hello").Errors.Select(e => e.ToString()));
        Assert.Equal(
            [
                "fastlb.yaml:1:1: 'pools' is missing; it names who answers, like pools: { app: { run: { command: [node, server.js] } } }",
                "fastlb.yaml:1:1: 'listeners' is missing; it says where clients connect, like listeners: [{ bind: 127.0.0.1:8000, pool: app }]",
            ],
            ConfigurationSample.Read("loops: 1").Errors.Select(e => e.ToString()));
    }

    [Fact]
    public void More_mistakes_than_anybody_reads_are_cut_off()
    {
        var text = new StringBuilder("pools: { app: { workers: [127.0.0.1:1] } }\nlisteners: [{ bind: 127.0.0.1:8000, pool: app }]\n");
        for (var i = 0; i < Mistakes.MaxErrors + 5; i++)
        {
            text.Append("unknown").Append(i).Append(": 1\n");
        }

        var errors = ConfigurationSample.Read(text.ToString()).Errors;

        Assert.Equal(Mistakes.MaxErrors + 1, errors.Count);
        Assert.Equal("fastlb.yaml: there are more mistakes; these are the first 100 that were found", errors[^1].ToString());
    }

    [Fact]
    public void A_file_is_read_from_where_it_stands()
    {
        var path = Write("ok.yaml", Encoding.UTF8.GetBytes(ConfigurationSample.Text));

        var result = ConfigurationFile.Load(path, ConfigurationSample.Resolve);

        Assert.Empty(result.Errors);
        Assert.Equal(_directory, result.Settings!.Runs[0].Directory);
    }

    [Fact]
    public void A_byte_order_mark_is_no_mistake()
    {
        var path = Write("bom.yaml", [0xEF, 0xBB, 0xBF, .. Encoding.UTF8.GetBytes(ConfigurationSample.Text)]);

        Assert.Empty(ConfigurationFile.Load(path, ConfigurationSample.Resolve).Errors);
    }

    [Fact]
    public void A_byte_that_is_not_utf8_is_shown()
    {
        var path = Write("latin1.yaml", [.. "engine: auto\n# a\u00fc"u8, .. "b: "u8, 0xFC, .. "\n"u8]);

        Assert.Equal([$"{path}:2:8: this byte is not UTF-8; save the file as UTF-8"], ErrorsOf(path));
    }

    [Fact]
    public void A_path_that_is_no_file_is_told_so()
    {
        var missing = Path.Combine(_directory, "missing.yaml");

        Assert.Equal([$"{missing}: there is no such file; 'fastlb run --help' shows what to write in one"], ErrorsOf(missing));
        Assert.Equal([$"{_directory}: this is a directory; name the file in it, like fastlb.yaml"], ErrorsOf(_directory));
        Assert.Equal(["/dev/zero: it is larger than 1 MB, which no configuration of FastLB is"], ErrorsOf("/dev/zero"));
        Assert.Single(ErrorsOf(""));
        Assert.Single(ErrorsOf("a\0b"));
    }

    private static IEnumerable<string> ErrorsOf(string path) => ConfigurationFile.Load(path, ConfigurationSample.Resolve).Errors.Select(e => e.ToString());

    private string Write(string name, byte[] bytes)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
