using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// How the loop connects and closes. A TCP connect is a chain that the kernel runs through by itself: make the socket, set its options,
/// connect. A unix socket is connected with system calls: the ring would wait for a worker whose queue is full, where a refusal is wanted,
/// and it ends at once anyway.
/// </summary>
public sealed unsafe partial class UringLoop
{
    private const int OneOffset = 0;
    private const int LingerOffset = 8;
    private const int CongestionControlOffset = 16;
    private const int ConnectAddressOffset = 64;

    /// <summary>The kernel reads an address when the entry is submitted, so there are as many places as the queue can hold.</summary>
    private const int ConnectAddresses = 1024;
    private const nint ConstantsLength = ConnectAddressOffset + (ConnectAddresses * SocketAddress.MaxIpLength);

    private readonly Stack<int> _ownSlots;
    private uint _connects;

    public override void Connect(Peer peer, Endpoint endpoint)
    {
        Invariant.That(peer.State.Flags == PeerFlags.None, "a peer connects once");
        if (!_ownSlots.TryPop(out var slot))
        {
            peer.State.Handle = -1;
            peer.State.Flags = PeerFlags.Attached;
            OpenPeers++;
            NoteConnected(peer, -IoError.OutOfDescriptors);
            return;
        }

        Attach(peer, slot, PeerFlags.Connecting);
        if (endpoint.IsUnix)
        {
            NoteConnected(peer, ConnectUnix(slot, endpoint));
            return;
        }

        // 1. The socket, with the number that was chosen for it.
        MakeRoom(4);
        ref var socket = ref Entry(UringAbi.Socket, peer, Kind.Socket);
        socket.Descriptor = SocketAddress.FamilyOf(endpoint);
        socket.Offset = Libc.SOCK_STREAM;
        socket.FileIndex = (uint)slot + 1;
        socket.Flags = UringAbi.Link;

        // 2. Its options; a kernel that will not is no reason not to connect.
        SetOptionThenGoOn(peer, Libc.TCP_NODELAY, OneOffset, sizeof(int));
        if (CongestionControl.IsChosenFor(endpoint))
        {
            SetOptionThenGoOn(peer, Libc.TCP_CONGESTION, CongestionControlOffset, CongestionControl.LoopbackName.Length);
        }

        // 3. The connection.
        var address = _constants + ConnectAddressOffset + (_connects++ % ConnectAddresses * SocketAddress.MaxIpLength);
        Span<byte> bytes = stackalloc byte[SocketAddress.MaxLength];
        var length = SocketAddress.Write(endpoint, bytes);
        bytes[..length].CopyTo(new Span<byte>(address, SocketAddress.MaxIpLength));
        ref var connect = ref Entry(UringAbi.Connect, peer, Kind.Connect);
        connect.Address = (ulong)address;
        connect.Offset = (ulong)length;
    }

    /// <summary>An entry of a chain that goes on whatever becomes of it.</summary>
    private void SetOptionThenGoOn(Peer peer, int name, int constantOffset, int length)
    {
        ref var option = ref Entry(UringAbi.Command, peer, Kind.Part);
        option.CommandOperation = UringAbi.SocketSetOption;
        option.OptionLevel = Libc.IPPROTO_TCP;
        option.OptionName = (uint)name;
        option.OptionLength = (uint)length;
        option.OptionValue = (ulong)(_constants + constantOffset);
        option.Flags |= UringAbi.HardLink;
    }

    public override void ShutdownSend(Peer peer)
    {
        ref var state = ref peer.State;
        Invariant.That(peer.IsOpen && !peer.IsSending, "the sending side ends after its last send");
        if ((state.Flags & PeerFlags.SendSideShut) != 0)
        {
            return;
        }

        state.Flags |= PeerFlags.SendSideShut;

        // The ring's own shutdown goes to a kernel thread and comes late. A descriptor of the process's does it here and now.
        var descriptor = InstallDescriptor(peer);
        if (descriptor >= 0)
        {
            Libc.Shutdown(descriptor, Libc.SHUT_WR);
            Libc.Close(descriptor);
            return;
        }

        Entry(UringAbi.Shutdown, peer, Kind.Part).Length = Libc.SHUT_WR;
    }

    public override void Close(Peer peer, bool reset = false)
    {
        ref var state = ref peer.State;
        Invariant.That((state.Flags & PeerFlags.Attached) != 0, "only an attached peer is closed");
        state.Flags |= reset ? PeerFlags.CloseRequested | PeerFlags.ResetOnClose : PeerFlags.CloseRequested;
        Timers.Cancel(peer);
        GiveUpMoves(peer);
        MarkReady(peer);
    }

    private int ConnectUnix(int slot, Endpoint endpoint)
    {
        var fd = Libc.Socket(Libc.AF_UNIX);
        if (fd < 0)
        {
            return fd;
        }

        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        var result = Libc.Connect(fd, address[..SocketAddress.Write(endpoint, address)]);
        if (result >= 0)
        {
            var update = new ResourceUpdate { Offset = (uint)slot, Data = (ulong)&fd };
            result = Math.Min(0, _ring.Register(UringAbi.RegisterFilesUpdate, &update, 1));
        }

        Libc.Close(fd);
        return result;
    }

    /// <summary>An error is told in the turn, and so is a connect that ended inside the submit.</summary>
    private void NoteConnected(Peer peer, int result)
    {
        peer.State.Flags = (peer.State.Flags & ~PeerFlags.Connecting) | PeerFlags.ConnectCompleted;
        peer.State.SendResult = result;
        MarkReady(peer);
    }

    private static void CompleteConnect(Peer peer, Kind kind, int result)
    {
        ref var state = ref peer.State;
        state.InFlight--;
        if (kind == Kind.Socket)
        {
            state.SendResult = Math.Min(0, result);
            return;
        }

        if ((state.Flags & PeerFlags.CloseRequested) == 0)
        {
            // Without a socket the rest of the chain is cancelled, and its own error says nothing.
            state.Flags &= ~PeerFlags.Connecting;
            peer.OnConnected(state.SendResult < 0 ? state.SendResult : Math.Min(0, result));
        }
    }

    /// <summary>
    /// A peer that closes: what is in flight is cancelled, and when all of it has completed the descriptor is closed. Only then may its
    /// number be given out again.
    /// </summary>
    private void ContinueClose(Peer peer)
    {
        ref var state = ref peer.State;
        if ((state.Flags & PeerFlags.Starved) != 0)
        {
            state.Flags &= ~PeerFlags.Starved;
            _starved.Remove(peer);
        }

        ReleaseHeld(ref state);
        if (state.Handle < 0)
        {
            Detach(peer);
            return;
        }

        if ((state.Flags & PeerFlags.CloseSubmitted) != 0)
        {
            return;
        }

        if (state.InFlight > 0)
        {
            if ((state.Flags & PeerFlags.CancelSubmitted) == 0)
            {
                state.Flags |= PeerFlags.CancelSubmitted;
                ref var cancel = ref Entry(UringAbi.AsyncCancel, TagOf(Kind.Ignored, 0));
                cancel.Descriptor = state.Handle;
                cancel.OperationFlags = UringAbi.CancelAll | UringAbi.CancelDescriptor | UringAbi.CancelDescriptorIsFixed;
            }

            return;
        }

        state.Flags |= PeerFlags.CloseSubmitted;
        MakeRoom(2);
        if ((state.Flags & PeerFlags.ResetOnClose) != 0)
        {
            ref var linger = ref Entry(UringAbi.Command, TagOf(Kind.Ignored, 0));
            linger.Descriptor = state.Handle;
            linger.CommandOperation = UringAbi.SocketSetOption;
            linger.OptionLevel = Libc.SOL_SOCKET;
            linger.OptionName = Libc.SO_LINGER;
            linger.OptionLength = 2 * sizeof(int);
            linger.OptionValue = (ulong)(_constants + LingerOffset);
            linger.Flags = UringAbi.FixedFile | UringAbi.HardLink;
        }

        ref var close = ref Entry(UringAbi.Close, peer, Kind.Close);
        close.Flags = 0;
        close.Descriptor = 0;
        close.FileIndex = (uint)state.Handle + 1;
    }

    private void FinishClose(Peer peer)
    {
        var slot = peer.State.Handle;
        _peers[slot] = null;
        if (slot >= _acceptCapacity)
        {
            _ownSlots.Push(slot);
        }

        Detach(peer);
    }

    private void Detach(Peer peer)
    {
        Invariant.That(peer.State.SendBuffer is null && peer.State.LastHeld is null, "nothing of a closed peer is left");
        OpenPeers--;
        peer.State = default;
        peer.State.Handle = -1;
        peer.OnClosed();
    }

    /// <summary>A descriptor of the process for a socket that so far exists in the ring alone; -errno when there is none.</summary>
    private int InstallDescriptor(Peer peer)
    {
        ref var entry = ref Entry(UringAbi.FixedFdInstall, 0);
        entry.Descriptor = peer.State.Handle;
        entry.Flags = UringAbi.FixedFile;
        return Ask(ref entry);
    }
}
