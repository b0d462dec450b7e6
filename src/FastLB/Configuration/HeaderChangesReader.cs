using FastLB.Core.Http;

namespace FastLB.Configuration;

/// <summary>Reads <c>requestHeaders</c> and <c>responseHeaders</c> of a route, and the headers of its own answers.</summary>
/// <param name="hasRequestIds">Whether requests have an id that a value can name.</param>
internal sealed class HeaderChangesReader(Mistakes mistakes, bool hasRequestIds)
{
    public const int MaxLines = 32;
    public const int MaxValueLength = 4096;

    private static readonly string[] Keys = ["set", "add", "remove"];

    /// <summary>What says where a message ends and what a connection does is FastLB's own affair (RFC 9110 7.6.1).</summary>
    private static readonly string[] Framing =
    [
        "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade", "Expect", "Proxy-Authorization",
        "Content_Length", "Transfer_Encoding",
    ];

    private static readonly string[] Forwarding = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Forwarded"];

    public HeaderChangeSettings? Read(Section route, string key, IReadOnlyList<string> names)
    {
        if (route.Find(key) is not { } node || Section.Open(node, $"{key} of {route.Name}", Keys, mistakes) is not { } changes)
        {
            return null;
        }

        var settings = new HeaderChangeSettings
        {
            Set = ReadLines(changes, "set", names, MaxLines),
            Add = ReadLines(changes, "add", names, MaxLines),
            Remove = ReadNames(changes),
        };
        if (settings is { Set.Count: 0, Add.Count: 0, Remove.Count: 0 } && ((MappingNode)node).Entries.Count == 0)
        {
            mistakes.Error(node, $"{changes.Name} says nothing; write 'set', 'add' or 'remove'");
        }

        return settings;
    }

    /// <summary>Headers whose values are sent as they are written.</summary>
    public List<HeaderValue> ReadLiterals(Section answer, string key, int max) => ReadLines(answer, key, null, max);

    /// <summary>Notes what is wrong with a template. True when nothing is.</summary>
    public bool Check(ScalarNode at, string text, string key, IReadOnlyList<string> names)
    {
        if (TextTemplate.TryParse(text, names, out _, out var unknown))
        {
            if (!hasRequestIds && text.Contains("{request.id}", StringComparison.Ordinal) && !text.Contains("{{request.id}", StringComparison.Ordinal))
            {
                mistakes.Warning(at, $"{key}: '{{request.id}}' is empty, because requests of this listener get no id; write forwarding: {{ requestId: generate }} or accept-all");
            }

            return true;
        }

        var hint = unknown.Length == 0 ? "a '{' is never closed; a brace that is meant as such is written '{{'"
            : unknown == "worker" ? "'{worker}' is not known yet when a request's headers are written; responseHeaders can name it"
            : NearestWord.Of(unknown, names) is { } nearest ? $"there is no '{{{unknown}}}' here; did you mean '{{{nearest}}}'?"
            : $"there is no '{{{unknown}}}' here; known are {string.Join(", ", names.Select(n => $"{{{n}}}"))}";
        mistakes.Error(at, $"{key}: {hint}");
        return false;
    }

    private List<HeaderValue> ReadLines(Section section, string key, IReadOnlyList<string>? names, int max)
    {
        var lines = new List<HeaderValue>();
        if (section.Find(key) is not { } node)
        {
            return lines;
        }

        if (node is not MappingNode mapping || mapping.Entries.Count > max)
        {
            mistakes.Error(node, $"{key}: expected at most {max} headers with values, like {{ X-Name: value }}, found {(node is MappingNode ? "more" : node.Kind)}");
            return lines;
        }

        foreach (var (name, value) in mapping.Entries)
        {
            if (!IsAllowed(name, key) || section.TextOf(value, $"{key}: {name.Text}", "a value") is not { } text)
            {
                continue;
            }

            if (text.Text.Length > MaxValueLength || text.Text.Any(c => c is (< ' ' and not '\t') or > '~'))
            {
                mistakes.Error(text, $"{key}: {name.Text}: a value has at most {MaxValueLength} characters, all of them printable ASCII");
            }
            else if (names is null || Check(text, text.Text, $"{key}: {name.Text}", names))
            {
                lines.Add(new HeaderValue(name.Text, text.Text));
            }
        }

        return lines;
    }

    private List<string> ReadNames(Section changes)
    {
        var removed = new List<string>();
        foreach (var node in changes.List("remove", "names of headers", MaxLines))
        {
            if (changes.TextOf(node, "remove", "the name of a header") is { } name && IsAllowed(name, "remove"))
            {
                removed.Add(name.Text);
            }
        }

        return removed;
    }

    private bool IsAllowed(ScalarNode name, string key)
    {
        if (!KeyText.TryParse($"header:{name.Text}", out _, out _, out var problem))
        {
            mistakes.Error(name, $"{key}: {problem}");
            return false;
        }

        var reason = Framing.Contains(name.Text, StringComparer.OrdinalIgnoreCase) ? "it says how the message or the connection ends, which is FastLB's own affair"
            : name.Text.Equals("Host", StringComparison.OrdinalIgnoreCase) ? "write rewrite: { host: ... } in the route"
            : Forwarding.Contains(name.Text, StringComparer.OrdinalIgnoreCase) ? "FastLB writes it itself"
            : null;
        if (reason is not null)
        {
            mistakes.Error(name, $"{key}: {name.Text} cannot be changed: {reason}");
        }

        return reason is null;
    }
}
