using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace FastLB.Configuration;

/// <summary>
/// Turns YAML text into nodes with places. It reads the parser's events instead of the library's own node tree, because that
/// tree gives up at a duplicate key and follows aliases: here both are mistakes like any other, with their place, and the
/// depth is bounded. One pass, no recursion beyond <see cref="MaxDepth"/>.
/// </summary>
internal sealed class YamlReader
{
    /// <summary>Deeper than any configuration needs (environment variables stand at 5).</summary>
    public const int MaxDepth = 16;

    private readonly string _text;
    private readonly Parser _parser;
    private readonly Mistakes _mistakes;

    private YamlReader(string text, Mistakes mistakes)
    {
        _text = text;
        _parser = new Parser(new Scanner(new StringReader(text), skipComments: true));
        _mistakes = mistakes;
    }

    /// <summary>The document's root, or null after an error that leaves nothing to look at.</summary>
    public static YamlNode? Read(string text, Mistakes mistakes) => new YamlReader(text, mistakes).ReadDocument();

    private YamlNode? ReadDocument()
    {
        try
        {
            YamlNode? root = null;
            while (_parser.MoveNext())
            {
                switch (_parser.Current)
                {
                    case StreamStart or StreamEnd or DocumentEnd:
                        break;
                    case DocumentStart start when root is not null:
                        Refuse(start, "a second document starts here; the configuration is one document");
                        return null;
                    case DocumentStart:
                        _parser.MoveNext();
                        root = ReadNode(depth: 1);
                        break;
                }
            }

            if (root is null)
            {
                _mistakes.Error(1, 1, "the file is empty; it needs 'listeners' and 'pools'");
            }

            return root;
        }
        catch (DeeperThanAllowed)
        {
            return null;
        }
        catch (YamlException failure)
        {
            SyntaxError((int)failure.Start.Line, (int)failure.Start.Column, Sentence(failure.Message));
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // The library leaks exceptions of its own making on some malformed input, like a flow list without its end.
            var end = _parser.Current?.End ?? Mark.Empty;
            SyntaxError(
                (int)end.Line,
                (int)end.Column,
                "this is not YAML from here on; is a bracket or a quote left open?");
        }

        return null;
    }

    /// <summary>Reads the node at the parser's current event, and leaves the parser at the node's last event.</summary>
    private YamlNode ReadNode(int depth)
    {
        var begin = _parser.Current ?? throw new InvalidOperationException("the document ends where a value should be");
        var (line, column) = ((int)begin.Start.Line, (int)begin.Start.Column);
        if (depth > MaxDepth)
        {
            Refuse(begin, $"this is nested deeper than {MaxDepth} levels");
            throw new DeeperThanAllowed();
        }

        if (begin is NodeEvent { Anchor.IsEmpty: false } anchored)
        {
            Refuse(
                begin,
                $"'&{anchored.Anchor}' defines a YAML anchor, which FastLB does not take; write the value where it is needed");
        }

        if (begin is NodeEvent { Tag: { IsEmpty: false, IsNonSpecific: false } tag })
        {
            Refuse(begin, $"'{tag}' is a YAML tag, which FastLB does not take; remove it");
        }

        switch (begin)
        {
            case Scalar scalar:
                if (scalar.Value.Contains('\0', StringComparison.Ordinal))
                {
                    Refuse(begin, "a zero byte cannot be part of a value");
                }

                return new ScalarNode(line, column, scalar.Value, isQuoted: scalar.Style != ScalarStyle.Plain);
            case AnchorAlias alias:
                Refuse(
                    begin,
                    $"'*{alias.Value}' is a YAML alias, which FastLB does not take; a text that starts with * needs quotes");
                return new ScalarNode(line, column, $"*{alias.Value}", isQuoted: true);
            case SequenceStart:
                return ReadSequence(new SequenceNode(line, column), depth);
            case MappingStart:
                return ReadMapping(new MappingNode(line, column), depth);
            default:
                throw new InvalidOperationException($"{begin.GetType().Name} cannot begin a value");
        }
    }

    private SequenceNode ReadSequence(SequenceNode sequence, int depth)
    {
        while (_parser.MoveNext() && _parser.Current is not SequenceEnd)
        {
            sequence.Items.Add(ReadNode(depth + 1));
        }

        return sequence;
    }

    private MappingNode ReadMapping(MappingNode mapping, int depth)
    {
        var linesOfKeys = new Dictionary<string, int>(StringComparer.Ordinal);
        while (_parser.MoveNext() && _parser.Current is not MappingEnd)
        {
            var key = ReadNode(depth + 1);
            _parser.MoveNext();
            var value = ReadNode(depth + 1);
            if (key is not ScalarNode name)
            {
                _mistakes.Error(key, $"a key is a word, and this is {key.Kind}");
            }
            else if (!linesOfKeys.TryAdd(name.Text, name.Line))
            {
                _mistakes.Error(
                    name,
                    $"the key '{name.Text}' stands here a second time; the first is in line {linesOfKeys[name.Text]}");
            }
            else
            {
                mapping.Entries.Add((name, value));
            }
        }

        return mapping;
    }

    private void Refuse(ParsingEvent at, string text) => _mistakes.Refuse(
        (int)at.Start.Line,
        (int)at.Start.Column,
        text);

    /// <summary>
    /// The library places many errors at the start of the surrounding block. A tab in the indentation is the usual
    /// cause and can be shown exactly.
    /// </summary>
    private void SyntaxError(int line, int column, string text)
    {
        var lines = _text.Split('\n');
        var last = text.Contains(" tab ", StringComparison.Ordinal) ? lines.Length : Math.Min(line + 1, lines.Length);
        for (var i = Math.Max(line - 1, 0); i < last; i++)
        {
            var indentation = lines[i].AsSpan()[..^lines[i].AsSpan().TrimStart(" \t").Length];
            var tab = indentation.IndexOf('\t');
            if (tab >= 0 && lines[i].AsSpan().Trim().Length > 0)
            {
                _mistakes.Error(i + 1, tab + 1, "there is a tab in the indentation; YAML takes only spaces");
                return;
            }
        }

        _mistakes.Error(Math.Max(line, 1), Math.Max(column, 1), text);
    }

    private static string Sentence(string message)
    {
        var text = message.TrimEnd('.', ' ');
        var hint = text switch
        {
            _ when text.Contains("block mapping", StringComparison.Ordinal) || text.Contains(
                "block collection",
                StringComparison.Ordinal)
                => "; is this line indented like its neighbours?",
            _ when text.Contains("invalid mapping", StringComparison.Ordinal)
                => "; is this line indented like its neighbours, or does a text with a colon need quotes?",
            _ => "",
        };
        return text.Length == 0 ? "this is not YAML" : $"this is not YAML: {char.ToLowerInvariant(text[0])}{text[1..]}{hint}";
    }

    /// <summary>Ends the reading from inside the recursion; the error is already noted.</summary>
    private sealed class DeeperThanAllowed : Exception;
}
