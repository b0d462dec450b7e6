using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace FastLB.Core.Recording;

/// <summary>A record as its reader sees it: numbers and texts. Texts are bytes as clients sent them, whatever those are; nothing in them is to be trusted.</summary>
public readonly ref struct RecordView
{
    /// <param name="record">What <see cref="RequestRecord.TryWrite"/> wrote.</param>
    public RecordView(ReadOnlySpan<byte> record)
    {
        Facts = MemoryMarshal.Read<RecordFacts>(record);
        var rest = record[Unsafe.SizeOf<RecordFacts>()..];
        Listener = Take(ref rest, Facts.ListenerLength);
        Pool = Take(ref rest, Facts.PoolLength);
        Method = Take(ref rest, Facts.MethodLength);
        Target = Take(ref rest, Facts.TargetLength);
        Referer = Take(ref rest, Facts.RefererLength);
        UserAgent = Take(ref rest, Facts.UserAgentLength);
        RequestId = Take(ref rest, Facts.RequestIdLength);
    }

    public RecordFacts Facts { get; }

    public ReadOnlySpan<byte> Listener { get; }

    /// <summary>Empty when the request came to no pool.</summary>
    public ReadOnlySpan<byte> Pool { get; }

    /// <summary>Empty, like what follows, when the head was refused before it was understood, and for TCP.</summary>
    public ReadOnlySpan<byte> Method { get; }

    public ReadOnlySpan<byte> Target { get; }

    public ReadOnlySpan<byte> Referer { get; }

    public ReadOnlySpan<byte> UserAgent { get; }

    /// <summary>What the request is called between clients and workers; empty where requests get no ids.</summary>
    public ReadOnlySpan<byte> RequestId { get; }

    private static ReadOnlySpan<byte> Take(scoped ref ReadOnlySpan<byte> rest, int length)
    {
        var taken = rest[..length];
        rest = rest[length..];
        return taken;
    }
}
