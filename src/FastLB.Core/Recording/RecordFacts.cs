using System.Runtime.InteropServices;
using FastLB.Core.Loop;
using FastLB.Core.Metrics;

namespace FastLB.Core.Recording;

[Flags]
public enum RecordFlags : byte
{
    None = 0,

    /// <summary>A connection of a TCP listener, of which there is no head.</summary>
    Tcp = 1 << 0,

    /// <summary>The request became a tunnel (101).</summary>
    Upgraded = 1 << 1,

    Http10 = 1 << 2,

    /// <summary>The target, or another text, was longer than what is kept.</summary>
    TargetCut = 1 << 3,
    RefererCut = 1 << 4,
    UserAgentCut = 1 << 5,
}

/// <summary>
/// The numbers of a request that is written down. Plain data that goes through a <see cref="RecordRing"/> as it is, before its texts; times are nanoseconds of
/// the loop's clock or, for durations, -1 when the request did not come that far.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public struct RecordFacts
{
    /// <summary>When the request's head was complete, or the TCP connection accepted.</summary>
    public long BeganNs;

    /// <summary>From there until nothing more of it was to be done.</summary>
    public long TotalNs;

    /// <summary>Until a worker was chosen for the first time.</summary>
    public long QueueNs;

    /// <summary>Of the last attempt: until the connection to the worker stood; 0 on one that stood already.</summary>
    public long ConnectNs;

    /// <summary>Of the last attempt: from sending the request until the answer's head was there.</summary>
    public long FirstByteNs;

    /// <summary>Bytes of the client, its head included.</summary>
    public long BytesIn;

    /// <summary>Bytes to the client, heads and framing included.</summary>
    public long BytesOut;

    public ulong Id;
    public ClientAddress Client;

    /// <summary>The number of the rule that matched, from 0; -1: none.</summary>
    public int Route;

    /// <summary>The worker's place in its pool; -1: none was reached.</summary>
    public int Slot;

    /// <summary>What the client was answered with; 0: nothing.</summary>
    public short Status;

    /// <summary>Attempts beyond the first.</summary>
    public ushort Retries;

    // How long the texts are that follow, in this order.
    public ushort ListenerLength;
    public ushort PoolLength;
    public ushort MethodLength;
    public ushort TargetLength;
    public ushort RefererLength;
    public ushort UserAgentLength;
    public ushort RequestIdLength;

    public Outcome Outcome;
    public RecordFlags Flags;

    /// <summary>Whether it is one of those that <see cref="AccessLogFilter.OnlyErrors"/> leaves over.</summary>
    public readonly bool IsError => Outcome is not (Outcome.Completed or Outcome.AnsweredHere) || Status >= 500;
}
