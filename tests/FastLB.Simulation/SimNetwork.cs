using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>What may happen to bytes on their way. A seed's world draws one.</summary>
internal sealed record NetworkMood
{
    /// <summary>The most bytes that one read, write or delivery moves; at 1 everything trickles.</summary>
    public int MaxMove { get; init; } = int.MaxValue;

    /// <summary>How many bytes a connection holds per direction between writer and reader.</summary>
    public int SocketBytes { get; init; } = 256 * 1024;

    /// <summary>The same between the loop and its workers.</summary>
    public int WorkerSocketBytes { get; init; } = 256 * 1024;

    /// <summary>The chance that something that could move now does not, until a later round.</summary>
    public double Delay { get; init; }

    /// <summary>The chance, per delivery, that the connection is reset by nobody in particular.</summary>
    public double Reset { get; init; }
}

/// <summary>How a connect to an endpoint ends.</summary>
internal enum ConnectFate
{
    Accepted,
    Refused,

    /// <summary>Nobody answers; only the caller's timer ends it.</summary>
    Unanswered,
}

/// <summary>A connect that was begun and has not ended.</summary>
internal sealed class PendingConnect(Endpoint endpoint)
{
    internal Endpoint Endpoint { get; } = endpoint;

    internal bool IsAbandoned { get; set; }

    internal SimSocket? Socket { get; set; }

    internal bool IsRefused { get; set; }

    internal bool IsOver => Socket is not null || IsRefused;
}

/// <summary>A simulated listening socket: connections that wait to be accepted.</summary>
internal sealed class Backlog
{
    internal Queue<(SimSocket Socket, ClientAddress Address)> Waiting { get; } = new();

    internal bool IsClosed { get; set; }
}

/// <summary>
/// The wires, the backlogs and the clock of a simulated machine. It moves bytes only in <see cref="Deliver"/>, so whoever drives
/// it decides when something arrives. One source of chance drives it all.
/// </summary>
internal sealed class SimNetwork(RandomSource chance, NetworkMood mood, Func<Endpoint, ConnectFate> fateOf, Action<Endpoint, SimSocket> accepted)
{
    private readonly List<(SimPipe There, SimPipe Back)> _connections = [];
    private readonly List<PendingConnect> _connects = [];
    private readonly List<Backlog> _backlogs = [];

    internal RandomSource Chance { get; } = chance;

    internal NetworkMood Mood { get; } = mood;

    internal long NowMs { get; set; } = 1_000_000;

    /// <summary>Counts everything that changed anything.</summary>
    internal long Activity { get; private set; }

    /// <summary>While true nothing is delayed: whatever can move moves.</summary>
    internal bool IsForced { get; set; }

    /// <summary>Takes what clients and workers have to say when a life is written down.</summary>
    internal Action<string>? Trace { get; set; }

    internal void Note() => Activity++;

    internal bool IsDelayed() => !IsForced && Mood.Delay > 0 && Chance.Chance(Mood.Delay);

    /// <summary>How many of <paramref name="available"/> bytes move now; at least one.</summary>
    internal int Portion(int available) => available <= 1 || Mood.MaxMove == int.MaxValue ? available : 1 + Chance.Next(Math.Min(available, Mood.MaxMove));

    internal int OpenBacklog()
    {
        _backlogs.Add(new Backlog());
        return _backlogs.Count - 1;
    }

    internal Backlog BacklogAt(int handle) => _backlogs[handle];

    /// <summary>A client connects to a listening socket of the loop; null when that does not listen any more.</summary>
    internal SimSocket? ConnectTo(int backlog, ClientAddress address)
    {
        if (_backlogs[backlog].IsClosed)
        {
            return null;
        }

        var (ours, theirs) = NewPair(Mood.SocketBytes);
        _backlogs[backlog].Waiting.Enqueue((theirs, address));
        Note();
        return ours;
    }

    internal PendingConnect BeginConnect(Endpoint endpoint)
    {
        var connect = new PendingConnect(endpoint);
        _connects.Add(connect);
        Note();
        return connect;
    }

    /// <summary>Every wire gets the chance to move something.</summary>
    internal void Deliver()
    {
        for (var i = _connects.Count - 1; i >= 0; i--)
        {
            if (_connects[i].IsAbandoned || (!IsDelayed() && TryFinish(_connects[i])))
            {
                _connects.RemoveAt(i);
            }
        }

        for (var i = _connections.Count - 1; i >= 0; i--)
        {
            var (there, back) = _connections[i];
            Move(there, back);
            Move(back, there);
            if (there.ReceiverGone && back.ReceiverGone && !there.HasWork && !back.HasWork)
            {
                _connections[i] = _connections[^1];
                _connections.RemoveAt(_connections.Count - 1);
            }
        }
    }

    private (SimSocket Ours, SimSocket Theirs) NewPair(int capacity)
    {
        var there = new SimPipe(capacity);
        var back = new SimPipe(capacity);
        _connections.Add((there, back));
        return (new SimSocket(this, back, there), new SimSocket(this, there, back));
    }

    private bool TryFinish(PendingConnect connect)
    {
        switch (fateOf(connect.Endpoint))
        {
            case ConnectFate.Unanswered:
                return false;
            case ConnectFate.Refused:
                connect.IsRefused = true;
                break;
            default:
                var (ours, theirs) = NewPair(Mood.WorkerSocketBytes);
                connect.Socket = ours;
                accepted(connect.Endpoint, theirs);
                break;
        }

        Note();
        return true;
    }

    private void Move(SimPipe pipe, SimPipe opposite)
    {
        if (!pipe.HasWork || IsDelayed())
        {
            return;
        }

        Note();
        if (pipe.ResetSent)
        {
            pipe.ResetArrived = true;
            if (Chance.Chance(0.5))
            {
                pipe.Arrived.Clear();
            }

            // Who is reset has nobody to send to either.
            opposite.OnTheWay.Clear();
            return;
        }

        if (Mood.Reset > 0 && Chance.Chance(Mood.Reset))
        {
            pipe.ResetSent = true;
            opposite.ResetSent = true;
            return;
        }

        if (pipe.OnTheWay.Count > 0)
        {
            var count = Portion(pipe.OnTheWay.Count);
            if (pipe.ReceiverGone)
            {
                opposite.ResetSent = true;
                pipe.OnTheWay.Clear();
                return;
            }

            pipe.Arrived.Append(pipe.OnTheWay.Span[..count]);
            pipe.OnTheWay.Drop(count);
            return;
        }

        pipe.EndArrived = true;
    }
}
