namespace FastLB.SystemTests.Program;

/// <summary>Clients that others wrote, each in the ways it speaks HTTP/1 that ours do not.</summary>
public abstract class RealClientTests(DemoFleet demo)
{
    private readonly FastLbUnderTest _fastlb = demo.FastLb;

    [NeedsToolsFact("curl")]
    public async Task Curl_is_answered_in_each_of_its_versions_and_forms()
    {
        Assert.StartsWith("HTTP/1.1 200 OK\n", await Curl("/pid", "-i"), StringComparison.Ordinal);

        // An old client is told the end of the body by its length, and keeps the connection when it asks for that.
        var old = await Curl("/bytes/100", "-v", "--http1.0", "-H", "Connection: keep-alive", "-o", "/dev/null", "--stderr", "-", "--next", "-sS", "--http1.0", _fastlb.Url("/pid").ToString());
        Assert.Contains("Content-Length: 100", old, StringComparison.Ordinal);
        Assert.Contains("Connection: keep-alive", old, StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 200 OK\n", await Curl("/a/../pid", "-i", "--path-as-is"), StringComparison.Ordinal);

        // As if FastLB were a forward proxy: the whole address in the request line, whose host is the one that counts.
        Assert.Contains("Host: elsewhere.test\n", await RunningProgram.OutputOf("curl", "-sS", "--max-time", "20", "-x", _fastlb.Url("").ToString(), "http://elsewhere.test/headers"), StringComparison.Ordinal);
        using (var tunnel = RunningProgram.Start("curl", ["-sS", "--max-time", "20", "--proxy1.0", $"127.0.0.1:{_fastlb.Port}", "--proxytunnel", "http://elsewhere.test/"]))
        {
            await tunnel.Exit(TimeSpan.FromSeconds(30));
            Assert.Contains("405", tunnel.Errors, StringComparison.Ordinal);
        }

        Assert.Contains("Content-Length: 4000", await Curl("/bytes/4000", "-I"), StringComparison.Ordinal);
        Assert.DoesNotContain("TE: ", await Curl("/headers", "--tr-encoding"), StringComparison.Ordinal);
        Assert.Equal(string.Join(' ', Enumerable.Repeat("200", 100)), (await Curl("/bytes/[1-100]", "-Z", "-o", "/dev/null", "-w", "%{http_code} ")).TrimEnd());
    }

    [NeedsToolsFact("curl")]
    public async Task Curl_sends_a_large_body_after_100_Continue_and_in_chunks_and_gets_it_back()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-curl-");
        var (sent, back) = (Path.Combine(directory.FullName, "sent"), Path.Combine(directory.FullName, "back"));
        var bytes = new byte[20_000_000];
        new Random(1).NextBytes(bytes);
        await File.WriteAllBytesAsync(sent, bytes);
        foreach (var form in (string[][])[["--data-binary", "@" + sent], ["-T", sent, "-H", "Transfer-Encoding: chunked"], ["-F", "file=@" + sent]])
        {
            // curl waits for the 100 longer than it would of its own accord, so that going on without one is seen.
            var said = await Curl("/echo", [.. form, "-v", "-H", "Expect: 100-continue", "--expect100-timeout", "60", "-o", back, "--stderr", "-"]);
            Assert.Contains("HTTP/1.1 100 Continue", said, StringComparison.Ordinal);
            Assert.Contains("HTTP/1.1 200 OK", said, StringComparison.Ordinal);
            Assert.True((await File.ReadAllBytesAsync(back)).AsSpan().IndexOf(bytes) >= 0, $"{form[0]} came back otherwise");
        }

        directory.Delete(recursive: true);
    }

    [NeedsToolsFact("node")]
    public async Task Nodes_agent_and_fetch_get_every_answer() => Assert.Equal("ok\n", await RunningProgram.OutputOf(
        "node", Path.Combine(Repository.Root, "tests/FastLB.SystemTests/Program/node-client.js"), $"http://127.0.0.1:{_fastlb.Port}"));

    [NeedsToolsFact("ab")]
    public async Task Ab_keeps_its_connections_as_an_old_client()
    {
        var file = Path.GetTempFileName();
        await File.WriteAllTextAsync(file, new string('p', 3_000));
        foreach (var (path, options) in new[] { ("/bytes/1000", Array.Empty<string>()), ("/echo", ["-p", file]) })
        {
            var report = await RunningProgram.OutputOf("ab", ["-q", "-k", "-n", "2000", "-c", "20", .. options, _fastlb.Url(path).ToString()]);
            Assert.Matches(@"Complete requests:\s+2000\n", report);
            Assert.Matches(@"Failed requests:\s+0\n", report);
            Assert.DoesNotContain("Non-2xx", report, StringComparison.Ordinal);

            // Only answers with a length let an HTTP/1.0 client keep its connection, and the echo of a body does not know its own beforehand.
            Assert.Matches(path == "/echo" ? @"Keep-Alive requests:\s+\d+\n" : @"Keep-Alive requests:\s+2000\n", report);
        }

        File.Delete(file);
    }

    [NeedsToolsFact("wrk")]
    public async Task Wrk_pipelines_and_sees_no_error()
    {
        var script = Path.GetTempFileName();
        await File.WriteAllTextAsync(script, """
            init = function()
              local all = {}
              for i = 1, 16 do all[i] = wrk.format("GET", "/bytes/" .. i * 37) end
              requests = table.concat(all)
            end
            request = function() return requests end
            """);
        var report = await RunningProgram.OutputOf("wrk", "-t1", "-c32", "-d2s", "-s", script, _fastlb.Url("/").ToString());
        Assert.DoesNotContain("Non-2xx", report, StringComparison.Ordinal);
        Assert.DoesNotContain("Socket errors", report, StringComparison.Ordinal);
        Assert.Matches(@"[1-9]\d{2,} requests in", report);
        File.Delete(script);
    }

    [NeedsToolsFact("h2load")]
    public async Task H2load_speaks_its_HTTP_1_with_and_without_pipelining()
    {
        foreach (var ahead in (string[])["1", "8"])
        {
            var report = await RunningProgram.OutputOf("h2load", "--h1", "-n", "3000", "-c", "30", "-m", ahead, _fastlb.Url("/bytes/500").ToString());
            Assert.Contains("3000 succeeded, 0 failed, 0 errored, 0 timeout", report, StringComparison.Ordinal);
            Assert.Contains("status codes: 3000 2xx, 0 3xx, 0 4xx, 0 5xx", report, StringComparison.Ordinal);
        }
    }

    private Task<string> Curl(string target, params string[] options) =>
        RunningProgram.OutputOf("curl", ["-sS", "--max-time", "30", .. options[..Rest(options)], $"http://127.0.0.1:{_fastlb.Port}{target}", .. options[Rest(options)..]]);

    /// <summary>Where the options of a second transfer begin.</summary>
    private static int Rest(string[] options) => Array.IndexOf(options, "--next") is var at and >= 0 ? at : options.Length;
}

public sealed class RealClientOnEpollTests(DemoFleetOnEpoll demo) : RealClientTests(demo), IClassFixture<DemoFleetOnEpoll>;

public sealed class RealClientOnAutoTests(DemoFleetOnAuto demo) : RealClientTests(demo), IClassFixture<DemoFleetOnAuto>;
