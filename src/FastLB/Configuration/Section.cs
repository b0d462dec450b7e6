namespace FastLB.Configuration;

/// <summary>
/// A set of keys that is being read: it knows which keys belong here, so an unknown one is told with the nearest known one.
/// Every read of a value answers null when the key is absent or its value is wrong; in the second case the mistake is noted.
/// </summary>
internal sealed class Section
{
    private readonly MappingNode _node;
    private readonly Mistakes _mistakes;

    private Section(MappingNode node, string name, Mistakes mistakes)
    {
        _node = node;
        _mistakes = mistakes;
        Name = name;
    }

    /// <summary>How messages call it: <c>pool 'app'</c>.</summary>
    public string Name { get; }

    public YamlNode Node => _node;

    /// <summary>Opens <paramref name="node"/>, or notes that it is no set of keys and answers null.</summary>
    public static Section? Open(YamlNode node, string name, IReadOnlyList<string> keys, Mistakes mistakes)
    {
        if (node is not MappingNode mapping)
        {
            mistakes.Error(node, $"{name}: expected keys ({string.Join(", ", keys)}), found {node.Kind}");
            return null;
        }

        foreach (var (key, _) in mapping.Entries)
        {
            if (!keys.Contains(key.Text))
            {
                var hint = NearestWord.Of(key.Text, keys) is { } nearest
                    ? $"did you mean '{nearest}'?"
                    : $"known are {string.Join(", ", keys)}";
                mistakes.Error(key, $"unknown key '{key.Text}' in {name}; {hint}");
            }
        }

        return new Section(mapping, name, mistakes);
    }

    public YamlNode? Find(string key) => _node.Entries.FirstOrDefault(e => e.Key.Text == key).Value;

    public ScalarNode? FindKey(string key) => _node.Entries.FirstOrDefault(e => e.Key.Text == key).Key;

    /// <summary>The value as text that is not empty.</summary>
    public ScalarNode? Text(string key, string expected) =>
        Find(key) is { } value ? TextOf(value, key, expected) : null;

    public ScalarNode? TextOf(YamlNode value, string key, string expected)
    {
        if (value is ScalarNode { IsNothing: false, Text.Length: > 0 } scalar)
        {
            return scalar;
        }

        _mistakes.Error(
            value,
            $"{key}: expected {expected}, found {(value is ScalarNode { IsNothing: false } ? "an empty text" : value.Kind)}");
        return null;
    }

    /// <summary>One of the words given, each with its value.</summary>
    public T? Choice<T>(string key, params ReadOnlySpan<(string Word, T Value)> choices)
        where T : struct
    {
        var words = new List<string>();
        foreach (var choice in choices)
        {
            words.Add(choice.Word);
        }

        if (Text(key, string.Join(" or ", words)) is not { } text)
        {
            return null;
        }

        foreach (var (word, value) in choices)
        {
            if (word == text.Text)
            {
                return value;
            }
        }

        var hint = NearestWord.Of(text.Text, words) is { } nearest ? $"; did you mean '{nearest}'?" : "";
        _mistakes.Error(text, $"{key}: expected {string.Join(" or ", words)}, found '{text.Text}'{hint}");
        return null;
    }

    public bool? Flag(string key) => Choice(key, ("true", true), ("false", false));

    public int? DurationMs(string key)
    {
        if (Text(key, "a duration like 250ms, 10s, 5m or 1h") is not { } text)
        {
            return null;
        }

        if (Duration.TryParse(text.Text, out var milliseconds, out var problem))
        {
            return milliseconds;
        }

        _mistakes.Error(text, $"{key}: {problem}");
        return null;
    }

    public long? Bytes(string key, long min, long max)
    {
        if (Text(key, "a size like 64KB") is not { } text)
        {
            return null;
        }

        if (ByteSize.TryParse(text.Text, min, max, out var bytes, out var problem))
        {
            return bytes;
        }

        _mistakes.Error(text, $"{key}: {problem}");
        return null;
    }

    /// <summary>A whole number in a range, or, when given, the one word that stands for <paramref name="wordValue"/>.</summary>
    public int? Number(string key, int min, int max, string? word = null, int wordValue = 0)
    {
        var expected = word is null ? $"a number from {min} to {max}" : $"{word} or a number from {min} to {max}";
        if (Text(key, expected) is not { } text)
        {
            return null;
        }

        if (WholeNumber.TryParse(text.Text, min, max, word, wordValue, out var number, out var problem))
        {
            return number;
        }

        _mistakes.Error(text, $"{key}: {problem}");
        return null;
    }

    /// <summary>A share of a hundred, like <c>50%</c>, from <paramref name="min"/> to 1.</summary>
    public double? Share(string key, double min = 0)
    {
        if (Text(key, "a share like 50%") is not { } text)
        {
            return null;
        }

        if (DecimalNumber.TryParseShare(text.Text, min, out var share, out var problem))
        {
            return share;
        }

        _mistakes.Error(text, $"{key}: {problem}");
        return null;
    }

    /// <summary>The items of a list with at least one and at most <paramref name="max"/> items; empty after a mistake.</summary>
    public IReadOnlyList<YamlNode> List(string key, string expected, int max)
    {
        switch (Find(key))
        {
            case null:
                return [];
            case SequenceNode { Items.Count: 0 } empty:
                _mistakes.Error(empty, $"{key}: the list is empty; expected {expected}");
                return [];
            case SequenceNode sequence when sequence.Items.Count > max:
                _mistakes.Error(sequence, $"{key}: {sequence.Items.Count} items; at most {max} are allowed");
                return [];
            case SequenceNode sequence:
                return sequence.Items;
            case var other:
                _mistakes.Error(other, $"{key}: expected a list of {expected}, found {other.Kind}");
                return [];
        }
    }
}
