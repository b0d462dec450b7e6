using FastLB.Core.Loop;

namespace FastLB.Tests.Resilience;

/// <summary>A lock-free structure under test, beside a model of it that is plain sequential code on an immutable state.</summary>
/// <typeparam name="TState">Compared by value.</typeparam>
internal abstract class Subject<TState>
    where TState : class
{
    public abstract TState Initial { get; }

    /// <summary>
    /// Does something with the real structure, chosen by chance, and returns what that means in the model: the state behind it, or null where the model
    /// would have answered otherwise.
    /// </summary>
    public abstract Func<TState, TState?> Act(int thread, RandomSource chance);

    /// <summary>After each round, when all threads rest.</summary>
    public virtual void AfterRound()
    {
    }
}

/// <summary>
/// Real threads use a structure at once, many short rounds, and each round's history must be linearizable: some order of the calls that respects which
/// ended before which began must give the same answers one after the other (Herlihy and Wing, 1990; searched as by Wing and Gong, 1993).
/// </summary>
internal static class History
{
    public static void Check<TState>(int rounds, int threads, int steps, Func<RandomSource, Subject<TState>> make)
        where TState : class
    {
        var chance = new RandomSource(16);
        var subject = make(chance);
        var calls = new Call<TState>[threads * steps];
        var stamp = 0;
        var round = 0;
        string? wrong = null;
        var ready = 0;
        var running = Enumerable.Range(0, threads).Select(thread => new Thread(() =>
        {
            var own = new RandomSource((ulong)thread + 1);
            for (var mine = 0; mine < rounds; mine++)
            {
                // The last to arrive judges the round before and begins the next; the others spin, so that all start together.
                if (Interlocked.Increment(ref ready) == threads)
                {
                    if (mine > 0)
                    {
                        wrong ??= Judge(subject, calls);
                    }

                    subject = make(chance);
                    ready = 0;
                    Volatile.Write(ref round, mine + 1);
                }

                for (var spins = 0; Volatile.Read(ref round) <= mine; spins++)
                {
                    if (spins > 2_000)
                    {
                        Thread.Yield();
                    }
                }

                if (wrong is not null)
                {
                    return;
                }

                for (var step = 0; step < steps; step++)
                {
                    var began = Interlocked.Increment(ref stamp);
                    var meaning = Try(subject, thread, own, out var failure);
                    calls[(thread * steps) + step] = new Call<TState>(began, Interlocked.Increment(ref stamp), meaning, failure);
                }
            }
        })).ToArray();
        Array.ForEach(running, thread => thread.Start());
        Array.ForEach(running, thread => thread.Join());
        Assert.True((wrong ?? Judge(subject, calls)) is null, $"{wrong} in round {round} of {rounds}");
    }

    private static Func<TState, TState?> Try<TState>(Subject<TState> subject, int thread, RandomSource chance, out string? failure)
        where TState : class
    {
        failure = null;
        try
        {
            return subject.Act(thread, chance);
        }
        catch (InvariantViolatedException exception)
        {
            failure = exception.Message;
            return state => state;
        }
    }

    private static string? Judge<TState>(Subject<TState> subject, Call<TState>[] calls)
        where TState : class
    {
        try
        {
            subject.AfterRound();
        }
        catch (Exception exception) when (exception is Xunit.Sdk.XunitException or InvariantViolatedException)
        {
            return exception.Message;
        }

        return calls.FirstOrDefault(call => call.Failure is not null).Failure
            ?? (CanBeOrdered(calls, 0, subject.Initial, []) ? null : "no order of the calls explains what they answered");
    }

    private static bool CanBeOrdered<TState>(Call<TState>[] calls, uint done, TState state, HashSet<(uint, TState)> tried)
        where TState : class
    {
        if (done == (1u << calls.Length) - 1)
        {
            return true;
        }

        if (!tried.Add((done, state)))
        {
            return false;
        }

        var firstEnd = int.MaxValue;
        for (var i = 0; i < calls.Length; i++)
        {
            firstEnd = (done & (1u << i)) == 0 ? Math.Min(firstEnd, calls[i].Ended) : firstEnd;
        }

        for (var i = 0; i < calls.Length; i++)
        {
            if ((done & (1u << i)) == 0 && calls[i].Began < firstEnd && calls[i].Meaning(state) is { } next
                && CanBeOrdered(calls, done | (1u << i), next, tried))
            {
                return true;
            }
        }

        return false;
    }

    private readonly record struct Call<TState>(int Began, int Ended, Func<TState, TState?> Meaning, string? Failure);
}
