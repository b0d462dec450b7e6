using System.Text;
using FastLB.Configuration;
using FastLB.Core.Loop;
using FastLB.Fuzzing.References;
using YamlDotNet.RepresentationModel;
using YamlNode = FastLB.Configuration.YamlNode;

namespace FastLB.Fuzzing.Targets;

/// <summary>
/// A YAML document: it has the tree that the reference has, with the same places, as far as that has an opinion, and the tree that the library's own model has.
/// </summary>
internal sealed class YamlTarget : FuzzTarget
{
    private static readonly string[] s_words = ["a", "b", "key", "127.0.0.1:80", "/a/b", "x-y", "10s", "1", "\"q: {x\"", "'it, is'", "\"\"", "''", "true", "null", "_", ".5", "a.b.c"];

    public override string Name => "yaml";

    public override int MaxBytes => 600;

    public override IReadOnlyList<byte[]> Fragments { get; } =
    [
        .. new[] { "- ", ": ", ":\n", "[", "]", "{", "}", ", ", ",", "\"", "'", " #", "&a ", "*a", "!t ", "|\n", ">-\n", "---\n", "...\n", "? ", "%YAML 1.2\n", "\t", "  ", "\n", "\u00fc", "\u2028", "<<: ", "~", "\\", "\ufeff", "\u0085", "[]", "{}", "k: v", "- - a\n", "a: b: c" }
            .Concat(s_words).Select(Encoding.UTF8.GetBytes),
    ];

    public override byte[] Generate(RandomSource chance)
    {
        var text = new StringBuilder();
        Block(chance, text, indent: chance.Chance(0.1) ? 2 : 0, depth: 0);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    public override ulong Run(byte[] input)
    {
        var signal = Check(Encoding.UTF8.GetString(input), out var hasOpinion);
        Accepted += hasOpinion ? 1 : 0;
        return Signal.Of((long)signal, Signal.Bucket(input.Length), input.AsSpan().IndexOfAny("{["u8) >= 0 ? 1 : 0, Signal.Bucket(input.Count(b => b == '\n')));
    }

    /// <summary>Throws where the trees differ.</summary>
    /// <param name="text">The document.</param>
    /// <param name="hasOpinion">Whether the reference knew what it means.</param>
    public static ulong Check(string text, out bool hasOpinion)
    {
        hasOpinion = false;
        var mistakes = new Mistakes("fastlb.yaml");
        var root = YamlReader.Read(text, mistakes);
        var errors = mistakes.Any ? mistakes.ToResult(null).Errors : [];
        Require(root is not null || errors.Count > 0, "nothing to look at, and no mistake");
        var expected = YamlReference.Read(text);
        if (expected is not null)
        {
            hasOpinion = true;
            Require(root is not null && errors.Count == 0, $"the reference reads {expected}, and there are mistakes: {string.Join('\n', errors)}");
            Agree(expected, Tree(root!), "the tree");
        }

        if (root is not null && errors.Count == 0)
        {
            Agree(ModelOf(text), Content(root), "the tree of the library's own model");
        }

        return Signal.Of(expected is null ? 0 : 1, root is null ? 0 : 1, errors.Count > 3 ? 3 : errors.Count);
    }

    private static string Tree(YamlNode node) => node switch
    {
        ScalarNode { Text: "" } scalar when scalar.IsNothing => "nothing",
        ScalarNode scalar => $"'{scalar.Text}'@{scalar.Line}:{scalar.Column}",
        SequenceNode list => $"list@{list.Line}:{list.Column}({string.Join(' ', list.Items.Select(Tree))})",
        MappingNode map => $"map@{map.Line}:{map.Column}({string.Join(' ', map.Entries.Select(e => $"{Tree(e.Key)}={Tree(e.Value)}"))})",
        _ => throw new DisagreementException($"{node} is no node"),
    };

    private static string Content(YamlNode node) => node switch
    {
        ScalarNode scalar => $"'{scalar.Text}'",
        SequenceNode list => $"[{string.Join(' ', list.Items.Select(Content))}]",
        MappingNode map => $"{{{string.Join(' ', map.Entries.Select(e => $"{Content(e.Key)}={Content(e.Value)}"))}}}",
        _ => throw new DisagreementException($"{node} is no node"),
    };

    private static string ModelOf(string text)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlDotNet.Core.YamlException failure)
        {
            return $"refused: {failure.Message}";
        }

        return Model(stream.Documents[0].RootNode);

        static string Model(YamlDotNet.RepresentationModel.YamlNode node) => node switch
        {
            YamlScalarNode scalar => $"'{scalar.Value}'",
            YamlSequenceNode list => $"[{string.Join(' ', list.Children.Select(Model))}]",
            YamlMappingNode map => $"{{{string.Join(' ', map.Children.Select(e => $"{Model(e.Key)}={Model(e.Value)}"))}}}",
            _ => node.ToString(),
        };
    }

    private static void Block(RandomSource chance, StringBuilder text, int indent, int depth)
    {
        var isList = chance.Chance(0.4);
        for (var count = 1 + chance.Next(4); count > 0; count--)
        {
            text.Append(' ', indent).Append(isList ? "-" : $"{(chance.Chance(0.9) ? $"k{count}" : Word(chance))}:");
            if (depth < 4 && chance.Chance(0.35))
            {
                var isCompact = isList && chance.Chance(0.5);
                var below = isList ? indent + 2 : indent + (chance.Chance(0.2) ? 0 : 1 + chance.Next(3));
                if (isCompact)
                {
                    var inner = new StringBuilder();
                    Block(chance, inner, below, depth + 1);
                    text.Append(' ').Append(inner.ToString().AsSpan(below));
                }
                else
                {
                    text.Append('\n');
                    Block(chance, text, below, depth + 1);
                }
            }
            else
            {
                text.Append(chance.Chance(0.1) ? "" : " " + Flow(chance, 0)).Append('\n');
            }
        }
    }

    private static string Flow(RandomSource chance, int depth) => (depth < 3 ? chance.Next(6) : 5) switch
    {
        0 => $"[{string.Join(chance.Chance(0.8) ? ", " : ",", Enumerable.Range(0, chance.Next(4)).Select(_ => Flow(chance, depth + 1)))}]",
        1 => $"{{ {string.Join(", ", Enumerable.Range(0, chance.Next(4)).Select(i => $"f{i}: {Flow(chance, depth + 1)}"))} }}",
        _ => Word(chance),
    };

    private static string Word(RandomSource chance) => s_words[chance.Next(s_words.Length)];
}
