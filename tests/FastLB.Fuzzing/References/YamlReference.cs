using System.Text;
using System.Text.RegularExpressions;

namespace FastLB.Fuzzing.References;

/// <summary>
/// The part of YAML 1.2 that configurations are written in, line by line: block mappings and sequences by indentation (8.2), flow ones in one line (7.4), plain scalars of harmless characters
/// and quoted ones without escapes (7.3). Of everything else it has no opinion, which is null. What it reads is told as text, with the place of each node.
/// </summary>
internal sealed partial class YamlReference
{
    private readonly List<(int Number, int Indent, string Text)> _lines;
    private int _at;

    private YamlReference(string text) =>
        _lines = [.. text.Split('\n').Select((line, i) => (i + 1, line.Length - line.TrimStart(' ').Length, line.Trim(' '))).Where(l => l.Item3.Length > 0)];

    private const int MaxKeyLength = 1024;

    public static string? Read(string text)
    {
        // A key has at most 1024 characters and stands in one line (7.4.2), which the reference does not care to count.
        if (!Harmless().IsMatch(text) || text.Split('\n').Any(line => line.Length > MaxKeyLength))
        {
            return null;
        }

        var reference = new YamlReference(text);
        try
        {
            return reference._lines.Count == 0 ? null : reference.Whole();
        }
        catch (NoOpinionException)
        {
            return null;
        }
    }

    private string Whole()
    {
        var node = Block(_lines[0].Indent, 1);
        return _at == _lines.Count ? node : throw new NoOpinionException();
    }

    /// <summary>The mapping or sequence whose entries stand at this indentation.</summary>
    private string Block(int indent, int depth)
    {
        var first = _lines[_at];
        var isSequence = IsItem(first.Text);
        var keys = new HashSet<string>();
        var parts = new List<string>();
        for (; _at < _lines.Count && _lines[_at].Indent == indent; CheckIndent(indent))
        {
            var line = _lines[_at];
            if (IsItem(line.Text) != isSequence)
            {
                // A sequence may stand as far left as its key; behind it the keys go on.
                if (isSequence)
                {
                    break;
                }

                throw new NoOpinionException();
            }

            if (isSequence)
            {
                parts.Add(Item(line, indent, depth));
                continue;
            }

            var match = KeyAndRest().Match(line.Text);
            if (!match.Success || !keys.Add(Unquoted(match.Groups["key"].Value)))
            {
                throw new NoOpinionException();
            }

            var key = Scalar(match.Groups["key"].Value, line.Number, indent + 1);
            parts.Add($"{key}={Value(line, indent, indent + match.Groups["rest"].Index, match.Groups["rest"].Value, depth)}");
        }

        return $"{(isSequence ? "list" : "map")}@{first.Number}:{indent + 1}({string.Join(' ', parts)})";
    }

    private string Item((int Number, int Indent, string Text) line, int indent, int depth)
    {
        var rest = line.Text[1..].TrimStart(' ');
        var column = indent + line.Text.Length - rest.Length;
        if (rest.Length > 0 && KeyAndRest().IsMatch(rest) && rest[0] is not ('{' or '['))
        {
            // A mapping that begins in the item's own line: as if it stood in a line by itself.
            _lines[_at] = (line.Number, column, rest);
            return Block(Deeper(column, depth), depth + 1);
        }

        return Value(line, indent, column, rest, depth);
    }

    /// <summary>What stands behind a key or a dash: something in the same line, a block below, or nothing.</summary>
    private string Value((int Number, int Indent, string Text) line, int indent, int column, string rest, int depth)
    {
        _at++;
        if (rest.Length > 0)
        {
            var flow = new Flow(rest, line.Number, column);
            return flow.ReadAll(depth + 1);
        }

        var isBelow = _at < _lines.Count && (_lines[_at].Indent > indent || (_lines[_at].Indent == indent && IsItem(_lines[_at].Text) && !IsItem(line.Text)));
        return isBelow ? Block(Deeper(_lines[_at].Indent, depth), depth + 1) : "nothing";
    }

    private static int Deeper(int indent, int depth) => depth < 14 ? indent : throw new NoOpinionException();

    private void CheckIndent(int indent)
    {
        // A line that is indented further continues a scalar, or is a mistake.
        if (_at < _lines.Count && _lines[_at].Indent > indent)
        {
            throw new NoOpinionException();
        }
    }

    private static bool IsItem(string text) => text == "-" || text.StartsWith("- ", StringComparison.Ordinal);

    private static string Unquoted(string text) => text[0] is '"' or '\'' ? text[1..^1] : text;

    private static string Scalar(string text, int line, int column) => $"'{Unquoted(text)}'@{line}:{column}";

    /// <summary>One line of scalars, [lists] and {mappings}.</summary>
    private sealed class Flow(string text, int line, int column)
    {
        private int _position;

        public string ReadAll(int depth)
        {
            var node = Node(depth, inFlow: false);
            return _position == text.Length ? node : throw new NoOpinionException();
        }

        private string Node(int depth, bool inFlow)
        {
            if (depth > 14)
            {
                throw new NoOpinionException();
            }

            var start = _position;
            if (Take('['))
            {
                var items = Entries(']', () => Node(depth + 1, inFlow: true));
                return $"list@{line}:{column + start + 1}({items})";
            }

            if (Take('{'))
            {
                var keys = new HashSet<string>();
                var entries = Entries('}', () => Entry(keys, depth));
                return $"map@{line}:{column + start + 1}({entries})";
            }

            var match = Word().Match(text, _position);
            var scalar = match.Success ? match.Value : throw new NoOpinionException();
            _position += scalar.Length;
            if (!inFlow && _position < text.Length)
            {
                throw new NoOpinionException();
            }

            return Scalar(scalar, line, column + start + 1);
        }

        private string Entry(HashSet<string> keys, int depth)
        {
            var match = Word().Match(text, _position);
            if (!match.Success || !keys.Add(Unquoted(match.Value)))
            {
                throw new NoOpinionException();
            }

            var key = Scalar(match.Value, line, column + _position + 1);
            _position += match.Length;
            if (!Take(':') || !Take(' '))
            {
                throw new NoOpinionException();
            }

            Blanks();
            return $"{key}={Node(depth + 1, inFlow: true)}";
        }

        private string Entries(char end, Func<string> entry)
        {
            var entries = new List<string>();
            Blanks();
            while (!Take(end))
            {
                if (entries.Count > 0 && !Take(','))
                {
                    throw new NoOpinionException();
                }

                Blanks();
                entries.Add(entry());
                Blanks();
            }

            return string.Join(' ', entries);
        }

        private bool Take(char character)
        {
            if (_position < text.Length && text[_position] == character)
            {
                _position++;
                return true;
            }

            return false;
        }

        private void Blanks()
        {
            while (Take(' '))
            {
            }
        }
    }

    private const string Plain = @"[A-Za-z0-9./_][A-Za-z0-9./_-]*(?::[A-Za-z0-9/][A-Za-z0-9./_-]*)*";

    [GeneratedRegex(@"\A[\x20-\x7e\n]*\z")]
    private static partial Regex Harmless();

    [GeneratedRegex($@"\A(?<key>{Plain}|""[^""\\]*""|'[^']*'):(?: +(?<rest>.*)|(?<rest>))\z")]
    private static partial Regex KeyAndRest();

    [GeneratedRegex($@"\G(?:{Plain}|""[^""\\]*""|'[^']*')")]
    private static partial Regex Word();

    private sealed class NoOpinionException : Exception;
}
