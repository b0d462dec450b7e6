using System.Diagnostics;

namespace FastLB.SystemTests;

/// <summary>Waits for conditions. A test that awaits what never comes fails with the words of what it awaited.</summary>
public static class Eventually
{
    /// <summary>Generous, because only a failing test spends it, and test machines are slow and shared.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <summary>Comes back as soon as <paramref name="condition"/> holds.</summary>
    /// <param name="condition">Looked at again and again, on any thread.</param>
    /// <param name="awaited">What was awaited, for the failure.</param>
    /// <param name="state">What there was instead, for the failure.</param>
    public static Task True(Func<bool> condition, string awaited, Func<string>? state = null) =>
        True(() => Task.FromResult(condition()), awaited, state);

    /// <summary>The same for a condition that has to be asked for.</summary>
    public static async Task True(Func<Task<bool>> condition, string awaited, Func<string>? state = null)
    {
        var since = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(since) > Patience)
            {
                Assert.Fail($"awaited for {Patience.TotalSeconds} s: {awaited}{(state is null ? "" : $"\ninstead: {state()}")}");
            }

            await Task.Delay(Pause);
        }
    }

    /// <summary>Comes back with the first value that is not null.</summary>
    public static async Task<T> Some<T>(Func<T?> value, string awaited, Func<string>? state = null)
        where T : class
    {
        T? found = null;
        await True(() => (found = value()) is not null, awaited, state);
        return found!;
    }
}
