using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>
/// What the kernel and the ring agree on: io_uring_setup(2), io_uring_enter(2), io_uring_register(2) and linux/io_uring.h. The layouts
/// are compared with the C header's by a test; what is younger than that header is named beside it.
/// </summary>
internal static class UringAbi
{
    internal const byte PollAdd = 6;
    internal const byte Accept = 13;
    internal const byte AsyncCancel = 14;
    internal const byte Connect = 16;
    internal const byte Close = 19;
    internal const byte Send = 26;
    internal const byte Receive = 27;
    internal const byte Shutdown = 34;
    internal const byte Socket = 45;
    internal const byte Command = 46;

    /// <summary>Linux 6.8.</summary>
    internal const byte FixedFdInstall = 54;

    /// <summary>
    /// Linux 6.11. The loop has no use for it, but a kernel that knows it has all that the loop needs: <see cref="AcceptDontWait"/> is of
    /// 6.10 and cannot be asked for.
    /// </summary>
    internal const byte Bind = 56;

    internal const uint SetupCqSize = 1 << 3;
    internal const uint SetupClamp = 1 << 4;
    internal const uint SetupDisabled = 1 << 6;
    internal const uint SetupSubmitAll = 1 << 7;
    internal const uint SetupTaskrunFlag = 1 << 9;
    internal const uint SetupSingleIssuer = 1 << 12;
    internal const uint SetupDeferTaskrun = 1 << 13;

    /// <summary>Linux 6.6.</summary>
    internal const uint SetupNoSqArray = 1 << 16;

    internal const uint FeatureSingleMmap = 1 << 0;
    internal const uint FeatureNoDrop = 1 << 1;

    internal const uint EnterGetEvents = 1 << 0;
    internal const uint EnterExtendedArgument = 1 << 3;
    internal const uint EnterRegisteredRing = 1 << 4;

    internal const uint RegisterUnregisterFiles = 3;
    internal const uint RegisterFilesUpdate = 6;
    internal const uint RegisterProbe = 8;
    internal const uint RegisterEnableRings = 12;
    internal const uint RegisterFiles2 = 13;
    internal const uint RegisterRingDescriptors = 20;
    internal const uint RegisterBufferRing = 22;
    internal const uint RegisterFileAllocationRange = 25;
    internal const uint ResourceSparse = 1 << 0;

    internal const byte FixedFile = 1 << 0;
    internal const byte Link = 1 << 2;
    internal const byte HardLink = 1 << 3;
    internal const byte BufferSelect = 1 << 5;

    internal const uint CompletionHasBuffer = 1 << 0;
    internal const uint CompletionHasMore = 1 << 1;
    internal const int CompletionBufferShift = 16;
    internal const uint SubmissionOverflow = 1 << 1;
    internal const uint SubmissionTaskrun = 1 << 2;

    internal const ushort PollFirst = 1 << 0;
    internal const ushort ReceiveMultishot = 1 << 1;
    internal const ushort AcceptMultishot = 1 << 0;

    /// <summary>Linux 6.10: an accept that finds nobody says so instead of waiting.</summary>
    internal const ushort AcceptDontWait = 1 << 1;

    internal const uint PollMultishot = 1 << 0;
    internal const uint CancelAll = 1 << 0;
    internal const uint CancelDescriptor = 1 << 1;
    internal const uint CancelAny = 1 << 2;
    internal const uint CancelDescriptorIsFixed = 1 << 3;
    internal const uint FileIndexAllocate = uint.MaxValue;

    // Linux 6.7.
    internal const uint SocketQueuedToSend = 1;
    internal const uint SocketGetOption = 2;
    internal const uint SocketSetOption = 3;

    internal const long OffsetRings = 0;
    internal const long OffsetEntries = 0x10000000;
}

/// <summary>struct io_uring_sqe, with the names of the unions' members that the loop uses.</summary>
[StructLayout(LayoutKind.Explicit, Size = 64)]
internal struct SubmissionEntry
{
    [FieldOffset(0)]
    internal byte Opcode;

    [FieldOffset(1)]
    internal byte Flags;

    [FieldOffset(2)]
    internal ushort Priority;

    [FieldOffset(4)]
    internal int Descriptor;

    [FieldOffset(8)]
    internal ulong Offset;

    [FieldOffset(8)]
    internal uint CommandOperation;

    [FieldOffset(16)]
    internal ulong Address;

    [FieldOffset(16)]
    internal uint OptionLevel;

    [FieldOffset(20)]
    internal uint OptionName;

    [FieldOffset(24)]
    internal uint Length;

    [FieldOffset(28)]
    internal uint OperationFlags;

    [FieldOffset(32)]
    internal ulong UserData;

    [FieldOffset(40)]
    internal ushort BufferGroup;

    [FieldOffset(44)]
    internal uint FileIndex;

    [FieldOffset(44)]
    internal uint OptionLength;

    [FieldOffset(48)]
    internal ulong OptionValue;
}

/// <summary>struct io_uring_cqe.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Completion
{
    internal ulong UserData;
    internal int Result;
    internal uint Flags;

    internal readonly bool HasMore => (Flags & UringAbi.CompletionHasMore) != 0;
}

/// <summary>struct io_uring_params.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct UringParameters
{
    internal uint SubmissionEntries;
    internal uint CompletionEntries;
    internal uint Flags;
    internal uint PollThreadCpu;
    internal uint PollThreadIdleMs;
    internal uint Features;
    internal uint WorkQueueDescriptor;
    internal fixed uint Reserved[3];
    internal RingOffsets Submission;
    internal RingOffsets Completion;
}

/// <summary>struct io_sqring_offsets and io_cqring_offsets, which differ in the names of three members.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct RingOffsets
{
    internal uint Head;
    internal uint Tail;
    internal uint Mask;
    internal uint Entries;

    /// <summary>Of the submission ring; of the completion ring it is the count of overflows.</summary>
    internal uint Flags;

    /// <summary>Of the submission ring the count of dropped entries; of the completion ring the offset of its entries.</summary>
    internal uint CompletionEntries;
    internal uint Array;
    internal uint Reserved;
    internal ulong UserAddress;
}

/// <summary>struct io_uring_rsrc_register.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceRegister
{
    internal uint Count;
    internal uint Flags;
    internal ulong Reserved;
    internal ulong Data;
    internal ulong Tags;
}

/// <summary>struct io_uring_rsrc_update.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ResourceUpdate
{
    internal uint Offset;
    internal uint Reserved;
    internal ulong Data;
}

/// <summary>struct io_uring_file_index_range.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FileIndexRange
{
    internal uint Offset;
    internal uint Length;
    internal ulong Reserved;
}

/// <summary>struct io_uring_buf_reg.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct BufferRingRegister
{
    internal ulong Address;
    internal uint Entries;
    internal ushort Group;
    internal ushort Flags;
    internal fixed ulong Reserved[3];
}

/// <summary>struct io_uring_buf. The ring's tail lies in the last two bytes of the first entry.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BufferEntry
{
    internal ulong Address;
    internal uint Length;
    internal ushort Id;
    internal ushort Reserved;
}

/// <summary>struct io_uring_getevents_arg.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct GetEventsArgument
{
    internal ulong SignalMask;
    internal uint SignalMaskSize;
    internal uint MinimumWaitUs;
    internal ulong Timeout;
}

/// <summary>struct __kernel_timespec.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct KernelTime
{
    internal long Seconds;
    internal long Nanoseconds;
}
