using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Resilience;

namespace FastLB.Tests.Loop;

/// <summary>No cache line is written by two loops on the way of a request: what one writes is 128 bytes from what another may write.</summary>
public sealed class SharedNothingTests
{
    public static TheoryData<string, Func<object>, Action<object>> WrittenPerRequest => new()
    {
        { "metrics", () => new LoopMetrics(), o => WriteAllOf((LoopMetrics)o) },
        { "random numbers", () => new RandomSource(1), o => ((RandomSource)o).NextUInt64() },
        { "timers", () => new TimerWheel(0), o => ((TimerWheel)o).Advance(1_000) },
        { "a retry budget", () => new RetryBudget(0), o => ((RetryBudget)o).TryWithdraw(1_000) },
        { "a limit", () => new AtomicLimit(5), o => ((AtomicLimit)o).TryEnter() },
        { "a breaker", () => new CircuitBreaker(new BreakerSettings()), o => ((CircuitBreaker)o).Trip(1_000, new RandomSource(1)) },
        { "round robin", () => new RoundRobin(), o => ((RoundRobin)o).Pick(new Choice { Workers = Workers(loops: 1), Random = new RandomSource(1), Loop = 0, NowMs = 0 }) },
        { "two choices", () => new TwoChoices(), PickOnce },
        { "weighted round robin", () => new WeightedRoundRobin(), PickOnce },
        { "zones", () => new ZoneAware(), PickOnce },
        { "the automatic choice", () => new Auto(), PickOnce },
        { "a loop", () => new SharedNothingLoop(0), o => ((SharedNothingLoop)o).Turn(5) },
        { "its buffers of a size", () => SizeClassOf(new BufferPool()), o => Call(o, "TryTake") },
    };

    [Theory]
    [MemberData(nameof(WrittenPerRequest))]
    public void What_a_loop_writes_stands_128_bytes_behind_the_object_before_it(string what, Func<object> make, Action<object> write)
    {
        var written = WrittenBy(make, write);
        Assert.True(written.First >= OwnCacheLines.Bytes, $"{what}: byte {written.First} of the object is written");
    }

    [Fact]
    public void The_measure_finds_a_field_that_has_no_distance()
    {
        var written = WrittenBy(() => new StrongBox<long>(0), box => ((StrongBox<long>)box).Value = -1);
        Assert.Equal((0, sizeof(long) - 1), written);
    }

    [Fact]
    public void Each_loop_counts_at_a_worker_in_cache_lines_of_its_own()
    {
        var worker = Workers(loops: 3)[0];
        var cells = (long[])typeof(Worker).GetField("_cells", BindingFlags.NonPublic | BindingFlags.Instance)!.GetValue(worker)!;
        var ranges = Enumerable.Range(0, 3).Select(loop =>
        {
            var before = (long[])cells.Clone();
            worker.Begin(loop);
            worker.End(loop, failed: true);
            worker.Begin(loop);
            worker.InFlightSeenBy(loop, 7);
            worker.NoteAnswer(loop, 7, 100, isServerError: true);
            worker.MoveTurn(loop, 5, bound: 100);
            var changed = Enumerable.Range(0, cells.Length).Where(i => cells[i] != before[i]).ToArray();
            return (First: changed[0] * sizeof(long), Last: ((changed[^1] + 1) * sizeof(long)) - 1);
        }).ToArray();

        Assert.True(ranges[0].First >= OwnCacheLines.Bytes, $"{ranges[0].First} bytes to the object before");
        for (var loop = 1; loop < 3; loop++)
        {
            // Never in the same line, whatever the address of the array: 64 bytes from the last to the first.
            Assert.True(ranges[loop].First - ranges[loop - 1].Last > 64, $"loops {loop - 1} and {loop} write {ranges[loop - 1]} and {ranges[loop]}");
        }

        Assert.True((cells.Length * sizeof(long)) - ranges[2].Last > 64, "the object behind");
    }

    [Fact]
    public void A_loop_sees_its_own_requests_at_once_and_those_of_others_from_the_next_millisecond_on()
    {
        var worker = Workers(loops: 2)[0];
        worker.Begin(1);
        Assert.Equal(1, worker.InFlightSeenBy(0, nowMs: 10));
        worker.Begin(1);
        worker.Begin(0);
        Assert.Equal(2, worker.InFlightSeenBy(0, nowMs: 10));
        Assert.Equal(3, worker.InFlightSeenBy(0, nowMs: 11));
        Assert.Equal(3, worker.InFlight);
        worker.End(0, failed: false);
        Assert.Equal(2, worker.InFlightSeenBy(0, nowMs: 11));
        Assert.Equal(2, worker.InFlightSeenBy(1, nowMs: 11));
    }

    /// <summary>The first and last byte, counted from the object's first field, that <paramref name="write"/> changes.</summary>
    private static (int First, int Last) WrittenBy(Func<object> make, Action<object> write)
    {
        while (true)
        {
            write(make());
            var allocated = GC.GetAllocatedBytesForCurrentThread();
            var target = make();
            var collections = GC.CollectionCount(0);
            var size = FieldBytesOf(target);
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - allocated >= size, "the object is no larger than what its making allocated");
            var before = FieldsOf(target, size).ToArray();
            write(target);
            var after = FieldsOf(target, size).ToArray();

            // A collection moves objects, which changes references; then the look counts for nothing.
            if (GC.CollectionCount(0) == collections)
            {
                var first = before.AsSpan().CommonPrefixLength(after);
                Assert.True(first < size, "something is written");
                var last = size - 1;
                while (before[last] == after[last])
                {
                    last--;
                }

                return (first, last);
            }
        }
    }

    private static ReadOnlySpan<byte> FieldsOf(object target, int size) =>
        MemoryMarshal.CreateReadOnlySpan(ref Unsafe.As<StrongBox<byte>>(target).Value, size);

    /// <summary>The runtime's size of an object without header and type, from what making a bare one allocates.</summary>
    private static int FieldBytesOf(object target)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var bare = RuntimeHelpers.GetUninitializedObject(target.GetType());
        var size = (int)(GC.GetAllocatedBytesForCurrentThread() - before) - (2 * IntPtr.Size);
        GC.KeepAlive(bare);
        return size;
    }

    private static void WriteAllOf(LoopMetrics metrics)
    {
        foreach (var counter in typeof(LoopMetrics).GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            counter.SetValue(metrics, -1L);
        }
    }

    private static void PickOnce(object strategy) =>
        ((Strategy)strategy).Pick(new Choice { Workers = (Worker[])[.. Workers(loops: 1), .. Workers(loops: 1)], Random = new RandomSource(1), Loop = 0, NowMs = 1, Zone = 0 });

    private static object SizeClassOf(BufferPool pool) =>
        typeof(BufferPool).GetField("_small", BindingFlags.NonPublic | BindingFlags.Instance)!.GetValue(pool)!;

    private static void Call(object target, string method) => target.GetType().GetMethod(method)!.Invoke(target, null);

    private static Worker[] Workers(int loops) => [new Worker("app", 0, 1, Endpoint.Unix("/run/app.sock"), loops)];

    private sealed class SharedNothingLoop(int index) : EventLoop(index, new BufferPool(), 1, 0)
    {
        public override string EngineName => "none";

        public void Turn(long nowMs) => SetClock(nowMs * 1_000_000);

        public override void Listen(Listener listener, int socket) => throw new NotSupportedException();

        public override void StopListening(Listener listener) => throw new NotSupportedException();

        public override void Connect(Peer peer, Endpoint endpoint) => throw new NotSupportedException();

        public override void Receive(Peer peer) => throw new NotSupportedException();

        public override void Send(Peer peer, LoopBuffer buffer, int start, int end) => throw new NotSupportedException();

        public override void ShutdownSend(Peer peer) => throw new NotSupportedException();

        public override void Close(Peer peer, bool reset = false) => throw new NotSupportedException();

        protected override void Wake()
        {
        }
    }
}
