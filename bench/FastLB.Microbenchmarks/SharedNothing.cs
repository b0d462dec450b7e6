using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;

namespace FastLB.Microbenchmarks;

/// <summary>
/// Do loops get in each other's way? Each thread is a loop that picks workers, counts and arms timers as for a request. Once all of them
/// share the pool and its workers, as in FastLB, and once each has a pool of its own: the two cost the same when no cache line is
/// written by two loops. The figure is CPU time per request and thread, not wall time, so it may be asked on fewer cores than there are
/// threads; what it grows by in both columns is then the price of taking turns on a core.
/// <c>dotnet run -c Release --project bench/FastLB.Microbenchmarks -- shared-nothing</c>
/// </summary>
public static class SharedNothing
{
    private const int Runs = 9;
    private const int Workers = 4;
    private const int RequestsPerMillisecond = 64;

    /// <summary>Prints a table of 1, 2, 4 and 8 threads; least of several runs, because what disturbs only ever adds.</summary>
    public static void Print(TextWriter output)
    {
        output.WriteLine("| threads | one pool for all: CPU ns per request | a pool for each | a control: requests counted in one shared cell |");
        output.WriteLine("| --- | --- | --- | --- |");
        foreach (var threads in (int[])[1, 2, 4, 8])
        {
            double shared = double.MaxValue, own = double.MaxValue, control = double.MaxValue;
            for (var run = 0; run < Runs; run++)
            {
                shared = Math.Min(shared, MeasureOnePool(threads, 3_000_000));
                own = Math.Min(own, MeasureOwnPools(threads, 3_000_000));
                control = Math.Min(control, MeasureSharedCell(threads, 3_000_000));
            }

            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {threads} | {shared:F1} | {own:F1} | {control:F1} |"));
        }
    }

    /// <summary>CPU nanoseconds per request and thread when all loops share a pool.</summary>
    public static double MeasureOnePool(int threads, int requests)
    {
        var pool = MakePool(threads);
        var perRequest = MeasureOn([.. Enumerable.Repeat(pool, threads)], requests);
        Invariant.That(pool.Workers.Ready.Sum(worker => worker.Requests) == (long)threads * (requests + (requests / 10)), "every request is counted once");
        Invariant.That(pool.Workers.Ready.All(worker => worker.InFlight == 0), "every request ended");
        return perRequest;
    }

    /// <summary>The same when each loop has a pool of its own.</summary>
    public static double MeasureOwnPools(int threads, int requests) =>
        MeasureOn([.. Enumerable.Range(0, threads).Select(_ => MakePool(threads))], requests);

    /// <summary>What must not be: the same with a counter that all loops write, which at least has to be exact.</summary>
    public static double MeasureSharedCell(int threads, int requests)
    {
        var count = 0L;
        var proxies = MakeLoops([.. Enumerable.Range(0, threads).Select(_ => MakePool(threads))]);
        var perRequest = Measure(threads, requests, (thread, number) => Serve(proxies[thread], number, () => Interlocked.Increment(ref count)));
        Invariant.That(count == (long)threads * (requests + (requests / 10)), "every request is counted once");
        return perRequest;
    }

    private static double MeasureOn(Pool[] pools, int requests)
    {
        var proxies = MakeLoops(pools);
        return Measure(pools.Length, requests, (thread, count) => Serve(proxies[thread], count, null));
    }

    private static Pool MakePool(int loops)
    {
        var pool = new Pool(new PoolSettings { Name = "app" }, loops);
        pool.Publish(new WorkerSet(Enumerable.Range(0, Workers).Select(slot => new Worker("app", slot, 1, Endpoint.Unix("/run/app.sock"), loops)), []));
        return pool;
    }

    /// <summary>All loops are made by one thread, one after the other, as the server does it.</summary>
    private static ProxyLoop[] MakeLoops(Pool[] pools) =>
        [.. pools.Select((pool, loop) => new ProxyLoop(new IdleLoop(loop), [pool]))];

    private static void Serve(ProxyLoop proxy, int requests, Action? counted)
    {
        var loop = (IdleLoop)proxy.Loop;
        var pool = proxy.Pools[0];
        var timer = new Deadline();
        for (var i = 0; i < requests; i++)
        {
            if (i % RequestsPerMillisecond == 0)
            {
                loop.Turn(1);
            }

            var worker = pool.Pick(Affinity.None, null)!.Worker;
            worker.Begin(loop.Index);
            loop.Timers.Arm(timer, loop.NowMs + 30_000);
            pool.Counters.Requests++;
            pool.Budget.Deposit();
            pool.Counters.Count(Outcome.Completed);
            proxy.Metrics.Requests++;
            proxy.Metrics.BytesFromClients += 40;
            proxy.Metrics.BytesToClients += 128;
            proxy.Metrics.Count(Outcome.Completed);
            proxy.Metrics.CountResponse(200);
            worker.End(loop.Index, failed: false);
            counted?.Invoke();
        }
    }

    /// <summary>Runs the work on all threads at once, a tenth of it before to warm up, and averages their CPU time per unit of it.</summary>
    private static double Measure(int threads, int count, Action<int, int> work)
    {
        using var start = new Barrier(threads);
        var nanoseconds = new double[threads];
        var running = Enumerable.Range(0, threads).Select(number => new Thread(() =>
        {
            work(number, count / 10);
            start.SignalAndWait();
            var before = ThreadCpuNanoseconds();
            work(number, count);
            nanoseconds[number] = ThreadCpuNanoseconds() - before;
        })).ToArray();
        Array.ForEach(running, thread => thread.Start());
        Array.ForEach(running, thread => thread.Join());
        return nanoseconds.Average() / count;
    }

    /// <summary>What the scheduler charged this thread: the first number of its schedstat (proc(5)).</summary>
    private static double ThreadCpuNanoseconds()
    {
        // The account of a running thread is brought up to date when the scheduler looks at it.
        Thread.Yield();
        return double.Parse(File.ReadAllText("/proc/thread-self/schedstat").Split(' ')[0], CultureInfo.InvariantCulture);
    }

    private sealed class Deadline : LoopTimer
    {
        public override void OnTimer()
        {
        }
    }
}
