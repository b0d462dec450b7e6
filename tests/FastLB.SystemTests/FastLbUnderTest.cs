using System.Net;
using System.Net.Sockets;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace FastLB.SystemTests;

/// <summary>FastLB as a user runs it: the built program, a configuration file, its own process. Waits until all workers are ready.</summary>
internal sealed partial class FastLbUnderTest : IAsyncDisposable
{
    private static readonly HttpClient s_http = new() { Timeout = TimeSpan.FromSeconds(10) };
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("fastlb-test-");
    private readonly int _adminPort = FreePort();
    private readonly Dictionary<string, int> _ports = [];

    private FastLbUnderTest()
    {
    }

    /// <summary>The engine of the configurations that name none; see <see cref="Program.TestsOfAnEngine"/>.</summary>
    public static string Engine { get; set; } = "auto";

    public RunningProgram Program { get; private set; } = null!;

    /// <summary>The first listener's port.</summary>
    public int Port { get; private set; }

    public IPEndPoint Endpoint => new(IPAddress.Loopback, Port);

    public Uri Url(string path) => new($"http://127.0.0.1:{Port}{path}");

    /// <summary>
    /// Starts with this configuration, in which ADMIN and LISTEN, or LISTEN0 to LISTEN9, stand for free addresses, and DEMO for
    /// the command of the built-in demo worker.
    /// </summary>
    public static async Task<FastLbUnderTest> Start(string yaml, bool waitUntilReady = true, string? directory = null, string[]? wrapper = null, bool asksStatus = true)
    {
        var fastlb = new FastLbUnderTest();
        await fastlb.Write(yaml);
        var file = fastlb.ConfigurationFile;
        fastlb.Program = RunningProgram.Start(
            wrapper?[0] ?? "dotnet", [.. wrapper is null ? [] : (string[])[.. wrapper[1..], "dotnet"], Repository.FastLbAssembly, "run", "-c", file], directory: directory);
        await (waitUntilReady ? fastlb.Ready() : fastlb.Answers(HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK));
        if (!asksStatus)
        {
            // It would be asked for its token.
            fastlb.Port = fastlb.PortOf("LISTEN");
            return fastlb;
        }

        var status = await fastlb.Status();
        fastlb.Port = IPEndPoint.Parse((string)status["listeners"]![0]!["bind"]!).Port;
        return fastlb;
    }

    public string ConfigurationFile => Path.Combine(_directory.FullName, "fastlb.yaml");

    /// <summary>Writes another configuration, with the same placeholders for the same addresses, and tells nobody.</summary>
    public async Task Write(string yaml)
    {
        yaml = PlaceholderPattern().Replace(yaml.Replace("ADMIN", $"127.0.0.1:{_adminPort}", StringComparison.Ordinal), match => $"127.0.0.1:{PortOf(match.Value)}")
            .Replace("DEMO", $"[dotnet, {Repository.FastLbAssembly}, demo-worker]", StringComparison.Ordinal);
        if (!yaml.Contains("engine:", StringComparison.Ordinal))
        {
            yaml = $"engine: {Engine}\n{yaml}";
        }

        await File.WriteAllTextAsync(ConfigurationFile, yaml);
    }

    /// <summary>Writes another configuration and has it read. The answer of the admin API.</summary>
    public async Task<(HttpStatusCode Status, string Text)> Reload(string yaml)
    {
        await Write(yaml);
        using var answer = await s_http.PostAsync(Admin("/config"), null);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    /// <summary>The port that stands for LISTEN, LISTEN0 (the same) or LISTEN1 to LISTEN9.</summary>
    public int PortOf(string placeholder)
    {
        var name = placeholder == "LISTEN0" ? "LISTEN" : placeholder;
        if (!_ports.TryGetValue(name, out var port))
        {
            _ports[name] = port = FreePort();
        }

        return port;
    }

    [GeneratedRegex("LISTEN[0-9]?")]
    private static partial Regex PlaceholderPattern();

    public async Task<JsonNode> Status() => JsonNode.Parse(await s_http.GetStringAsync(Admin("/status")))!;

    public async Task<string> Metrics() => await s_http.GetStringAsync(Admin("/metrics"));

    /// <summary>The stories of requests that failed or were tried again, for a test that fails.</summary>
    public async Task<string> FailedRequests() => await s_http.GetStringAsync(Admin("/requests?failed"));

    public Uri Admin(string path) => new($"http://127.0.0.1:{_adminPort}{path}");

    /// <summary>The workers of the first pool, by slot.</summary>
    public async Task<IReadOnlyList<JsonNode>> Workers() =>
        [.. (await Status())["pools"]![0]!["workers"]!.AsArray().Select(w => w!).OrderBy(w => (int)w["slot"]!)];

    /// <summary>All workers of all pools are ready.</summary>
    public async Task Ready()
    {
        await Answers(HttpStatusCode.OK);
        await Eventually.True(
            async () => (await Workers()).All(w => (string)w["state"]! == "ready"), "all workers are ready", () => Program.Errors);
    }

    private Task Answers(params HttpStatusCode[] expected) => Eventually.True(
        async () =>
        {
            Assert.False(Program.HasExited, $"fastlb ended:\n{Program.Errors}");
            try
            {
                using var answer = await s_http.GetAsync(Admin("/healthz"));
                return expected.Contains(answer.StatusCode);
            }
            catch (HttpRequestException)
            {
                return false;
            }
        },
        "the admin API says that the pools have workers",
        () => Program.Errors);

    /// <summary>Resident memory in kilobytes.</summary>
    public long ResidentKilobytes()
    {
        var line = File.ReadLines($"/proc/{Program.Pid}/status").First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    public int OpenDescriptors() => Directory.GetFiles($"/proc/{Program.Pid}/fd").Length;

    public async ValueTask DisposeAsync()
    {
        if (!Program.HasExited)
        {
            // The second time at once, which takes half a second of FastLB's own time to mean that.
            await Eventually.True(
                () =>
                {
                    if (!Program.HasExited)
                    {
                        Program.Signal("TERM");
                    }

                    return Program.HasExited;
                },
                "the end of FastLB",
                () => Program.Errors);
            await Program.Exit(TimeSpan.FromSeconds(30));
        }

        Program.Dispose();
        _directory.Delete(recursive: true);
    }

    /// <summary>Below the kernel's range for outgoing connections, so that none of the load takes it before FastLB does.</summary>
    internal static int FreePort()
    {
        while (true)
        {
            var port = Random.Shared.Next(10_000, 20_000);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Taken; the next one then.
            }
        }
    }
}
