using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>Which cores this process may use, and which one a thread stays on. sched_setaffinity(2).</summary>
public static class CpuAffinity
{
    /// <summary>The cores that the process was given (taskset, cpuset), in ascending order.</summary>
    public static IReadOnlyList<int> AllowedCores()
    {
        Span<ulong> mask = stackalloc ulong[Libc.CpuMaskWords];
        var bytes = Libc.GetAffinity(mask);
        if (bytes < 0)
        {
            return [.. Enumerable.Range(0, Environment.ProcessorCount)];
        }

        var cores = new List<int>();
        for (var core = 0; core < bytes * 8; core++)
        {
            if ((mask[core >> 6] & (1UL << (core & 63))) != 0)
            {
                cores.Add(core);
            }
        }

        return cores;
    }

    /// <summary>Keeps the calling thread on <paramref name="core"/>. 0 or -errno.</summary>
    public static int PinCurrentThread(int core)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(core);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(core, Libc.CpuMaskWords * 64);
        Span<ulong> mask = stackalloc ulong[Libc.CpuMaskWords];
        mask.Clear();
        mask[core >> 6] = 1UL << (core & 63);
        return Libc.SetAffinity(mask);
    }
}

internal static unsafe partial class Libc
{
    /// <summary>Room for 1024 cores, as in glibc's cpu_set_t.</summary>
    internal const int CpuMaskWords = 16;

    /// <summary>The calling thread's mask. Answers how many bytes of it the kernel wrote.</summary>
    internal static int GetAffinity(Span<ulong> mask)
    {
        fixed (ulong* pointer = mask)
        {
            var result = Check(sched_getaffinity(0, (nuint)(mask.Length * sizeof(ulong)), pointer));
            return result < 0 ? result : mask.Length * sizeof(ulong);
        }
    }

    internal static int SetAffinity(ReadOnlySpan<ulong> mask)
    {
        fixed (ulong* pointer = mask)
        {
            return Check(sched_setaffinity(0, (nuint)(mask.Length * sizeof(ulong)), pointer));
        }
    }

    [LibraryImport("libc")]
    private static partial int sched_getaffinity(int pid, nuint size, ulong* mask);

    [LibraryImport("libc")]
    private static partial int sched_setaffinity(int pid, nuint size, ulong* mask);
}
