using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Fleet;

namespace FastLB.SystemTests.Fleet;

/// <summary>A fleet with one pool, its log, and a loop that only passes barriers.</summary>
internal sealed class FleetFixture : IDisposable
{
    public FleetFixture(RunSettings run)
    {
        Pool = new Pool(new PoolSettings { Name = run.PoolName });
        Host = new FleetHost([(Pool, run)], [new BarrierLoop()], Log, TimeProvider.System);
    }

    public Pool Pool { get; }

    public FleetHost Host { get; }

    public RecordedLog Log { get; } = new();

    public IReadOnlyList<WorkerProcess> Processes => Host.Processes;

    /// <summary>Workers that take connections; a test changes what it is about.</summary>
    public static RunSettings Workers(int instances) => new()
    {
        PoolName = "app",
        Command = TestRoles.Command,
        Instances = instances,
        Environment = [new(TestRoles.Variable, "worker"), new("DOTNET_TieredPGO", "0")],
        ReadyTimeoutMs = 25_000,
        KillTimeoutMs = 10_000,
    };

    /// <summary>The same, wrapped into a shell script that can say <c>exec "$@"</c> to become the worker.</summary>
    public static RunSettings Shell(int instances, string script)
    {
        var run = Workers(instances);
        return run with { Command = ["/bin/sh", "-c", script, "sh", .. run.Command] };
    }

    public static bool Lives(int pid)
    {
        try
        {
            // A zombie is dead; only its parent has not looked yet. Its state follows the name in parentheses (proc(5)).
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            return stat[stat.LastIndexOf(')') + 2] is not ('Z' or 'X');
        }
        catch (IOException)
        {
            return false;
        }
    }

    public WorkerProcess? InSlot(int slot, string state) => Processes.FirstOrDefault(process => process.Slot == slot && process.State == state);

    /// <summary>The worker that requests for a slot go to now.</summary>
    public Worker? Published(int slot) => Pool.Workers.Ready.FirstOrDefault(worker => worker.Slot == slot);

    public Task ReadyAsync(int count) => Eventually.True(
        () => Pool.Workers.Ready.Length == count && Processes.Count(process => process.State == "ready") == count,
        $"{count} ready workers",
        Log.ToString);

    /// <summary>The number behind <paramref name="word"/> in a worker's output.</summary>
    public async Task<int> SaidAsync(string word)
    {
        var line = await Eventually.Some(
            () => Log.Lines.FirstOrDefault(line => line.Text.StartsWith(word + " ", StringComparison.Ordinal)), $"output '{word}'", Log.ToString);
        return int.Parse(line.Text[(word.Length + 1)..], System.Globalization.CultureInfo.InvariantCulture);
    }

    public void Dispose() => Host.Dispose();

    private sealed class BarrierLoop() : EventLoop(0, new BufferPool(), 1, 0)
    {
        public override string EngineName => "none";

        public override void Listen(Listener listener, int descriptor) => throw new NotSupportedException();

        public override void StopListening(Listener listener) => throw new NotSupportedException();

        public override void Connect(Peer peer, Endpoint endpoint) => throw new NotSupportedException();

        public override void Receive(Peer peer) => throw new NotSupportedException();

        public override void Send(Peer peer, LoopBuffer buffer, int start, int end) => throw new NotSupportedException();

        public override void ShutdownSend(Peer peer) => throw new NotSupportedException();

        public override void Close(Peer peer, bool reset = false) => throw new NotSupportedException();

        protected override void Wake() => ThreadPool.QueueUserWorkItem(_ => RunPosted());
    }
}
