using System.Globalization;
using FastLB.Fuzzing.Targets;
using Xunit.Abstractions;

namespace FastLB.Fuzzing;

/// <summary>
/// Whatever reads bytes from outside reads them as its reference does. A few seconds each, always the same inputs; FASTLB_FUZZ_SECONDS lets each target run for so long with a
/// seed of its own (FASTLB_FUZZ_SEED), and `dotnet test --filter` chooses the target. See README.md.
/// </summary>
public sealed class FuzzingTests(ITestOutputHelper output)
{
    [Fact]
    public void Requests_are_read_as_the_reference_reads_them()
    {
        using var target = new RequestTarget();
        Fuzz(target, 12_000);
    }

    [Fact]
    public void Responses_are_read_as_the_reference_reads_them() => Fuzz(new ResponseTarget(), 12_000);

    [Fact]
    public void Chunks_are_read_as_the_reference_reads_them() => Fuzz(new ChunkTarget(), 30_000);

    [Fact]
    public void Proxy_headers_are_read_as_the_reference_reads_them() => Fuzz(new ProxyHeaderTarget(), 60_000);

    [Fact]
    public void Web_socket_frames_are_read_as_the_reference_reads_them() => Fuzz(new WebSocketTarget(), 40_000);

    [Fact]
    public void Yaml_is_read_as_the_reference_reads_it() => Fuzz(new YamlTarget(), 15_000);

    [Fact]
    public void Configurations_are_read_as_the_reference_reads_them() => Fuzz(new ConfigurationTarget(), 1_500);

    [Fact]
    public void Cookies_are_read_as_the_reference_reads_them() => Fuzz(new CookieTarget(), 30_000);

    [Fact]
    public void Forwarding_headers_are_read_as_the_reference_reads_them() => Fuzz(new ForwardedTarget(), 20_000);

    [Fact]
    public void Paths_are_routed_as_the_reference_routes_them() => Fuzz(new RoutePathTarget(), 20_000);

    private void Fuzz(FuzzTarget target, long inputs)
    {
        var seconds = Number("FASTLB_FUZZ_SECONDS");
        var seed = Number("FASTLB_FUZZ_SEED") ?? (seconds is null ? 1 : Environment.TickCount64);
        var fuzzer = new Fuzzer(target, (ulong)seed);
        var report = seconds is { } limit ? fuzzer.Run(long.MaxValue, TimeSpan.FromSeconds(limit)) : fuzzer.Run(inputs, TimeSpan.MaxValue);
        output.WriteLine(report.ToString());

        // A fuzzer whose inputs are all read in the same few ways, or are all refused, tests nothing.
        Assert.True(report.Inputs < 1_000 || (report.Signals >= 20 && report.Accepted >= report.Inputs / 40), report.ToString());
    }

    private static long? Number(string variable) =>
        long.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
