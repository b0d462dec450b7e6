using System.Globalization;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;
using FastLB.Core.Proxy;

namespace FastLB.Microbenchmarks;

/// <summary>
/// Do loops get in each other's way? Each thread is a loop that picks workers, counts and arms timers as for a request, on pools that all
/// of them share. The figure is CPU time per request and thread, not wall time, so it may be asked on fewer cores than threads: it
/// stays level when no cache line is written by two of them. A control, counters side by side in one line, shows what a slope looks like.
/// <c>dotnet run -c Release --project bench/FastLB.Microbenchmarks -- shared-nothing</c>
/// </summary>
public static class SharedNothing
{
    private const int Runs = 7;
    private const int Workers = 4;
    private const int RequestsPerMillisecond = 64;

    /// <summary>Prints a table of 1, 2, 4 and 8 threads; least of several runs, because what disturbs only ever adds.</summary>
    public static void Print(TextWriter output)
    {
        output.WriteLine("| threads | a request's choice, counters and timers: CPU ns per thread | control, counters in one cache line |");
        output.WriteLine("| --- | --- | --- |");
        foreach (var threads in (int[])[1, 2, 4, 8])
        {
            var requests = Enumerable.Range(0, Runs).Min(_ => MeasureRequests(threads, 5_000_000));
            var control = Enumerable.Range(0, Runs).Min(_ => MeasureControl(threads, 30_000_000));
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {threads} | {requests:F1} | {control:F1} |"));
        }
    }

    /// <summary>CPU nanoseconds per request and thread.</summary>
    public static double MeasureRequests(int threads, int requests)
    {
        var pool = new Pool(new PoolSettings { Name = "app" }, 0);
        pool.Publish(new WorkerSet(Enumerable.Range(0, Workers).Select(slot => new Worker("app", slot, 1, Endpoint.Unix("/run/app.sock"), threads)), []));

        // All loops are made by one thread, one after the other, as the server does it.
        var proxies = Enumerable.Range(0, threads).Select(loop => new ProxyLoop(new IdleLoop(loop), [pool], [null])).ToArray();
        var perRequest = Measure(threads, requests, (thread, count) => Serve(proxies[thread], count));
        Invariant.That(pool.Workers.Ready.Sum(worker => worker.Requests) == (long)threads * (requests + (requests / 10)), "every request is counted once");
        Invariant.That(pool.Workers.Ready.All(worker => worker.InFlight == 0), "every request ended");
        return perRequest;
    }

    /// <summary>The same measure for what must not be: a counter per thread, all in one cache line.</summary>
    public static double MeasureControl(int threads, int increments)
    {
        var counters = new long[threads];
        return Measure(threads, increments, (thread, count) =>
        {
            for (var i = 0; i < count; i++)
            {
                Volatile.Write(ref counters[thread], counters[thread] + 1);
            }
        });
    }

    private static void Serve(ProxyLoop proxy, int requests)
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

            var worker = pool.Pick(-1, null)!.Worker;
            worker.Begin(loop.Index);
            loop.Timers.Arm(timer, loop.NowMs + 30_000);
            pool.Requests++;
            pool.Budget.Deposit();
            pool.Count(Outcome.Completed);
            proxy.Metrics.Requests++;
            proxy.Metrics.BytesFromClients += 40;
            proxy.Metrics.BytesToClients += 128;
            proxy.Metrics.Count(Outcome.Completed);
            proxy.Metrics.CountResponse(200);
            worker.End(loop.Index, failed: false);
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
