using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>How the loop is opened and closed: the ring, the table of direct descriptors, the rings of receive buffers, and the memory that the kernel reads constants and writes addresses in.</summary>
public sealed unsafe partial class UringLoop
{
    /// <summary>More descriptors than this are no use to one loop, and the table costs memory.</summary>
    private const int MaxDescriptors = 256 * 1024;

    private bool _enabled;
    private bool _disposed;

    private UringLoop(int index, BufferPool buffers, ulong seed, Ring ring, int descriptors, int wake)
        : base(index, buffers, seed, LimitPipes())
    {
        _ring = ring;
        _wake = wake;
        _acceptCapacity = descriptors / 4 * 3;
        _peers = new Peer?[descriptors];
        _generations = new uint[descriptors];
        _ownSlots = new Stack<int>(descriptors - _acceptCapacity);
        for (var slot = descriptors - 1; slot >= _acceptCapacity; slot--)
        {
            _ownSlots.Push(slot);
        }

        _constants = Libc.MapMemory(ConstantsLength);
        *(int*)(_constants + OneOffset) = 1;
        *(int*)(_constants + LingerOffset) = 1;
        CongestionControl.LoopbackName.CopyTo(new Span<byte>(_constants + CongestionControlOffset, CongestionControl.MaxNameBytes));
        _addressLength = (nint)descriptors * SocketAddress.MaxIpLength;
        _addresses = Libc.MapMemory(_addressLength);
    }

    /// <summary>Opens a loop. 0, or -errno with the step that failed, and nothing is left behind.</summary>
    public static int TryOpen(int index, BufferPool buffers, ulong seed, SpinPolicy spin, out UringLoop? loop, out string step) =>
        TryOpen(index, buffers, seed, spin, new UringSizes(), out loop, out step);

    internal static int TryOpen(
        int index, BufferPool buffers, ulong seed, SpinPolicy spin, UringSizes sizes, out UringLoop? loop, out string step)
    {
        loop = null;
        step = "io_uring_setup";
        var result = Ring.TryOpen(sizes.Submissions, sizes.Completions, out var ring);
        if (result < 0)
        {
            return result;
        }

        step = "what io_uring has since Linux 6.11";
        if (!ring!.Knows(UringAbi.Bind))
        {
            ring.Dispose();
            return -Libc.EINVAL;
        }

        // The table of direct descriptors may not be larger than RLIMIT_NOFILE (io_uring_register(2)).
        var limit = Math.Min(sizes.Descriptors, Libc.DescriptorLimit() is > 0 and < MaxDescriptors and var allowed ? (int)allowed : MaxDescriptors);
        step = "the table of direct descriptors";
        var files = new ResourceRegister { Count = (uint)limit, Flags = UringAbi.ResourceSparse };
        result = ring.Register(UringAbi.RegisterFiles2, &files, (uint)sizeof(ResourceRegister));
        if (result >= 0)
        {
            var range = new FileIndexRange { Length = (uint)(limit / 4 * 3) };
            result = ring.Register(UringAbi.RegisterFileAllocationRange, &range, 0);
        }

        var wake = result < 0 ? result : Libc.EventDescriptor();
        if (wake < 0)
        {
            ring.Dispose();
            return wake;
        }

        var made = new UringLoop(index, buffers, seed, ring, limit, wake) { Spin = spin };
        step = "the rings of receive buffers";
        result = ReceiveBuffers.TryRegister(ring, buffers, large: false, sizes.SmallBuffers, 0, out made._smallBuffers);
        if (result >= 0)
        {
            result = ReceiveBuffers.TryRegister(ring, buffers, large: true, sizes.LargeBuffers, (ushort)sizes.SmallBuffers, out made._largeBuffers);
        }

        if (result < 0)
        {
            made.Dispose();
            return result;
        }

        step = "";
        loop = made;
        return 0;
    }

    /// <summary>The first turn: the ring becomes this thread's.</summary>
    private void Begin()
    {
        if (_enabled)
        {
            return;
        }

        Demand(_ring.Enable(), "IORING_REGISTER_ENABLE_RINGS");
        _enabled = true;
        WatchWake();
        _smallBuffers!.Refill();
    }

    /// <summary>The descriptor is never read: each write to it is an event, and the count cannot overflow.</summary>
    private void WatchWake()
    {
        ref var entry = ref Entry(UringAbi.PollAdd, TagOf(Kind.Wake, 0));
        entry.Descriptor = _wake;
        entry.OperationFlags = Libc.EPOLLIN | Libc.EPOLLET;
        entry.Length = UringAbi.PollMultishot;
    }

    public override void Dispose()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        if (_enabled)
        {
            // What is in flight is cancelled before its memory goes.
            Entry(UringAbi.AsyncCancel, TagOf(Kind.Ignored, 0)).OperationFlags = UringAbi.CancelAny | UringAbi.CancelAll;
            for (var i = 0; i < 3; i++)
            {
                _ring.Enter(0, 0);
            }

            _ring.Register(UringAbi.RegisterUnregisterFiles, null, 0);
        }

        CloseListeners();
        DisposeMoves();
        _ring.Dispose();
        _smallBuffers?.Dispose();
        _largeBuffers?.Dispose();
        Libc.Unmap(_constants, ConstantsLength);
        Libc.Unmap(_addresses, _addressLength);
        Libc.Close(_wake);
    }
}

/// <summary>How large a loop's rings are. Tests make them small, to see what happens when they are full.</summary>
internal readonly record struct UringSizes(uint Submissions, uint Completions, int SmallBuffers, int LargeBuffers, int Descriptors)
{
    public UringSizes()
        : this(512, 4096, 256, 32, int.MaxValue)
    {
    }
}
