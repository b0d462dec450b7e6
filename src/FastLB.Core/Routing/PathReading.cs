using System.Buffers;
using FastLB.Core.Http;

namespace FastLB.Core.Routing;

/// <summary>
/// The ways in which a worker may read a path. Most paths can be read in one way only. One with dot segments, empty segments, encoded slashes,
/// backslashes or path parameters means different things to different servers (RFC 3986 6.2 leaves it to them), and whoever asks for
/// <c>/public/..%2fadmin/</c> hopes for that. So the table looks up each reading, and a request whose readings lead to different
/// routes is refused; it is passed on as it came when they agree.
/// </summary>
[Flags]
internal enum PathReading
{
    /// <summary>Percent-encoded bytes stand for what they encode, except slashes; nothing else is changed.</summary>
    Decoded = 0,

    /// <summary>Backslashes and encoded slashes separate segments.</summary>
    Slashes = 1,

    /// <summary>Several slashes are one.</summary>
    Merged = 2,

    /// <summary>What follows a ';' in a segment does not belong to it, as in servlet containers.</summary>
    Parameters = 4,

    /// <summary>Segments <c>.</c> and <c>..</c> are resolved, as RFC 3986 5.2.4 does.</summary>
    Dots = 8,
}

/// <summary>Makes the readings.</summary>
internal static class PathReadings
{
    private static readonly SearchValues<byte> s_odd = SearchValues.Create(@"%\;"u8);

    /// <summary>Whether there is one reading only: the bytes as they are. True as well for what is no path, like the '*' of OPTIONS.</summary>
    public static bool IsPlain(ReadOnlySpan<byte> path) =>
        path.IsEmpty || path[0] != '/' || (!path.ContainsAny(s_odd) && path.IndexOf("/."u8) < 0 && path.IndexOf("//"u8) < 0);

    /// <summary>Decodes what is percent-encoded, except slashes and backslashes. The count of bytes; never more than there were.</summary>
    public static int Decode(ReadOnlySpan<byte> path, Span<byte> to)
    {
        var count = 0;
        for (var position = 0; position < path.Length;)
        {
            var value = PercentCoding.At(path, position, out var length);
            if (length == 3 && value is (byte)'/' or (byte)'\\')
            {
                (value == '/' ? "%2F"u8 : "%5C"u8).CopyTo(to[count..]);
                count += 3;
            }
            else
            {
                to[count++] = value;
            }

            position += length;
        }

        return count;
    }

    /// <summary>Whether it has control bytes, which could only come encoded.</summary>
    public static bool HasControls(ReadOnlySpan<byte> decoded) => decoded.ContainsAnyInRange((byte)0, (byte)0x1F) || decoded.Contains((byte)0x7F);

    /// <summary>Which of the ways make a difference for a decoded path.</summary>
    public static PathReading RelevantTo(ReadOnlySpan<byte> decoded)
    {
        var relevant = PathReading.Decoded;
        if (decoded.ContainsAny((byte)'\\', (byte)'%'))
        {
            relevant |= PathReading.Slashes | PathReading.Merged | PathReading.Dots;
        }

        if (decoded.Contains((byte)';'))
        {
            relevant |= PathReading.Parameters | PathReading.Merged | PathReading.Dots;
        }

        if (decoded.IndexOf("//"u8) >= 0)
        {
            relevant |= PathReading.Merged;
        }

        if (decoded.IndexOf("/."u8) >= 0)
        {
            relevant |= PathReading.Dots;
        }

        return relevant;
    }

    /// <summary>Reads a decoded path, which begins with '/'. The count of bytes; never more than there were.</summary>
    public static int Read(ReadOnlySpan<byte> decoded, PathReading how, Span<byte> to)
    {
        var count = 0;
        for (var position = SeparatorAt(decoded, 0, how); ;)
        {
            var end = position;
            var separator = 0;
            while (end < decoded.Length && (separator = SeparatorAt(decoded, end, how)) == 0)
            {
                end++;
            }

            var isLast = end == decoded.Length;
            var segment = decoded[position..end];
            if ((how & PathReading.Parameters) != 0 && segment.IndexOf((byte)';') is var semicolon and >= 0)
            {
                segment = segment[..semicolon];
            }

            if ((how & PathReading.Dots) != 0 && DotsIn(segment) is var dots and > 0)
            {
                count = dots == 1 ? count : Math.Max(0, to[..count].LastIndexOf((byte)'/'));
                if (isLast)
                {
                    to[count++] = (byte)'/';
                }
            }
            else if (isLast || !segment.IsEmpty || (how & PathReading.Merged) == 0)
            {
                to[count++] = (byte)'/';
                segment.CopyTo(to[count..]);
                count += segment.Length;
            }

            if (isLast)
            {
                return count;
            }

            position = end + separator;
        }
    }

    /// <summary>1 for <c>.</c>, 2 for <c>..</c>, 0 for any other segment. What was encoded twice counts as well: some workers decode twice.</summary>
    private static int DotsIn(ReadOnlySpan<byte> segment)
    {
        var dots = 0;
        for (var position = 0; position < segment.Length && dots < 3; dots++)
        {
            if (PercentCoding.At(segment, position, out var length) != '.')
            {
                return 0;
            }

            position += length;
        }

        return dots < 3 ? dots : 0;
    }

    /// <summary>How many bytes separate two segments here; 0: none.</summary>
    private static int SeparatorAt(ReadOnlySpan<byte> decoded, int position, PathReading how)
    {
        if (decoded[position] == '/')
        {
            return 1;
        }

        if ((how & PathReading.Slashes) == 0)
        {
            return 0;
        }

        if (decoded[position] == '\\')
        {
            return 1;
        }

        // What was encoded twice counts as well: some workers decode twice.
        var value = PercentCoding.At(decoded, position, out var length);
        return length == 3 && value is (byte)'/' or (byte)'\\' ? 3 : 0;
    }
}
