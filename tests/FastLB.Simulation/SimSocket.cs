using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>
/// One direction of a simulated connection: what its sender has handed to the kernel, and what of it has arrived. An end (FIN)
/// travels behind the bytes; a reset overtakes them and may destroy what its receiver has not read yet, as on Linux.
/// </summary>
internal sealed class SimPipe(int capacity)
{
    internal ByteQueue OnTheWay { get; } = new();

    internal ByteQueue Arrived { get; } = new();

    internal bool EndSent { get; set; }

    internal bool EndArrived { get; set; }

    internal bool ResetSent { get; set; }

    internal bool ResetArrived { get; set; }

    /// <summary>The receiver closed its socket: what arrives now is answered with a reset.</summary>
    internal bool ReceiverGone { get; set; }

    internal int Room => Math.Max(0, capacity - OnTheWay.Count - Arrived.Count);

    internal bool HasWork =>
        (ResetSent && !ResetArrived) || (!ResetArrived && (OnTheWay.Count > 0 || (EndSent && !EndArrived)));
}

/// <summary>
/// One end of a simulated TCP connection with the calls of a non-blocking socket: a count, 0 for the end, or -errno. Everything
/// that goes in or out is counted as activity of the network, by which the world sees whether anything still moves.
/// </summary>
internal sealed class SimSocket(SimNetwork network, SimPipe incoming, SimPipe outgoing)
{
    internal bool IsClosed { get; private set; }

    internal SimPipe Incoming => incoming;

    internal SimPipe Outgoing => outgoing;

    internal bool IsReadable => incoming.Arrived.Count > 0 || incoming.EndArrived || incoming.ResetArrived;

    internal int Read(Span<byte> target)
    {
        Invariant.That(!IsClosed, "only an open socket is read");
        var count = Math.Min(target.Length, incoming.Arrived.Count);
        if (count > 0)
        {
            incoming.Arrived.Span[..count].CopyTo(target);
            incoming.Arrived.Drop(count);
            network.Note();
            return count;
        }

        return incoming.ResetArrived ? -IoError.ConnectionReset : incoming.EndArrived ? 0 : -IoError.TryAgain;
    }

    internal int Write(ReadOnlySpan<byte> bytes)
    {
        Invariant.That(!IsClosed && !bytes.IsEmpty, "only an open socket is written to");
        if (outgoing.EndSent || incoming.ResetArrived)
        {
            return -IoError.BrokenPipe;
        }

        var count = Math.Min(bytes.Length, outgoing.Room);
        if (count == 0)
        {
            return -IoError.TryAgain;
        }

        outgoing.OnTheWay.Append(bytes[..count]);
        network.Note();
        return count;
    }

    internal void ShutdownWrite()
    {
        if (!outgoing.EndSent)
        {
            outgoing.EndSent = true;
            network.Note();
        }
    }

    /// <summary>Closing over bytes that were not read resets the connection, as Linux does (RFC 2525 2.17).</summary>
    internal void Close(bool reset = false)
    {
        if (IsClosed)
        {
            return;
        }

        IsClosed = true;
        incoming.ReceiverGone = true;
        if (reset || incoming.Arrived.Count > 0)
        {
            outgoing.OnTheWay.Clear();
            outgoing.ResetSent = true;
        }
        else
        {
            outgoing.EndSent = true;
        }

        incoming.Arrived.Clear();
        network.Note();
    }
}
