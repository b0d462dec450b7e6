using System.Diagnostics;

namespace FastLB.Fuzzing;

/// <summary>Makes a failing input smaller as long as it fails in the same manner: takes out ever smaller pieces, then makes bytes plain (Zeller and Hildebrandt, 2002).</summary>
internal static class SmallestFailure
{
    private const int MaxSeconds = 20;

    public static byte[] Of(FuzzTarget target, byte[] input, Type failure)
    {
        var clock = Stopwatch.StartNew();
        for (var piece = Math.Max(1, input.Length / 2); piece > 0; piece = piece == 1 ? 0 : piece / 2)
        {
            for (var at = 0; at < input.Length && clock.Elapsed.TotalSeconds < MaxSeconds;)
            {
                byte[] without = [.. input[..at], .. input[Math.Min(input.Length, at + piece)..]];
                if (Fails(target, without, failure))
                {
                    input = without;
                }
                else
                {
                    at += piece;
                }
            }
        }

        for (var at = 0; at < input.Length && clock.Elapsed.TotalSeconds < MaxSeconds; at++)
        {
            byte[] plain = [.. input[..at], (byte)'a', .. input[(at + 1)..]];
            input = input[at] != 'a' && Fails(target, plain, failure) ? plain : input;
        }

        return input;
    }

    private static bool Fails(FuzzTarget target, byte[] input, Type failure)
    {
        try
        {
            target.Run(input);
            return false;
        }
        catch (Exception exception)
        {
            return exception.GetType() == failure;
        }
    }
}
