namespace FastLB.Simulation;

/// <summary>
/// The content of every simulated body: each byte is a function of whose it is and where it stands, so a byte that went to
/// the wrong peer, twice, or out of order is found where it arrives.
/// </summary>
public static class Pattern
{
    public const int Request = 1;
    public const int Response = 2;
    public const int Tunnel = 3;

    internal static byte At(int identity, int kind, long offset)
    {
        var mixed = (((ulong)identity * 4) + (ulong)kind + 1) * 0x9E3779B97F4A7C15 + ((ulong)offset * 0xBF58476D1CE4E5B9);
        return (byte)((mixed ^ (mixed >> 29)) >> 24);
    }

    public static byte[] Make(int identity, int kind, int length, long from = 0)
    {
        var bytes = new byte[length];
        for (var i = 0; i < length; i++)
        {
            bytes[i] = At(identity, kind, from + i);
        }

        return bytes;
    }

    public static void Fill(Span<byte> bytes, int identity, int kind, long from)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            bytes[i] = At(identity, kind, from + i);
        }
    }

    public static void Check(ReadOnlySpan<byte> bytes, int identity, int kind, long from, string where)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != At(identity, kind, from + i))
            {
                throw new SimulationFailedException($"{where}: byte {from + i} of {identity} is not its own");
            }
        }
    }
}

/// <summary>Something happened that must never be; the message says what.</summary>
public sealed class SimulationFailedException(string message) : Exception(message);
