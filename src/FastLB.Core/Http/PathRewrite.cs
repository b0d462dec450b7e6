using System.Text;

namespace FastLB.Core.Http;

/// <summary>How a route changes where its requests go, as it is configured. Immutable.</summary>
public sealed record RewriteSettings
{
    /// <summary>Taken off the path, in whole segments, without a '/' at its end; null: nothing.</summary>
    public string? StripPrefix { get; init; }

    /// <summary>Put before the path, without a '/' at its end; null: nothing.</summary>
    public string? AddPrefix { get; init; }

    /// <summary>Stands in Host towards the worker; null: what the client sent.</summary>
    public string? Host { get; init; }
}

/// <summary>
/// The same, compiled. The prefix is found as the route was: percent-encoded bytes count as what they stand for. The rest of the path goes on
/// as the client wrote it, but begins with exactly one '/': a target that begins with two looks like a host to some workers.
/// </summary>
internal sealed class PathRewrite(RewriteSettings settings)
{
    private readonly byte[] _strip = Encoding.ASCII.GetBytes((settings.StripPrefix ?? "").TrimEnd('/'));
    private readonly byte[] _add = Encoding.ASCII.GetBytes((settings.AddPrefix ?? "").TrimEnd('/'));

    public byte[] Host { get; } = Encoding.ASCII.GetBytes(settings.Host ?? "");

    public bool ChangesPath => _strip.Length + _add.Length > 0;

    /// <summary>Writes the path that goes on; a path that is none, like the '*' of OPTIONS, stays.</summary>
    public void Write(ReadOnlySpan<byte> path, ref HeadWriter writer)
    {
        if (path.IsEmpty || path[0] != '/')
        {
            writer.Write(path);
            return;
        }

        writer.Write(_add);
        var rest = _strip.Length == 0 ? path : path[LengthOfPrefix(path)..];
        if (_strip.Length > 0)
        {
            rest = rest.TrimStart((byte)'/');
            writer.Write("/"u8);
        }

        writer.Write(rest);
    }

    /// <summary>How many bytes of the path write the prefix; 0 when it does not begin with it, or goes on within a segment.</summary>
    private int LengthOfPrefix(ReadOnlySpan<byte> path)
    {
        var position = 0;
        for (var i = 0; i < _strip.Length;)
        {
            var wanted = PercentCoding.At(_strip, i, out var wantedLength);
            if (position == path.Length || PercentCoding.At(path, position, out var length) != wanted)
            {
                return 0;
            }

            i += wantedLength;
            position += length;
        }

        return position == path.Length || path[position] == '/' ? position : 0;
    }
}
