using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>
/// An event loop on the simulated kernel. It is as unkind as the contract allows: a receive brings any part of what is there, a
/// send is taken in pieces, a turn passes over peers at random, the close of a peer may take turns during which its buffers
/// are still being read, and descriptors are used again at once. It checks its side of the contract: that no callback
/// runs inside a submit, that one receive and one send are outstanding, and that bytes handed to send stay as they are.
/// Moving is in SimLoop.Moving.cs.
/// </summary>
internal sealed partial class SimLoop(SimNetwork network, BufferPool buffers, ulong seed) : EventLoop(0, buffers, seed, network.NowMs)
{
    private readonly List<Descriptor?> _descriptors = [];
    private readonly Stack<int> _free = new();
    private readonly List<Listener> _listeners = [];
    private readonly HashSet<Listener> _full = [];
    private readonly List<Descriptor> _turn = [];
    private bool _isSubmitting;
    private volatile bool _woken;

    public override string EngineName => "simulated";

    internal int OpenPeers => _descriptors.Count - _free.Count;

    internal bool HasPendingPosts => HasPosted;

    /// <summary>Connections that wait for a listener that still accepts.</summary>
    internal bool IsAccepting => _listeners.Count > 0;

    /// <summary>Peers that the proxy has not closed.</summary>
    internal IEnumerable<Peer> Peers
    {
        get
        {
            foreach (var descriptor in _descriptors)
            {
                if (descriptor is { Peer.IsOpen: true, IsAcceptPending: false })
                {
                    yield return descriptor.Peer;
                }
            }
        }
    }

    internal Action<Endpoint>? Connecting { get; set; }

    internal Action<string>? Trace { get; set; }

    /// <summary>The fault that descriptors ran out: while true nothing is accepted.</summary>
    internal bool IsOutOfDescriptors { get; set; }

    /// <summary>While true no close is finished: the kernel still works on what the peer had in flight.</summary>
    internal bool HoldsCloses { get; set; }

    internal bool WasWoken => _woken;

    /// <summary>How many sends were begun.</summary>
    internal int Sends { get; private set; }

    internal void RunTurn()
    {
        _woken = false;
        SetClock(network.NowMs * 1_000_000);
        foreach (var listener in _listeners)
        {
            AcceptWaiting(listener, everything: false);
        }

        Timers.Advance(NowMs);
        RunPosted();
        _turn.Clear();
        foreach (var descriptor in _descriptors)
        {
            if (descriptor is not null)
            {
                _turn.Add(descriptor);
            }
        }

        // Any order will do for a kernel.
        for (var i = 0; i < _turn.Count; i++)
        {
            var j = i + network.Chance.Next(_turn.Count - i);
            (_turn[i], _turn[j]) = (_turn[j], _turn[i]);
            Dispatch(_turn[i]);
        }
    }

    public override void Listen(Listener listener, int socket)
    {
        Invariant.That(!listener.IsListening, "a listener listens once");
        listener.Handle = socket;
        _listeners.Add(listener);
    }

    public override void StopListening(Listener listener)
    {
        Invariant.That(listener.IsListening, "only a listener that listens is stopped");
        AcceptWaiting(listener, everything: true);
        network.BacklogAt(listener.Handle).IsClosed = true;
        _listeners.Remove(listener);
        _full.Remove(listener);
        listener.Handle = -1;
        network.Note();
        listener.OnStopped();
    }

    public override void ResumeAccepting(Listener listener)
    {
        if (_full.Remove(listener))
        {
            network.Note();
        }
    }

    public override void Connect(Peer peer, Endpoint endpoint) => Submit(() =>
    {
        Connecting?.Invoke(endpoint);
        var descriptor = Attach(peer);
        peer.State.Flags |= PeerFlags.Connecting;
        descriptor.Connect = network.BeginConnect(endpoint);
    });

    public override void Receive(Peer peer) => Submit(() =>
    {
        Invariant.That(peer.IsOpen, "only an open peer receives");
        Invariant.That(!peer.IsReceiving, "one receive is outstanding per peer");
        peer.State.Flags |= PeerFlags.ReceiveArmed;
    });

    public override void Send(Peer peer, LoopBuffer buffer, int start, int end) => Submit(() =>
    {
        Invariant.That(peer.IsOpen, "only an open peer sends");
        Invariant.That(!peer.IsSending, "one send is outstanding per peer");
        Invariant.That(start >= 0 && start < end && end <= buffer.Memory.Length, "a send has bytes and stays in its buffer");
        var descriptor = DescriptorOf(peer);
        Sends++;
        Invariant.That(descriptor.Socket is not null, "only a connected peer sends");
        Invariant.That((peer.State.Flags & PeerFlags.SendSideShut) == 0, "nothing is sent behind the end of a stream");
        peer.State.Flags |= PeerFlags.SendOutstanding;
        peer.State.SendBuffer = buffer;
        peer.State.SendOffset = start;
        peer.State.SendEnd = end;
        descriptor.SendStart = start;
        descriptor.SendCopy = buffer.Span(start, end).ToArray();
        network.Note();
        if (network.Chance.Chance(0.5))
        {
            TrySend(descriptor);
        }
    });

    public override void ShutdownSend(Peer peer) => Submit(() =>
    {
        Invariant.That(peer.IsOpen && !peer.IsSending, "the sending side ends after its last send");
        if ((peer.State.Flags & PeerFlags.SendSideShut) == 0)
        {
            peer.State.Flags |= PeerFlags.SendSideShut;
            DescriptorOf(peer).Socket!.ShutdownWrite();
        }
    });

    public override void Close(Peer peer, bool reset = false) => Submit(() =>
    {
        Invariant.That((peer.State.Flags & PeerFlags.Attached) != 0, "only an attached peer is closed");
        peer.State.Flags |= reset ? PeerFlags.CloseRequested | PeerFlags.ResetOnClose : PeerFlags.CloseRequested;
        Timers.Cancel(peer);
        GiveUpMoves(DescriptorOf(peer));
        network.Note();
    });

    protected override void Wake() => _woken = true;

    private void Submit(Action action)
    {
        var outer = _isSubmitting;
        _isSubmitting = true;
        try
        {
            action();
        }
        finally
        {
            _isSubmitting = outer;
        }
    }

    private void Dispatch(Descriptor descriptor)
    {
        var peer = descriptor.Peer;
        ref var state = ref peer.State;
        if (network.IsDelayed() || !IsCurrent(descriptor))
        {
            return;
        }

        if (descriptor.IsAcceptPending && peer.IsOpen)
        {
            descriptor.IsAcceptPending = false;
            Call(descriptor, "accepted", 0);
            peer.OnAccepted();
        }

        if (peer.IsOpen && descriptor.Connect is { IsOver: true } connect)
        {
            descriptor.Connect = null;
            descriptor.Socket = connect.Socket;
            state.Flags &= ~PeerFlags.Connecting;
            var result = connect.IsRefused ? -IoError.ConnectionRefused : 0;
            Call(descriptor, "connected", result);
            peer.OnConnected(result);
        }

        if (peer.IsOpen && peer.IsSending && descriptor.MoveTo is null && TrySend(descriptor))
        {
            descriptor.IsSendOver = false;
            state.Flags &= ~PeerFlags.SendOutstanding;
            Call(descriptor, "sent", state.SendResult);
            peer.OnSent(state.SendResult);
        }

        if (peer.IsOpen && peer.IsReceiving && descriptor.MoveFrom is null && descriptor.Socket is not null)
        {
            TryReceive(descriptor);
        }

        if (peer.IsOpen && descriptor.MoveFrom is { } away)
        {
            Step(away);
        }

        if (peer.IsOpen && descriptor.MoveTo is { } towards)
        {
            Step(towards);
        }

        if (!peer.IsOpen && IsCurrent(descriptor) && !HoldsCloses && !network.IsDelayed())
        {
            FinishClose(descriptor);
        }
    }

    /// <summary>Lets the kernel take a part. True when the send is over; the buffer went back then, and its result is in the state.</summary>
    private bool TrySend(Descriptor descriptor)
    {
        if (descriptor.IsSendOver)
        {
            return true;
        }

        ref var state = ref descriptor.Peer.State;
        var buffer = state.SendBuffer!;
        CheckUntouched(descriptor, buffer);
        var remaining = state.SendEnd - state.SendOffset;
        var sent = descriptor.Socket!.Write(buffer.Span(state.SendOffset, state.SendOffset + network.Portion(remaining)));
        if (sent == -IoError.TryAgain)
        {
            return false;
        }

        state.SendOffset += Math.Max(0, sent);
        if (sent > 0 && state.SendOffset < state.SendEnd)
        {
            return false;
        }

        state.SendResult = Math.Min(0, sent);
        state.SendBuffer = null;
        descriptor.SendCopy = [];
        descriptor.IsSendOver = true;
        buffer.Release();
        network.Note();
        return true;
    }

    private static void CheckUntouched(Descriptor descriptor, LoopBuffer buffer)
    {
        var now = buffer.Span(descriptor.SendStart, descriptor.SendStart + descriptor.SendCopy.Length);
        Invariant.That(now.SequenceEqual(descriptor.SendCopy), "bytes handed to send belong to the loop until its completion");
    }

    private void TryReceive(Descriptor descriptor)
    {
        var socket = descriptor.Socket!;
        var peer = descriptor.Peer;
        if (!socket.IsReadable)
        {
            return;
        }

        var buffer = Buffers.TryRentForReceive();
        if (buffer is null)
        {
            return;
        }

        var wanted = network.Portion(Math.Min(Math.Max(1, socket.Incoming.Arrived.Count), buffer.DataCapacity));
        var received = socket.Read(buffer.Span(LoopBuffer.DataOffset, LoopBuffer.DataOffset + wanted));
        peer.State.Flags &= ~PeerFlags.ReceiveArmed;
        network.Note();
        Call(descriptor, "received", received);
        if (received <= 0)
        {
            buffer.Release();
            peer.OnReceived(null, received);
            return;
        }

        // What stands around the bytes is nobody's business, so it is different every time.
        var noise = (byte)network.Chance.Next(256);
        buffer.Span(0, LoopBuffer.DataOffset).Fill(noise);
        buffer.Span(LoopBuffer.DataOffset + received, Math.Min(buffer.Memory.Length, LoopBuffer.DataOffset + received + 256)).Fill(noise);
        peer.OnReceived(buffer, received);
    }

    private void FinishClose(Descriptor descriptor)
    {
        var peer = descriptor.Peer;
        var reset = (peer.State.Flags & PeerFlags.ResetOnClose) != 0;
        if (peer.State.SendBuffer is { } unsent)
        {
            CheckUntouched(descriptor, unsent);
            unsent.Release();
        }

        if (descriptor.Connect is { } connect)
        {
            connect.IsAbandoned = true;
            connect.Socket?.Close(reset: true);
        }

        Invariant.That(!peer.IsTimerArmed, "a peer that has closed waits for no time");
        Call(descriptor, reset ? "closed with a reset" : "closed", 0);
        descriptor.Socket?.Close(reset);
        _descriptors[descriptor.Handle] = null;
        _free.Push(descriptor.Handle);
        peer.State = default;
        peer.State.Handle = -1;
        peer.OnClosed();
    }

    private void AcceptWaiting(Listener listener, bool everything)
    {
        var waiting = network.BacklogAt(listener.Handle).Waiting;
        while (waiting.Count > 0 && (everything || (!IsOutOfDescriptors && !_full.Contains(listener) && !network.IsDelayed())))
        {
            if (!everything && !listener.TryAdmit())
            {
                _full.Add(listener);
                return;
            }

            var (socket, address) = waiting.Dequeue();
            network.Note();
            if (listener.OnAccepting(address) is not { } peer)
            {
                socket.Close();
                continue;
            }

            var descriptor = Attach(peer);
            descriptor.Socket = socket;
            descriptor.IsAcceptPending = true;
        }
    }

    private Descriptor Attach(Peer peer)
    {
        Invariant.That(peer.State.Flags == PeerFlags.None, "a peer is attached once");
        Invariant.That(!peer.IsTimerArmed, "a peer that is attached has no timer left from before");
        if (!_free.TryPop(out var handle))
        {
            handle = _descriptors.Count;
            _descriptors.Add(null);
        }

        var descriptor = new Descriptor(peer, handle);
        _descriptors[handle] = descriptor;
        peer.State.Handle = handle;
        peer.State.Flags = PeerFlags.Attached;
        return descriptor;
    }

    public override bool HasInput(Peer peer, bool askKernel) => DescriptorOf(peer).Socket is { IsReadable: true };

    private Descriptor DescriptorOf(Peer peer) => _descriptors[peer.State.Handle]!;

    private bool IsCurrent(Descriptor descriptor) => ReferenceEquals(_descriptors[descriptor.Handle], descriptor);

    private void Call(Descriptor descriptor, string what, int result)
    {
        Invariant.That(!_isSubmitting, "no callback runs inside a submit");
        Trace?.Invoke($"loop: {descriptor.Peer.GetType().Name} #{descriptor.Handle} {what} {result}");
    }

    private sealed class Descriptor(Peer peer, int handle)
    {
        internal Peer Peer { get; } = peer;

        internal int Handle { get; } = handle;

        internal SimSocket? Socket { get; set; }

        internal PendingConnect? Connect { get; set; }

        internal bool IsAcceptPending { get; set; }

        internal bool IsSendOver { get; set; }

        internal int SendStart { get; set; }

        internal byte[] SendCopy { get; set; } = [];

        internal Movement? MoveFrom { get; set; }

        internal Movement? MoveTo { get; set; }
    }
}
