using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace FastLB.Tests.Programs;

/// <summary>The program as a process of its own, with what it wrote. Killed, with its children, when a test ends early.</summary>
internal sealed class ProgramProcess : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly StringBuilder _said = new();
    private readonly SemaphoreSlim _lines = new(0);
    private readonly Task<string> _error;
    private readonly Task<string> _output;

    private ProgramProcess(Process process, int port)
    {
        _process = process;
        Port = port;
        _error = ReadErrorsAsync();
        _output = process.StandardOutput.ReadToEndAsync();
    }

    public int Id => _process.Id;

    public int Port { get; }

    /// <summary>Starts <c>fastlb</c> with the arguments, and does not wait for anything.</summary>
    public static ProgramProcess Start(int port, IEnumerable<string> arguments, params (string Name, string Value)[] environment) =>
        // Whoever runs the tests in the background of a shell ignores SIGINT, and so would the program, for that is inherited.
        StartBy(["env", "--default-signal=INT"], port, arguments, environment);

    /// <summary>The same by another program, which becomes this one.</summary>
    public static ProgramProcess StartBy(string[] by, int port, IEnumerable<string> arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(by[0]) { RedirectStandardError = true, RedirectStandardOutput = true, RedirectStandardInput = true };
        foreach (var argument in by.Skip(1).Append("dotnet"))
        {
            start.ArgumentList.Add(argument);
        }

        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "fastlb.dll"));
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return new ProgramProcess(Process.Start(start)!, port);
    }

    /// <summary>A demo worker that answers.</summary>
    public static async Task<ProgramProcess> StartDemoWorkerAsync()
    {
        var port = FreePort();
        var worker = Start(port, ["demo-worker"], ("PORT", $"{port}"), ("FASTLB_WORKER", "demo/1"), ("FASTLB_SLOT", "1"), ("FASTLB_GENERATION", "2"));
        await worker.WaitUntilItAnswersAsync("/healthz");
        return worker;
    }

    /// <summary>A port that nobody uses now. Somebody may take it before the test does, which happens once in a very long time.</summary>
    public static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    /// <summary>Asks until there is an answer of any status.</summary>
    public async Task WaitUntilItAnswersAsync(string path)
    {
        using var client = new HttpClient();
        var began = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var answer = await client.GetAsync(new Uri($"http://127.0.0.1:{Port}{path}"));
                return;
            }
            catch (HttpRequestException)
            {
                Assert.False(_process.HasExited, $"the program ended with {(_process.HasExited ? _process.ExitCode : 0)}");
                Assert.True(began.Elapsed < Patience, $"the program answers on port {Port}");
                await Task.Yield();
            }
        }
    }

    /// <summary>Until it has written this to its standard error.</summary>
    public async Task WaitUntilItSaysAsync(string text)
    {
        while (!Said().Contains(text, StringComparison.Ordinal))
        {
            Assert.True(await _lines.WaitAsync(Patience), $"the program says '{text}'; it said:\n{Said()}");
        }
    }

    public void Send(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{Id}"]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }

    /// <summary>Its exit status and all that it wrote.</summary>
    public async Task<(int Exit, string Output, string Error)> EndAsync()
    {
        using var patience = new CancellationTokenSource(Patience);
        await _process.WaitForExitAsync(patience.Token);
        return (_process.ExitCode, await _output, await _error);
    }

    private async Task<string> ReadErrorsAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line)
        {
            lock (_said)
            {
                _said.AppendLine(line);
            }

            _lines.Release();
        }

        return Said();
    }

    private string Said()
    {
        lock (_said)
        {
            return _said.ToString();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        _process.Dispose();
    }
}
