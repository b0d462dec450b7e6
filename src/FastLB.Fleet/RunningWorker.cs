using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Linux;
using Microsoft.Extensions.Logging;

namespace FastLB.Fleet;

/// <summary>A worker's process as the host holds it: the child, its output, its address. Only the fleet's thread touches it.</summary>
internal sealed class RunningWorker
{
    /// <summary>One read of a worker's output. What a turn of the fleet's thread spends on output is a multiple of it.</summary>
    public const int ReadBytes = 4 * 1024;

    /// <summary>The most that a pipe holds unless somebody enlarges it (pipe(7)); more is not read after the process's end.</summary>
    private const int PipeBytes = 64 * 1024;

    private readonly OutputLines _outputLines;
    private readonly OutputLines _errorLines;

    public RunningWorker(PoolFleet fleet, WorkerKey key, RunSettings run, Worker worker, ChildProcess child, DateTimeOffset startedAt, ILogger log)
    {
        Fleet = fleet;
        Key = key;
        Run = run;
        Worker = worker;
        Child = child;
        StartedAt = startedAt;
        _outputLines = new OutputLines(line => FleetLog.Output(log, line));
        _errorLines = new OutputLines(line => FleetLog.ErrorOutput(log, line));
        child.Owner = this;
        child.Output!.Owner = this;
        child.Errors!.Owner = this;
    }

    public PoolFleet Fleet { get; }

    public WorkerKey Key { get; }

    /// <summary>What it was started by, which the pool's settings may have left since.</summary>
    public RunSettings Run { get; }

    /// <summary>Another object, of the same counts, when the pool has got other settings.</summary>
    public Worker Worker { get; set; }

    public Endpoint Endpoint => Worker.Endpoint;

    public ChildProcess Child { get; }

    public DateTimeOffset StartedAt { get; }

    public ReadyProbe? Probe { get; set; }

    public void Watch(ProcessPoller poller)
    {
        poller.Watch(Child);
        poller.Watch(Child.Output!);
        poller.Watch(Child.Errors!);
    }

    /// <summary>Passes on what one read brings. Only when <paramref name="output"/> is readable, or it would wait.</summary>
    /// <returns>False at the end of the output.</returns>
    public bool ReadOnce(ChildOutput output)
    {
        Span<byte> buffer = stackalloc byte[ReadBytes];
        var read = output.Read(buffer);
        (output == Child.Output ? _outputLines : _errorLines).Add(buffer[..read]);
        return read > 0;
    }

    /// <summary>The process is gone: passes on what it still said, within the bounds of a pipe.</summary>
    public void ReadLastWords()
    {
        ReadRest(Child.Output!);
        ReadRest(Child.Errors!);
        _outputLines.Flush();
        _errorLines.Flush();
    }

    /// <summary>Gives everything back that belongs to the process; it is gone, or given up.</summary>
    public void Close(ProcessPoller poller)
    {
        Probe?.Dispose();
        poller.Forget(Child.Output!);
        poller.Forget(Child.Errors!);
        poller.Forget(Child);
        Child.Close();
    }

    private void ReadRest(ChildOutput output)
    {
        for (var read = 0; read < PipeBytes && output.IsOpen && output.IsReadable && ReadOnce(output); read += ReadBytes)
        {
        }
    }
}
