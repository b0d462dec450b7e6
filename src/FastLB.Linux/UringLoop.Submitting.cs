using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>How operations are submitted: written into the ring's queue under a tag by which their completions are recognized, and with the kernel at the turn's end, or, when an answer is needed at once, in its middle.</summary>
public sealed unsafe partial class UringLoop
{
    /// <summary>Completions that were taken out of the queue while an answer was awaited in the middle of a turn.</summary>
    private readonly Queue<Completion> _early = new();

    private uint _asked;

    // What an operation is called by: its kind in the highest byte, 24 bits of its peer's generation, and the descriptor's number.
    private enum Kind : byte
    {
        Ignored,
        Wake,
        Accept,
        PeerName,
        Receive,
        Send,
        Socket,
        Connect,
        Part,
        Close,
        Readable,
        Writable,
    }

    private const uint TagGenerationMask = 0x00FF_FFFF;
    private const ulong AskedBit = 1UL << 31;

    private static ulong TagOf(Kind kind, int slot, uint generation = 0) =>
        ((ulong)kind << 56) | ((ulong)(generation & TagGenerationMask) << 32) | (uint)slot;

    private static Kind KindOf(ulong tag) => (Kind)(tag >> 56);

    private static uint GenerationOf(ulong tag) => (uint)(tag >> 32) & TagGenerationMask;

    private static int SlotOf(ulong tag) => (int)(tag & 0x7FFF_FFFF);

    /// <summary>An entry of the queue that concerns no peer's descriptor, which the caller completes.</summary>
    private ref SubmissionEntry Entry(byte operation, ulong tag)
    {
        MakeRoom(1);
        ref var entry = ref _ring.Next();
        entry.Opcode = operation;
        entry.UserData = tag;
        return ref entry;
    }

    /// <summary>An operation on a peer's descriptor; it is in flight from now on.</summary>
    private ref SubmissionEntry Entry(byte operation, Peer peer, Kind kind)
    {
        ref var state = ref peer.State;
        state.InFlight++;
        ref var entry = ref Entry(operation, TagOf(kind, state.Handle, state.Generation));
        entry.Descriptor = state.Handle;
        entry.Flags = UringAbi.FixedFile;
        return ref entry;
    }

    /// <summary>A full queue is submitted; while the kernel refuses that, completions are put aside to make it room.</summary>
    private void MakeRoom(uint count)
    {
        while (_ring.Room < count)
        {
            Invariant.That(_enabled, "what is submitted before the first turn fits into the queue");
            Enter(0, 0);
            TakeEarly();
        }
    }

    private void TakeEarly()
    {
        while (_ring.TryTake(out var completion))
        {
            _early.Enqueue(completion);
        }
    }

    /// <summary>Submits an entry that the kernel completes at once and takes its completion out of the others. Its result.</summary>
    private int Ask(ref SubmissionEntry entry)
    {
        Begin();
        var tag = TagOf(Kind.Ignored, 0, ++_asked & TagGenerationMask) | AskedBit;
        entry.UserData = tag;
        while (true)
        {
            Enter(0, 0);
            while (_ring.TryTake(out var completion))
            {
                if (completion.UserData == tag)
                {
                    return completion.Result;
                }

                _early.Enqueue(completion);
            }
        }
    }
}
