using System.Diagnostics;
using System.Text;

namespace FastLB.SystemTests;

/// <summary>A program that a test started, with what it printed. Killed with everything it started when the test ends.</summary>
internal sealed class RunningProgram : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _errors = new();

    private RunningProgram(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_errors, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Pid => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    public string Output => Read(_output);

    public string Errors => Read(_errors);

    public static RunningProgram Start(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string? directory = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = directory ?? Repository.Root,
        };
        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        return new RunningProgram(start);
    }

    /// <summary>Runs a program to its end and answers what it printed; fails when its status is not 0 or it takes too long.</summary>
    public static async Task<string> OutputOf(string program, params string[] arguments)
    {
        using var running = Start(program, arguments);
        await running.Exit(TimeSpan.FromMinutes(2));
        Assert.True(running.ExitCode == 0, $"{program} {string.Join(' ', arguments)} ended with {running.ExitCode}:\n{running.Output}{running.Errors}");
        return running.Output;
    }

    public async Task Exit(TimeSpan limit)
    {
        using var cancel = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(cancel.Token);
        }
        catch (OperationCanceledException)
        {
            Assert.Fail($"{_process.StartInfo.FileName} did not end within {limit}; it printed:\n{Output}{Errors}");
        }
    }

    public void Signal(string name) => Signal(Pid, name);

    public static void Signal(int pid, string name)
    {
        using var kill = Process.Start("/bin/kill", ["-" + name, pid.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private static void Append(StringBuilder text, string? line)
    {
        if (line is not null)
        {
            lock (text)
            {
                text.AppendLine(line);
            }
        }
    }

    private static string Read(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }
}
