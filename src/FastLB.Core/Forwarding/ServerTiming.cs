namespace FastLB.Core.Forwarding;

/// <summary>Where the time of a request went until its answer's head was there, in nanoseconds.</summary>
/// <param name="TotalNs">Since the request's head was complete.</param>
/// <param name="QueueNs">Of that, waiting for a worker.</param>
/// <param name="ConnectNs">Of that, opening a connection to one; 0 on a connection that was open.</param>
/// <param name="WorkerNs">Since the request was sent the last time.</param>
internal readonly record struct RequestTimes(long TotalNs, long QueueNs, long ConnectNs, long WorkerNs);

/// <summary>The Server-Timing header (W3C Server Timing), in milliseconds with three digits behind the point.</summary>
internal static class ServerTiming
{
    /// <summary>The longest line that <see cref="Write"/> writes.</summary>
    public const int MaxBytes = 192;

    private const long NsPerUs = 1_000;
    private const long UsPerMs = 1_000;

    /// <summary>Writes a whole header line. The count of its bytes.</summary>
    public static int Write(in RequestTimes times, Span<byte> destination)
    {
        var length = Append(destination, 0, "Server-Timing: fastlb;dur="u8, times.TotalNs);
        length = Append(destination, length, ", queue;dur="u8, times.QueueNs);
        length = Append(destination, length, ", connect;dur="u8, times.ConnectNs);
        length = Append(destination, length, ", worker;dur="u8, times.WorkerNs);
        "\r\n"u8.CopyTo(destination[length..]);
        return length + 2;
    }

    private static int Append(Span<byte> destination, int length, ReadOnlySpan<byte> name, long nanoseconds)
    {
        name.CopyTo(destination[length..]);
        length += name.Length;
        var microseconds = Math.Max(0, nanoseconds) / NsPerUs;
        (microseconds / UsPerMs).TryFormat(destination[length..], out var digits, default, System.Globalization.CultureInfo.InvariantCulture);
        length += digits;
        destination[length++] = (byte)'.';
        (microseconds % UsPerMs).TryFormat(destination[length..], out digits, "D3", System.Globalization.CultureInfo.InvariantCulture);
        return length + digits;
    }
}
