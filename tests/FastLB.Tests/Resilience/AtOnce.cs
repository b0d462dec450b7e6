namespace FastLB.Tests.Resilience;

/// <summary>Real threads that do something at once; what one of them throws fails the test instead of ending the process.</summary>
internal static class AtOnce
{
    public static void Run(int threads, Action<int> work)
    {
        Exception? thrown = null;
        using var start = new Barrier(threads);
        var running = Enumerable.Range(0, threads).Select(number => new Thread(() =>
        {
            start.SignalAndWait();
            try
            {
                work(number);
            }
            catch (Exception exception)
            {
                thrown ??= exception;
            }
        })).ToArray();
        Array.ForEach(running, thread => thread.Start());
        Array.ForEach(running, thread => thread.Join());
        Assert.Null(thrown);
    }
}
