namespace FastLB.Configuration;

/// <summary>A piece of a YAML document and the place where it begins: line and column, both from 1. Immutable once read.</summary>
internal abstract class YamlNode(int line, int column)
{
    public int Line { get; } = line;

    public int Column { get; } = column;

    /// <summary>What it is, as a message calls it: "found a list".</summary>
    public abstract string Kind { get; }
}

/// <summary>A single value as text. YAML's types do not matter here: the reader of a key knows what it expects.</summary>
internal sealed class ScalarNode(int line, int column, string text, bool isQuoted) : YamlNode(line, column)
{
    public string Text { get; } = text;

    /// <summary>True for <c>key:</c> with nothing behind it, and for the words that YAML has for nothing.</summary>
    public bool IsNothing { get; } = !isQuoted && text is "" or "~" or "null";

    public override string Kind => IsNothing ? "nothing" : $"'{Text}'";
}

internal sealed class SequenceNode(int line, int column) : YamlNode(line, column)
{
    public List<YamlNode> Items { get; } = [];

    public override string Kind => "a list";
}

/// <summary>Keys with values, in the order of the file, each key once.</summary>
internal sealed class MappingNode(int line, int column) : YamlNode(line, column)
{
    public List<(ScalarNode Key, YamlNode Value)> Entries { get; } = [];

    public override string Kind => "a set of keys";
}
