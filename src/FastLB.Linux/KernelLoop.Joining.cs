using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Joining: the kernel passes the bytes of two TCP connections to each other (<see cref="SocketMaps"/>), and this loop only looks on. What it
/// watches for:
/// <list type="bullet">
/// <item>the end of a stream, of which it is told at once. It is passed on when the other socket has been given every byte before it, which
/// the counters of both connections show, because the kernel's own queue between them is emptied a little later;</item>
/// <item>a target that does not take what its source brings. That queue has no bound and is nobody's memory: the kernel acknowledges the bytes
/// and puts them there. So a source that is far ahead is taken out of the map, and when its target has caught up that direction
/// goes on by copying, where TCP holds the sender back. What arrives between two looks is the price: up to 10 ms of traffic, 250 ms
/// after a silence.</item>
/// </list>
/// </summary>
public abstract partial class KernelLoop
{
    /// <summary>A source that is so far ahead of its target is not passed on by the kernel any more.</summary>
    private const long FarAheadBytes = 4 * 1024 * 1024;

    /// <summary>More than this since the last look, or on its way between the sockets, and the next look is soon.</summary>
    private const long BusyBytes = 64 * 1024;
    private const int BusyLookMs = 10;
    private const int QuietLookMs = 250;

    private readonly Stack<Junction> _freeJunctions = new();
    private SocketMaps? _maps;
    private JoinedSide?[] _joined = [];

    /// <summary>
    /// Lets <see cref="TryJoin"/> join. 0, or -errno with the step that the kernel refuses. Before the loop's first turn.
    /// </summary>
    public int EnableJoining(out string step)
    {
        step = "";
        return _maps is null ? SocketMaps.TryOpen(out _maps, out step) : 0;
    }

    public override bool TryJoin(Peer first, Peer second)
    {
        Invariant.That(first.IsOpen && second.IsOpen, "two open peers are joined");
        Invariant.That(!first.IsReceiving && !first.IsSending && !second.IsReceiving && !second.IsSending, "nothing is outstanding at peers that are joined");
        if (_maps is not { } maps)
        {
            return false;
        }

        var junction = _freeJunctions.TryPop(out var free) ? free : new Junction(this);
        junction.Begin(first, second);
        if (!TryPrepare(junction.First) || !TryPrepare(junction.Second) || !TryConnect(maps, junction))
        {
            CloseSide(junction.First);
            CloseSide(junction.Second);
            Recycle(junction);
            return false;
        }

        Adopt(junction.First);
        Adopt(junction.Second);
        Timers.Arm(junction, NowMs + QuietLookMs);
        return true;
    }

    /// <summary>A descriptor of the process's for the peer's socket, which stays until <see cref="CloseJoined"/>; -errno without one.</summary>
    private protected abstract int OpenJoined(Peer peer);

    private protected abstract void CloseJoined(int descriptor);

    /// <summary>Asks for the end of the peer's stream, and its breaking, and for no other event.</summary>
    private protected abstract void WatchJoined(Peer peer);

    /// <summary>An event was told. Asks for the next one; of a stream that has <paramref name="ended"/> that is its breaking.</summary>
    private protected abstract void WatchJoinedOn(Peer peer, bool ended);

    /// <summary>Something is received from the peer, or sent to it, by hand again.</summary>
    private protected abstract void UnwatchJoined(Peer peer);

    /// <summary>A number that changes whenever an outstanding send of a peer gets on that bytes are moved or passed to.</summary>
    private protected long MovedTo(Peer target)
    {
        if ((target.State.Flags & PeerFlags.Joined) == 0)
        {
            return MoveTo(target).Moved;
        }

        var side = _joined[target.State.Handle]!;
        Refresh(side);
        Refresh(side.Other);
        return (2 * side.Other.Received) + side.Handed;
    }

    /// <summary>Bytes of a joined source that its target's kernel was given.</summary>
    private long PassedFrom(Peer source)
    {
        var side = _joined[source.State.Handle]!;
        Refresh(side.Other);
        return side.Other.Handed;
    }

    private bool IsPassingAwaitingTarget(Peer source)
    {
        var side = _joined[source.State.Handle]!;
        Refresh(side);
        return PassedFrom(source) < side.Received;
    }

    private bool TryPrepare(JoinedSide side)
    {
        side.Descriptor = OpenJoined(side.Peer);
        if (side.Descriptor < 0 || Libc.GetTcpInfo(side.Descriptor, out var info) < 0 || Libc.GetCookie(side.Descriptor, out side.Cookie) < 0)
        {
            return false;
        }

        side.AckedBefore = (long)info.BytesAcked;
        return true;
    }

    private static bool TryConnect(SocketMaps maps, Junction junction)
    {
        var (first, second) = (junction.First, junction.Second);
        if (maps.SetTarget(first.Cookie, second.Descriptor) < 0)
        {
            return false;
        }

        if (maps.SetTarget(second.Cookie, first.Descriptor) < 0)
        {
            maps.RemoveTarget(first.Cookie);
            return false;
        }

        if (maps.StartReading(first.Descriptor, first.Cookie) < 0)
        {
            maps.RemoveTarget(first.Cookie);
            maps.RemoveTarget(second.Cookie);
            return false;
        }

        // The second one may have ended its stream a moment ago; then the kernel does not take it, and its direction is copied after
        // the next look. The first one's first bytes may be on their way already, so there is no way back for that.
        second.IsStopped = maps.StartReading(second.Descriptor, second.Cookie) < 0;
        return true;
    }

    private void Adopt(JoinedSide side)
    {
        var handle = side.Peer.State.Handle;
        if (_joined.Length <= handle)
        {
            Array.Resize(ref _joined, Math.Max(handle + 1, 2 * _joined.Length));
        }

        _joined[handle] = side;
        side.Peer.State.Flags |= PeerFlags.Joined | PeerFlags.ReceiveArmed | PeerFlags.MoveSource | PeerFlags.SendOutstanding | PeerFlags.MoveTarget;
        WatchJoined(side.Peer);
    }

    /// <summary>The kernel told of an end, or of a breaking.</summary>
    private void StepJoined(JoinedSide side)
    {
        var error = Libc.GetPendingError(side.Descriptor);
        if (error != 0)
        {
            Break(side, -error);
            return;
        }

        Refresh(side);
        WatchJoinedOn(side.Peer, side.HasEnded);
        side.Junction.HurryMs = 1;
        Look(side.Junction);
    }

    /// <summary>Compares what came with what went, and acts on it.</summary>
    private void Look(Junction junction)
    {
        var before = junction.Carried;
        Refresh(junction.First);
        Refresh(junction.Second);
        junction.Carried = junction.First.Received + junction.Second.Received;
        var isBusy = junction.Carried - before > BusyBytes || IsUnsettled(junction.First) || IsUnsettled(junction.Second);
        Timers.Arm(junction, NowMs + (isBusy ? junction.HurryMs : QuietLookMs));
        junction.HurryMs = Math.Min(2 * junction.HurryMs, BusyLookMs);
        LookAt(junction.First);

        // The end of one direction may have closed both peers.
        if (!junction.IsOver)
        {
            LookAt(junction.Second);
        }
    }

    private static bool IsUnsettled(JoinedSide source) =>
        source.IsReading && (source.HasEnded || source.IsStopped || source.Received - source.Other.Handed > BusyBytes);

    /// <summary>Ends a direction of which everything was handed on, and stops one whose source is too far ahead.</summary>
    private void LookAt(JoinedSide source)
    {
        if (!source.IsReading)
        {
            return;
        }

        var handed = source.Other.Handed;
        if (source.IsStopped)
        {
            // The kernel took no more since the look before this one. What it had taken is all but what still waits at the source.
            var taken = source.Received - Libc.QueuedToReceive(source.Descriptor);
            if (handed == taken)
            {
                UnwatchJoined(source.Peer);
                UnwatchJoined(source.Other.Peer);
                End(source, MoveEnd.Yielded, taken, 0);
            }
        }
        else if (source.HasEnded && source.Received == handed)
        {
            End(source, MoveEnd.SourceEnded, handed, 0);
        }
        else if (!source.HasEnded && source.Received - handed > FarAheadBytes)
        {
            source.IsStopped = true;
            _maps!.StopReading(source.Cookie);
        }
    }

    private void End(JoinedSide source, MoveEnd end, long moved, int error)
    {
        Detach(source);
        source.Peer.OnMoved(new MoveResult(end, moved, error));
    }

    /// <summary>A side broke. Its own direction says so, or the other one does when that has ended.</summary>
    private void Break(JoinedSide side, int error)
    {
        var (source, end) = side.IsReading ? (side, MoveEnd.SourceFailed) : (side.Other, MoveEnd.TargetFailed);
        Refresh(source);
        Refresh(source.Other);
        if (source.IsReading)
        {
            End(source, end, Math.Min(source.Received, source.Other.Handed), error);
        }
    }

    /// <summary>The direction from this side to the other is over.</summary>
    private void Detach(JoinedSide source)
    {
        source.IsReading = false;
        source.Peer.State.Flags &= ~(PeerFlags.ReceiveArmed | PeerFlags.MoveSource);
        source.Other.Peer.State.Flags &= ~(PeerFlags.SendOutstanding | PeerFlags.MoveTarget);
        if (!source.Other.IsReading)
        {
            Leave(source.Junction);
        }
    }

    /// <summary>Nothing is passed between the two any more. The kernel's tables forget them as they close, which is next.</summary>
    private void Leave(Junction junction)
    {
        if (junction.IsOver)
        {
            return;
        }

        junction.IsOver = true;
        Timers.Cancel(junction);
        Leave(junction.First);
        Leave(junction.Second);
        Recycle(junction);
    }

    private void Recycle(Junction junction)
    {
        junction.IsOver = true;
        _freeJunctions.Push(junction);
    }

    private void Leave(JoinedSide side)
    {
        side.IsReading = false;
        side.Peer.State.Flags &=
            ~(PeerFlags.Joined | PeerFlags.ReceiveArmed | PeerFlags.MoveSource | PeerFlags.SendOutstanding | PeerFlags.MoveTarget);
        _joined[side.Peer.State.Handle] = null;
        CloseSide(side);
    }

    private void CloseSide(JoinedSide side)
    {
        if (side.Descriptor >= 0)
        {
            CloseJoined(side.Descriptor);
            side.Descriptor = -1;
        }
    }

    /// <summary>
    /// Reads the counters. Bytes are handed to a socket when they are acknowledged or queued there; in this order of asking, one that is
    /// acknowledged in between is missed and not counted twice.
    /// </summary>
    private static void Refresh(JoinedSide side)
    {
        if (side.Descriptor < 0 || Libc.GetTcpInfo(side.Descriptor, out var info) < 0)
        {
            return;
        }

        side.HasEnded = info.State is not (TcpState.Established or TcpState.FinWait1 or TcpState.FinWait2);
        side.Received = (long)info.BytesReceived - (side.HasEnded ? 1 : 0);
        side.Handed = (long)info.BytesAcked - side.AckedBefore + Libc.QueuedToSend(side.Descriptor);
    }

    /// <summary>States of a connection whose other side has not ended its stream (net/tcp_states.h).</summary>
    private static class TcpState
    {
        internal const byte Established = 1;
        internal const byte FinWait1 = 4;
        internal const byte FinWait2 = 5;
    }

    /// <summary>One of two joined peers.</summary>
    private protected sealed class JoinedSide(Junction junction)
    {
        internal Junction Junction { get; } = junction;

        internal Peer Peer { get; private set; } = null!;

        internal JoinedSide Other => ReferenceEquals(Junction.First, this) ? Junction.Second : Junction.First;

        internal int Descriptor { get; set; } = -1;

        internal ulong Cookie;

        internal long AckedBefore { get; set; }

        /// <summary>True while the direction from this side to the other one lives.</summary>
        internal bool IsReading { get; set; }

        /// <summary>Not in the table of those that are read (any more): its direction gives way to copying.</summary>
        internal bool IsStopped { get; set; }

        internal bool HasEnded { get; set; }

        /// <summary>Bytes that came from this side.</summary>
        internal long Received { get; set; }

        /// <summary>Bytes that this side's socket was given to send.</summary>
        internal long Handed { get; set; }

        internal void Begin(Peer peer)
        {
            Peer = peer;
            Descriptor = -1;
            IsReading = true;
            IsStopped = false;
            HasEnded = false;
            Received = 0;
            Handed = 0;
        }
    }

    /// <summary>Two joined peers, and the timer by which they are looked at.</summary>
    private protected sealed class Junction : LoopTimer
    {
        private readonly KernelLoop _loop;

        internal Junction(KernelLoop loop)
        {
            _loop = loop;
            First = new JoinedSide(this);
            Second = new JoinedSide(this);
        }

        internal JoinedSide First { get; }

        internal JoinedSide Second { get; }

        internal bool IsOver { get; set; }

        /// <summary>Bytes that had come from both sides at the last look.</summary>
        internal long Carried { get; set; }

        /// <summary>When to look again while something is unsettled: soon after an event, then less often.</summary>
        internal int HurryMs { get; set; }

        internal void Begin(Peer first, Peer second)
        {
            IsOver = false;
            HurryMs = 1;
            Carried = 0;
            First.Begin(first);
            Second.Begin(second);
        }

        public override void OnTimer() => _loop.Look(this);
    }
}
