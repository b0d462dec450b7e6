using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// How the loop accepts: one multishot accept per listener, which gives each connection the lowest free number of the table. A multishot
/// accept cannot tell who came, so that is asked for each connection on its way in (SO_PEERNAME, Linux 6.7; the descriptor does not exist
/// outside of the ring, so getpeername(2) cannot be). A table or a machine that is full makes accepting rest for a moment; what waits
/// meanwhile stays in the listening socket's queue. A listener that may be full (<see cref="Listener.MayBeFull"/>) accepts one by one: a connection that finds no place is
/// put aside, not served and not heard, until there is one, and nothing is accepted behind it. What is submitted for a listener is counted
/// until its last completion, and its place in the list, by which completions find it, is another one's only when none can come any more.
/// </summary>
public sealed unsafe partial class UringLoop
{
    private const int AcceptPauseMs = 100;

    /// <summary>More than any backlog holds; only there to bound the last look into the queue.</summary>
    private const int AcceptsAtEnd = 65_536;

    /// <summary>By the number in their operations' tags.</summary>
    private readonly List<ListenerEntry?> _listeners = [];
    private readonly byte* _addresses;
    private readonly nint _addressLength;

    internal override int ListenerPlaces => _listeners.Count;

    public override void Listen(Listener listener, int socket)
    {
        Invariant.That(!listener.IsListening, "a listener listens once");
        listener.Handle = socket;
        var free = _listeners.IndexOf(null);
        var entry = new ListenerEntry(this, listener, free < 0 ? _listeners.Count : free, FamilyOf(socket));
        if (free < 0)
        {
            _listeners.Add(entry);
        }
        else
        {
            _listeners[free] = entry;
        }

        entry.Resume();
    }

    public override void StopListening(Listener listener)
    {
        Invariant.That(listener.IsListening, "only a listener that listens is stopped");
        var entry = EntryOf(listener)!;
        entry.IsStopping = true;
        Timers.Cancel(entry);

        while (entry.Parked.TryDequeue(out var parked))
        {
            AskNameAndAdopt(entry, parked);
        }

        // The multishot accept has taken what came until it is cancelled. The rest of the queue is accepted one by one.
        ref var cancel = ref Entry(UringAbi.AsyncCancel, 0);
        cancel.Address = TagOf(Kind.Accept, entry.Index);
        Ask(ref cancel);
        TakeEarly();
        AdoptEarly(entry);
        for (var i = 0; i < AcceptsAtEnd; i++)
        {
            ref var accept = ref Entry(UringAbi.Accept, 0);
            accept.Descriptor = listener.Handle;
            accept.FileIndex = UringAbi.FileIndexAllocate;
            accept.Priority = UringAbi.AcceptDontWait;
            var slot = Ask(ref accept);
            if (slot >= 0)
            {
                AskNameAndAdopt(entry, slot);
            }
            else if (slot is -Libc.EAGAIN or -Libc.EINVAL || IoError.IsLocalExhaustion(-slot))
            {
                break;
            }
        }

        Libc.Close(listener.Handle);
        listener.Handle = -1;
        entry.IsClosed = true;
        ForgetIfQuiet(entry);
    }

    public override void ResumeAccepting(Listener listener)
    {
        if (EntryOf(listener) is not { } entry)
        {
            return;
        }

        while (entry.Parked.Count > 0 && listener.TryAdmit())
        {
            BeginAdopting(entry, entry.Parked.Dequeue());
        }

        if (entry.Parked.Count == 0 && entry.IsFull)
        {
            entry.Resume();
        }
    }

    /// <summary>A listener that was told to stop leaves when the last of its operations has completed. It leaves once, even if its last callback stopped it.</summary>
    private void ForgetIfQuiet(ListenerEntry entry)
    {
        if (entry is { IsClosed: true, InFlight: 0 } && ReferenceEquals(_listeners[entry.Index], entry))
        {
            _listeners[entry.Index] = null;
            entry.Listener.OnStopped();
        }
    }

    private ListenerEntry? EntryOf(Listener listener) => _listeners.Find(e => e is { IsStopping: false } && ReferenceEquals(e.Listener, listener));

    private ListenerEntry EntryAt(int index)
    {
        var entry = _listeners[index];
        Invariant.That(entry is not null, "a listener stays until its last operation has completed");
        return entry;
    }

    private void CompleteAccept(in Completion completion)
    {
        var entry = EntryAt(SlotOf(completion.UserData));
        entry.InFlight -= completion.HasMore ? 0 : 1;
        Accept(entry, completion);
        ForgetIfQuiet(entry);
    }

    private void Accept(ListenerEntry entry, in Completion completion)
    {
        if (completion.Result >= 0)
        {
            if (!entry.IsStopping && !entry.Listener.TryAdmit())
            {
                Park(entry, completion);
                return;
            }

            BeginAdopting(entry, completion.Result);
        }

        if (completion.HasMore || entry.IsStopping)
        {
            return;
        }

        if (entry.Parked.Count > 0)
        {
            entry.IsFull = true;
            return;
        }

        if (IoError.IsLocalExhaustion(-completion.Result))
        {
            AcceptPauses++;
            Timers.Arm(entry, NowMs + AcceptPauseMs);
        }
        else
        {
            // What a client broke while it waited (ECONNABORTED and the like) says nothing about the next one.
            entry.Resume();
        }
    }

    /// <summary>A multishot accept, of a listener that has only now been told to let clients wait, is cancelled; what it brings until then waits here, too.</summary>
    private void Park(ListenerEntry entry, in Completion completion)
    {
        entry.Parked.Enqueue(completion.Result);
        if (completion.HasMore && entry.Parked.Count == 1)
        {
            ref var cancel = ref Entry(UringAbi.AsyncCancel, TagOf(Kind.Ignored, 0));
            cancel.Address = TagOf(Kind.Accept, entry.Index);
        }

        entry.IsFull |= !completion.HasMore;
    }

    private void BeginAdopting(ListenerEntry entry, int slot)
    {
        if (entry.HasAddresses && !entry.IsStopping)
        {
            entry.InFlight++;
            AskName(ref Entry(UringAbi.Command, TagOf(Kind.PeerName, slot, (uint)entry.Index)), entry, slot);
        }
        else
        {
            AskNameAndAdopt(entry, slot);
        }
    }

    private void CompletePeerName(in Completion completion)
    {
        var slot = SlotOf(completion.UserData);
        var entry = EntryAt((int)GenerationOf(completion.UserData));
        entry.InFlight--;
        if (completion.Result < 0)
        {
            // Its client is gone again.
            entry.Listener.NotAdmitted();
            CloseUnattached(slot);
        }
        else
        {
            Adopt(entry, slot, SocketAddress.ReadClient(new ReadOnlySpan<byte>(_addresses + ((nint)slot * SocketAddress.MaxIpLength), completion.Result)));
        }

        ForgetIfQuiet(entry);
    }

    /// <summary>The accepted connections of a listener that stops, of which the completions were put aside.</summary>
    private void AdoptEarly(ListenerEntry entry)
    {
        for (var count = _early.Count; count > 0; count--)
        {
            var completion = _early.Dequeue();
            var kind = KindOf(completion.UserData);
            if (kind == Kind.Accept && SlotOf(completion.UserData) == entry.Index)
            {
                CompleteAccept(completion);
            }
            else if (kind == Kind.PeerName && GenerationOf(completion.UserData) == entry.Index)
            {
                CompletePeerName(completion);
            }
            else
            {
                _early.Enqueue(completion);
            }
        }
    }

    private void AskNameAndAdopt(ListenerEntry entry, int slot)
    {
        ClientAddress address = default;
        if (entry.HasAddresses)
        {
            ref var name = ref Entry(UringAbi.Command, 0);
            AskName(ref name, entry, slot);
            var length = Ask(ref name);
            if (length < 0)
            {
                entry.Listener.NotAdmitted();
                CloseUnattached(slot);
                return;
            }

            address = SocketAddress.ReadClient(new ReadOnlySpan<byte>(_addresses + ((nint)slot * SocketAddress.MaxIpLength), length));
        }

        Adopt(entry, slot, address);
    }

    private void AskName(ref SubmissionEntry name, ListenerEntry entry, int slot)
    {
        name.Descriptor = slot;
        name.Flags = UringAbi.FixedFile;
        name.CommandOperation = UringAbi.SocketGetOption;
        name.OptionLevel = Libc.SOL_SOCKET;
        name.OptionName = Libc.SO_PEERNAME;
        name.OptionLength = (uint)entry.AddressLength;
        name.OptionValue = (ulong)(_addresses + ((nint)slot * SocketAddress.MaxIpLength));
    }

    private void Adopt(ListenerEntry entry, int slot, in ClientAddress address)
    {
        if (entry.Listener.OnAccepting(address) is { } peer)
        {
            Attach(peer, slot, PeerFlags.AcceptPending);
            MarkReady(peer);
        }
        else
        {
            CloseUnattached(slot);
        }
    }

    private void CloseUnattached(int slot) => Entry(UringAbi.Close, TagOf(Kind.Ignored, 0)).FileIndex = (uint)slot + 1;

    private void CloseListeners()
    {
        foreach (var entry in _listeners)
        {
            if (entry is { Listener.IsListening: true })
            {
                Libc.Close(entry.Listener.Handle);
                entry.Listener.Handle = -1;
            }
        }
    }

    private static int FamilyOf(int socket)
    {
        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        return Libc.GetSocketName(socket, address) < 2 ? Libc.AF_UNIX : BitConverter.ToUInt16(address);
    }

    /// <summary>A listening socket with its multishot accept, and the timer that resumes it after an exhaustion.</summary>
    private sealed class ListenerEntry(UringLoop loop, Listener listener, int index, int family) : LoopTimer
    {
        internal Listener Listener { get; } = listener;

        internal int Index { get; } = index;

        internal bool IsStopping { get; set; }

        internal bool IsClosed { get; set; }

        /// <summary>Operations by its number that the kernel has not completed yet: accepts, of which a multishot one is one, and questions for names.</summary>
        internal int InFlight { get; set; }

        /// <summary>Connections that were accepted and found no place; one at most, unless the listener did not let clients wait before.</summary>
        internal Queue<int> Parked { get; } = new();

        /// <summary>Nothing is accepted until there is a place.</summary>
        internal bool IsFull { get; set; }

        internal bool HasAddresses => family != Libc.AF_UNIX;

        internal int AddressLength => family == Libc.AF_INET ? 16 : SocketAddress.MaxIpLength;

        internal void Resume()
        {
            ref var entry = ref loop.Entry(UringAbi.Accept, TagOf(Kind.Accept, Index));
            InFlight++;
            IsFull = false;
            entry.Descriptor = Listener.Handle;
            entry.FileIndex = UringAbi.FileIndexAllocate;
            entry.Priority = Listener.MayBeFull ? (ushort)0 : UringAbi.AcceptMultishot;
        }

        public override void OnTimer() => Resume();
    }
}
