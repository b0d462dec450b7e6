using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>How the loop sends: what the kernel has not taken at once waits there until the socket has room.</summary>
public sealed unsafe partial class UringLoop
{
    public override void Send(Peer peer, LoopBuffer buffer, int start, int end)
    {
        NoteSend(peer, buffer, start, end);
        SubmitSend(peer, 0);
    }

    public override long SendProgress(Peer peer) =>
        ((peer.State.Flags & PeerFlags.MoveTarget) != 0 ? MovedTo(peer) : peer.State.SendOffset) - QueuedToSend(peer);

    private void CompleteSend(Peer peer, int result)
    {
        ref var state = ref peer.State;
        state.InFlight--;
        var buffer = state.SendBuffer!;
        if ((state.Flags & PeerFlags.CloseRequested) != 0)
        {
            state.SendBuffer = null;
            buffer.Release();
            return;
        }

        state.SendOffset += Math.Max(0, result);
        if ((result >= 0 && state.SendOffset < state.SendEnd) || result is -Libc.EAGAIN or -Libc.EINTR)
        {
            // The socket is full, so the rest begins by waiting for it.
            SubmitSend(peer, UringAbi.PollFirst);
            return;
        }

        state.SendBuffer = null;
        buffer.Release();
        state.Flags &= ~PeerFlags.SendOutstanding;
        peer.OnSent(Math.Min(0, result));
    }

    private void SubmitSend(Peer peer, ushort priority)
    {
        ref var state = ref peer.State;
        ref var entry = ref Entry(UringAbi.Send, peer, Kind.Send);
        entry.Address = (ulong)Address(state.SendBuffer!) + (uint)state.SendOffset;
        entry.Length = (uint)(state.SendEnd - state.SendOffset);
        entry.OperationFlags = Libc.MSG_NOSIGNAL;
        entry.Priority = priority;
    }

    /// <summary>Whether the kernel has taken a send and not the other side; 0 where that cannot be told. Linux 6.7.</summary>
    private int QueuedToSend(Peer peer)
    {
        ref var entry = ref Entry(UringAbi.Command, 0);
        entry.Descriptor = peer.State.Handle;
        entry.Flags = UringAbi.FixedFile;
        entry.CommandOperation = UringAbi.SocketQueuedToSend;
        return Math.Max(0, Ask(ref entry));
    }

    /// <summary>Buffers are allocated pinned, so their address holds as long as they do.</summary>
    private static byte* Address(LoopBuffer buffer) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(buffer.Memory));
}
