using System.Globalization;
using FastLB.Core.Loop;
using FastLB.Core.Resilience;

namespace FastLB.Fleet;

/// <summary>
/// How long a slot waits before its process is started again. A process that was ready for a while is replaced at once; one
/// that keeps failing early waits twice as long each time, up to a bound, and less by chance so that slots with one common cause
/// do not all come back in the same moment ("equal jitter").
/// </summary>
internal static class RestartBackoff
{
    public const int FirstDelayMs = 100;

    public const int LongestDelayMs = 30_000;

    /// <summary>An end earlier than this after the process became ready, or before it did, is quick.</summary>
    public const int MinimumUptimeMs = 1_000;

    /// <summary>Having been ready this long ends a series of quick exits.</summary>
    public const int ResetAfterMs = 10_000;

    /// <summary>For the <paramref name="quickExits"/>th quick exit in a row, from 1: 50 to 100 % of 100 ms, 200 ms, ... 30 s.</summary>
    public static int DelayMs(int quickExits, RandomSource random)
    {
        Invariant.That(quickExits > 0, "only a quick exit is waited for");
        return Backoff.AtLeastHalfMs(quickExits - 1, FirstDelayMs, LongestDelayMs, random);
    }

    /// <summary>"200 ms" or "1.6 s".</summary>
    public static string Text(long ms) => ms < 1000
        ? string.Create(CultureInfo.InvariantCulture, $"{ms} ms")
        : string.Create(CultureInfo.InvariantCulture, $"{ms / 1000.0:0.0} s");

    /// <summary>"1st", "2nd", "3rd", "11th".</summary>
    public static string Ordinal(int number)
    {
        var ending = (number % 100) is >= 11 and <= 13 ? "th" : (number % 10) switch { 1 => "st", 2 => "nd", 3 => "rd", _ => "th" };
        return number.ToString(CultureInfo.InvariantCulture) + ending;
    }
}
