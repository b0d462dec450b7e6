using FastLB.Core.Loop;

namespace FastLB.Configuration;

/// <summary>One thing that is wrong (or, as a warning, doubtful) in a configuration file, and where.</summary>
/// <param name="Line">From 1; 0 when the file as a whole is meant.</param>
/// <param name="Column">From 1, in UTF-16 units as editors count them; 0 with <paramref name="Line"/> 0.</param>
internal sealed record Mistake(string FileName, int Line, int Column, string Text)
{
    /// <summary><c>file:line:column: text</c>, which editors and terminals can jump to.</summary>
    public override string ToString() => Line == 0 ? $"{FileName}: {Text}" : $"{FileName}:{Line}:{Column}: {Text}";
}

/// <summary>
/// Collects what is wrong with one file, so that a person learns all of it at once. Bounded: after
/// <see cref="MaxErrors"/> it only remembers that there were more.
/// </summary>
internal sealed class Mistakes(string fileName)
{
    public const int MaxErrors = 100;

    /// <summary>A message repeats what the file says, and a file may say anything.</summary>
    public const int MaxTextLength = 400;

    private readonly List<Mistake> _errors = [];
    private readonly List<Mistake> _warnings = [];
    private readonly HashSet<(int Line, int Column)> _refused = [];
    private bool _more;

    public bool Any => _errors.Count > 0;

    /// <summary>How many errors were found so far, those included that are not told; who reads a part knows by it whether that part is right.</summary>
    public int ErrorCount { get; private set; }

    /// <summary><c>file:line:column</c>, for what is told later.</summary>
    public string PlaceOf(YamlNode at) => $"{fileName}:{at.Line}:{at.Column}";

    public void Error(YamlNode at, string text) => Error(at.Line, at.Column, text);

    public void Error(int line, int column, string text)
    {
        ErrorCount++;
        Add(_errors, new Mistake(fileName, line, column, text));
    }

    /// <summary>An error of a value that nobody should look at any more: further errors at the same place are not told.</summary>
    public void Refuse(int line, int column, string text)
    {
        Error(line, column, text);
        _refused.Add((line, column));
    }

    public void Warning(YamlNode at, string text) => Add(_warnings, new Mistake(fileName, at.Line, at.Column, text));

    /// <summary>An error of the file as a whole, which has no place inside it.</summary>
    public void FileError(string text) => Add(_errors, new Mistake(fileName, 0, 0, text));

    /// <summary>In the order of the file. Settings are handed on only when there was no error.</summary>
    public ConfigurationResult ToResult(Settings? settings)
    {
        Invariant.That(Any || settings is not null, "a configuration is read or an error says why not");
        var errors = InOrder(_errors);
        if (_more)
        {
            errors = [.. errors, new Mistake(fileName, 0, 0, $"there are more mistakes; these are the first {MaxErrors} that were found")];
        }

        return new ConfigurationResult(Any ? null : settings, errors, InOrder(_warnings));
    }

    private static Mistake[] InOrder(List<Mistake> mistakes) => [.. mistakes.OrderBy(m => m.Line).ThenBy(m => m.Column)];

    /// <summary>Not endless, and without control characters, which could steer the reader's terminal.</summary>
    private static string Printable(string text)
    {
        var shown = text.Length > MaxTextLength ? $"{text.AsSpan(0, MaxTextLength)}..." : text;
        return shown.Any(char.IsControl) ? string.Concat(shown.Select(c => char.IsControl(c) ? '\ufffd' : c)) : shown;
    }

    private void Add(List<Mistake> to, Mistake mistake)
    {
        if (_refused.Contains((mistake.Line, mistake.Column)))
        {
            return;
        }

        if (to.Count < MaxErrors)
        {
            to.Add(mistake with { Text = Printable(mistake.Text) });
        }
        else
        {
            _more = true;
        }
    }
}
