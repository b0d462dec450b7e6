using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>
/// The layout of struct epoll_event, which the kernel packs on x86-64 only (epoll_ctl(2), EPOLL_PACKED). native/abi_check.c
/// prints what C makes of it, and a test compares.
/// </summary>
internal static unsafe class EpollEvents
{
    internal const int MaxEntrySize = 16;

    internal static readonly int EntrySize = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 12 : 16;
    internal static readonly int DataOffset = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 4 : 8;

    internal static void Write(byte* entry, uint events, ulong data)
    {
        *(uint*)entry = events;
        Unsafe.WriteUnaligned(entry + DataOffset, data);
    }

    internal static uint EventsAt(byte* entries, int index) => *(uint*)(entries + (index * EntrySize));

    internal static ulong DataAt(byte* entries, int index) =>
        Unsafe.ReadUnaligned<ulong>(entries + (index * EntrySize) + DataOffset);
}
