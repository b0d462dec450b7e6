using System.Diagnostics.CodeAnalysis;

namespace FastLB.Linux;

/// <summary>
/// One io_uring: its two queues in memory shared with the kernel, and the call that submits and waits. It is opened disabled, so
/// that any thread may do that; <see cref="Enable"/> makes the calling thread the only one that may enter it. Everything but opening
/// belongs to that thread.
/// <para>
/// A full submission queue is submitted and used again. A full completion queue loses nothing: the kernel keeps what does not fit
/// (IORING_FEAT_NODROP) and hands it over at the next enter; it only ends multishot operations then, which are started anew.
/// </para>
/// </summary>
internal sealed unsafe class Ring : IDisposable
{
    /// <summary>What an engine on io_uring cannot be without.</summary>
    private const uint NeededFeatures = UringAbi.FeatureSingleMmap | UringAbi.FeatureNoDrop;

    private const uint SetupFlags = UringAbi.SetupCqSize | UringAbi.SetupClamp | UringAbi.SetupSubmitAll | UringAbi.SetupDisabled
        | UringAbi.SetupSingleIssuer | UringAbi.SetupDeferTaskrun | UringAbi.SetupTaskrunFlag | UringAbi.SetupNoSqArray;

    private readonly int _descriptor;
    private readonly byte* _rings;
    private readonly nint _ringsLength;
    private readonly SubmissionEntry* _entries;
    private readonly nint _entriesLength;
    private readonly uint* _submissionHead;
    private readonly uint* _submissionTail;
    private readonly uint* _submissionFlags;
    private readonly uint _submissionMask;
    private readonly uint* _completionHead;
    private readonly uint* _completionTail;
    private readonly Completion* _completions;
    private readonly uint _completionMask;
    private uint _tail;
    private uint _head;
    private int _enterDescriptor;
    private uint _enterFlags;

    private Ring(int descriptor, in UringParameters parameters)
    {
        _descriptor = descriptor;
        _enterDescriptor = descriptor;
        Completions = parameters.CompletionEntries;
        Entries = parameters.SubmissionEntries;
        _ringsLength = (nint)(parameters.Completion.CompletionEntries + (parameters.CompletionEntries * sizeof(Completion)));
        _entriesLength = (nint)(parameters.SubmissionEntries * sizeof(SubmissionEntry));
        _rings = Libc.MapRing(descriptor, _ringsLength, UringAbi.OffsetRings);
        _entries = (SubmissionEntry*)Libc.MapRing(descriptor, _entriesLength, UringAbi.OffsetEntries);
        _submissionHead = (uint*)(_rings + parameters.Submission.Head);
        _submissionTail = (uint*)(_rings + parameters.Submission.Tail);
        _submissionFlags = (uint*)(_rings + parameters.Submission.Flags);
        _submissionMask = parameters.SubmissionEntries - 1;
        _completionHead = (uint*)(_rings + parameters.Completion.Head);
        _completionTail = (uint*)(_rings + parameters.Completion.Tail);
        _completions = (Completion*)(_rings + parameters.Completion.CompletionEntries);
        _completionMask = parameters.CompletionEntries - 1;
    }

    internal uint Entries { get; }

    internal uint Completions { get; }

    /// <summary>True when a completion waits that was not taken yet.</summary>
    internal bool HasCompletion => Volatile.Read(ref *_completionTail) != _head;

    /// <summary>Opens a ring. 0, or -errno: -EPERM and -ENOSYS where it is forbidden, -EINVAL where the kernel is too old.</summary>
    internal static int TryOpen(uint entries, uint completions, out Ring? ring)
    {
        ring = null;
        var parameters = new UringParameters { Flags = SetupFlags, CompletionEntries = completions };
        var descriptor = Libc.UringSetup(entries, &parameters);
        if (descriptor < 0)
        {
            return descriptor;
        }

        if ((parameters.Features & NeededFeatures) != NeededFeatures)
        {
            Libc.Close(descriptor);
            return -Libc.EINVAL;
        }

        var opened = new Ring(descriptor, parameters);
        if (opened._rings is null || opened._entries is null)
        {
            opened.Dispose();
            return -Core.Loop.IoError.OutOfMemory;
        }

        ring = opened;
        return 0;
    }

    /// <summary>Whether the kernel knows an operation.</summary>
    internal bool Knows(byte operation)
    {
        // struct io_uring_probe: 16 bytes, then 8 for each operation, of which bit 0 of the byte at 2 says that it is supported.
        const int Operations = 256;
        var probe = stackalloc byte[16 + (8 * Operations)];
        new Span<byte>(probe, 16 + (8 * Operations)).Clear();
        return Register(UringAbi.RegisterProbe, probe, Operations) >= 0 && (probe[16 + (8 * operation) + 2] & 1) != 0;
    }

    internal int Register(uint operation, void* argument, uint count) => Libc.UringRegister(_descriptor, operation, argument, count);

    /// <summary>Makes the calling thread the ring's own. 0 or -errno.</summary>
    internal int Enable()
    {
        var result = Register(UringAbi.RegisterEnableRings, null, 0);
        if (result < 0)
        {
            return result;
        }

        // A registered descriptor saves the look-up in the process's table at each call. Without one it works as well.
        var update = new ResourceUpdate { Offset = uint.MaxValue, Data = (ulong)_descriptor };
        if (Register(UringAbi.RegisterRingDescriptors, &update, 1) == 1)
        {
            _enterDescriptor = (int)update.Offset;
            _enterFlags = UringAbi.EnterRegisteredRing;
        }

        return 0;
    }

    /// <summary>How many entries fit in before the queue has to be submitted.</summary>
    internal uint Room => Entries - (_tail - Volatile.Read(ref *_submissionHead));

    /// <summary>The next entry to fill in, cleared. There must be <see cref="Room"/>.</summary>
    internal ref SubmissionEntry Next()
    {
        var entry = _entries + (_tail++ & _submissionMask);
        *entry = default;
        return ref *entry;
    }

    /// <summary>
    /// Submits what was filled in, lets the kernel do the work that waits for this thread, and sleeps until there are
    /// <paramref name="complete"/> completions, at most <paramref name="timeoutMs"/> (-1: without limit). The answer is io_uring_enter's.
    /// </summary>
    internal int Enter(uint complete, int timeoutMs)
    {
        Volatile.Write(ref *_submissionTail, _tail);
        var submit = _tail - Volatile.Read(ref *_submissionHead);
        var flags = _enterFlags | UringAbi.EnterGetEvents;
        if (complete == 0 || timeoutMs < 0)
        {
            return Libc.UringEnter(_enterDescriptor, submit, complete, flags, null, 0);
        }

        var time = new KernelTime { Seconds = timeoutMs / 1000, Nanoseconds = timeoutMs % 1000 * 1_000_000L };
        var argument = new GetEventsArgument { Timeout = (ulong)&time };
        return Libc.UringEnter(
            _enterDescriptor, submit, complete, flags | UringAbi.EnterExtendedArgument, &argument, sizeof(GetEventsArgument));
    }

    /// <summary>Takes the oldest completion. False when there is none.</summary>
    internal bool TryTake(out Completion completion)
    {
        if (!HasCompletion)
        {
            completion = default;
            return false;
        }

        completion = _completions[_head & _completionMask];
        Volatile.Write(ref *_completionHead, ++_head);
        return true;
    }

    /// <summary>True when an enter would find something to do or to take; read from shared memory, without a call.</summary>
    internal bool HasWork => HasCompletion
        || (Volatile.Read(ref *_submissionFlags) & (UringAbi.SubmissionTaskrun | UringAbi.SubmissionOverflow)) != 0;

    [SuppressMessage("Usage", "CA1816", Justification = "There is no finalizer: a loop is closed by its thread.")]
    public void Dispose()
    {
        Libc.Unmap(_rings, _ringsLength);
        Libc.Unmap((byte*)_entries, _entriesLength);
        Libc.Close(_descriptor);
    }
}
