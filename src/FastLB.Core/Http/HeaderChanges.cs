using System.Text;

namespace FastLB.Core.Http;

/// <summary>A header and the template of its value.</summary>
public sealed record HeaderValue(string Name, string Template);

/// <summary>What a route changes in the headers of one direction, as it is configured. Immutable.</summary>
public sealed record HeaderChangeSettings
{
    /// <summary>These replace what the message has under the same name.</summary>
    public IReadOnlyList<HeaderValue> Set { get; init => field = ValueList.Of(value); } = ValueList.Of<HeaderValue>([]);

    /// <summary>These come in addition.</summary>
    public IReadOnlyList<HeaderValue> Add { get; init => field = ValueList.Of(value); } = ValueList.Of<HeaderValue>([]);

    /// <summary>These are taken out.</summary>
    public IReadOnlyList<string> Remove { get; init => field = ValueList.Of(value); } = ValueList.Of<string>([]);
}

/// <summary>The same, compiled: which lines are left out, and which are written. Immutable, shared by loops.</summary>
internal sealed class HeaderChanges
{
    private readonly byte[][] _removed;
    private readonly ulong _removedLengths;
    private readonly (byte[] Name, TextTemplate Value)[] _lines;

    public HeaderChanges(HeaderChangeSettings settings, IReadOnlyList<string> names)
    {
        _removed = [.. settings.Remove.Concat(settings.Set.Select(s => s.Name)).Select(Encoding.ASCII.GetBytes)];
        foreach (var name in _removed)
        {
            _removedLengths |= 1UL << Math.Min(name.Length, 63);
        }

        _lines = [.. settings.Set.Concat(settings.Add).Select(l => (Encoding.ASCII.GetBytes($"{l.Name}: "), TextTemplate.Of(l.Template, names)))];
    }

    public bool RemovesAny => _removed.Length > 0;

    /// <summary>Whether a value is something of the request that has to be kept until it is answered.</summary>
    public bool NamesRequest => Array.Exists(_lines, l => l.Value.NamesRequest);

    /// <summary>Whether a line of this name is left out. Case does not count, and '_' is as good as '-', because to many workers it is.</summary>
    public bool Removes(ReadOnlySpan<byte> name)
    {
        if ((_removedLengths & (1UL << Math.Min(name.Length, 63))) == 0)
        {
            return false;
        }

        foreach (var removed in _removed)
        {
            if (HeaderNames.IsSame(name, removed))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Writes the lines, each with its CRLF; a line whose value is empty is left out.</summary>
    public void WriteLines(ref HeadWriter writer, scoped in TemplateValues values)
    {
        foreach (var (name, value) in _lines)
        {
            var before = writer.Length;
            writer.Write(name);
            var start = writer.Length;
            value.Write(ref writer, values);
            if (writer.Length == start)
            {
                writer.Rewind(before);
                continue;
            }

            writer.Write("\r\n"u8);
        }
    }
}
