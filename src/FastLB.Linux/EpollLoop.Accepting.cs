using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// How the loop accepts: its listening sockets are level-triggered, so what one turn leaves in the queue is reported again, and
/// a process that has run out of descriptors rests for a moment instead of spinning.
/// </summary>
public sealed unsafe partial class EpollLoop
{
    private const int AcceptsPerTurn = 64;

    /// <summary>More than any backlog holds; only there to bound the last look into the queue.</summary>
    private const int AcceptsAtEnd = 65_536;

    /// <summary>How long accepting rests after the process ran out of descriptors or memory.</summary>
    private const int AcceptPauseMs = 100;

    /// <summary>By the number in their events' data. A place is free from the moment its listener has stopped.</summary>
    private readonly List<ListenerEntry?> _listeners = [];

    /// <summary>The first descriptor number that clients do not get: three quarters of what the process may have.</summary>
    private readonly int _descriptorCeiling =
        Libc.DescriptorLimit() is > 0 and < int.MaxValue and var limit ? (int)(limit / 4 * 3) : int.MaxValue;

    internal override int ListenerPlaces => _listeners.Count;

    public override void Listen(Listener listener, int socket)
    {
        Invariant.That(!listener.IsListening, "a listener listens once");
        listener.Handle = socket;
        var free = _listeners.IndexOf(null);
        var entry = new ListenerEntry(this, listener, free < 0 ? _listeners.Count : free);
        if (free < 0)
        {
            _listeners.Add(entry);
        }
        else
        {
            // What epoll still reports of the old one in this turn only looks into the new one's queue.
            _listeners[free] = entry;
        }

        Demand(entry.Resume(), "epoll_ctl for a listener");
    }

    public override void StopListening(Listener listener)
    {
        Invariant.That(listener.IsListening, "only a listener that listens is stopped");
        var entry = EntryOf(listener)!;
        AcceptWaiting(entry, AcceptsAtEnd, isLast: true);
        entry.Pause();
        Timers.Cancel(entry);
        _listeners[entry.Index] = null;
        Libc.Close(listener.Handle);
        listener.Handle = -1;
        listener.OnStopped();
    }

    public override void ResumeAccepting(Listener listener)
    {
        if (EntryOf(listener) is { IsFull: true } entry)
        {
            entry.IsFull = false;
            entry.Resume();
        }
    }

    private ListenerEntry? EntryOf(Listener listener) => _listeners.Find(e => ReferenceEquals(e?.Listener, listener));

    /// <param name="isLast">Nothing is accepted after it, so a listener that is full takes what waits all the same, and tells it so.</param>
    private void AcceptWaiting(ListenerEntry entry, int limit, bool isLast = false)
    {
        Span<byte> address = stackalloc byte[SocketAddress.MaxLength];
        for (var accepted = 0; accepted < limit; accepted++)
        {
            if (!isLast && !entry.Listener.TryAdmit())
            {
                entry.IsFull = true;
                entry.Pause();
                return;
            }

            var fd = Libc.Accept(entry.Listener.Handle, address, out var length);
            if (fd < 0)
            {
                entry.Listener.NotAdmitted();

                // What a client broke while it waited (ECONNABORTED and the like) says nothing about the next one.
                if (fd is -Libc.EAGAIN or -Libc.EINVAL || IoError.IsLocalExhaustion(-fd))
                {
                    if (fd is not (-Libc.EAGAIN or -Libc.EINVAL))
                    {
                        Rest(entry);
                    }

                    return;
                }

                continue;
            }

            if (fd >= _descriptorCeiling)
            {
                // The kernel hands out the lowest free number. What is left is for connections to workers and for everything
                // else that the process does, or nobody that was accepted could be served.
                entry.Listener.NotAdmitted();
                Libc.Close(fd);
                Rest(entry);
                return;
            }

            var peer = entry.Listener.OnAccepting(SocketAddress.ReadClient(address[..length]));
            if (peer is null)
            {
                Libc.Close(fd);
                continue;
            }

            Attach(peer, fd, PeerFlags.AcceptPending | PeerFlags.Writable);
            if (Register(peer) < 0)
            {
                Close(peer);
            }

            MarkReady(peer);
        }
    }

    private void Rest(ListenerEntry entry)
    {
        AcceptPauses++;
        entry.Pause();
        Timers.Arm(entry, NowMs + AcceptPauseMs);
    }

    private void CloseListeners()
    {
        foreach (var entry in _listeners)
        {
            if (entry is not null)
            {
                Libc.Close(entry.Listener.Handle);
                entry.Listener.Handle = -1;
            }
        }
    }

    /// <summary>A listening socket in epoll, level-triggered, and the timer that resumes it after an exhaustion.</summary>
    private sealed class ListenerEntry(EpollLoop loop, Listener listener, int index) : LoopTimer
    {
        private bool _registered;

        internal Listener Listener { get; } = listener;

        internal int Index => index;

        /// <summary>It accepts nothing until it is told that there may be room.</summary>
        internal bool IsFull { get; set; }

        internal int Resume()
        {
            _registered = true;
            return Libc.EpollAdd(loop._epoll, Listener.Handle, Libc.EPOLLIN | Libc.EPOLLEXCLUSIVE, ListenerTag | (uint)index);
        }

        internal void Pause()
        {
            if (_registered)
            {
                _registered = false;
                Libc.EpollRemove(loop._epoll, Listener.Handle);
            }
        }

        public override void OnTimer() => Resume();
    }
}
