using System.Globalization;
using FastLB.Core.Http;

namespace FastLB.Tests.Http;

/// <summary>
/// One golden case of Data/*.md: a heading that is the claim, a fenced block with the bytes (<see cref="VisibleText"/>), and a list
/// of what must come out. The first item is the outcome: <c>accepted</c>, <c>partial</c>, or <c>refused: Reason (status)</c>;
/// the others name a fact and its value. <c>limits:</c> and <c>answer to:</c> say what the message is read with.
/// </summary>
internal sealed record Sample(string Claim, string Kind, byte[] Bytes, IReadOnlyDictionary<string, string> Expected)
{
    internal HttpLimits Limits { get; private init; } = HttpLimits.Default;

    /// <summary>Of a response: the method of the request that it answers.</summary>
    internal RequestMethod AnswerTo { get; private init; } = RequestMethod.Get;

    /// <summary>Reads the whole sample as it would come if cut at these places.</summary>
    internal Outcome Read(IEnumerable<int> cuts) => Read(Bytes, cuts);

    /// <summary>Reads other bytes as this sample's kind of message.</summary>
    internal Outcome Read(ReadOnlySpan<byte> bytes, IEnumerable<int> cuts) => Kind switch
    {
        "request" => Reading.Request(bytes, Limits, cuts),
        "response" => Reading.Response(bytes, Limits, AnswerTo, cuts),
        "chunks" => Reading.Chunks(bytes, cuts),
        _ => throw new FormatException($"'{Kind}' is no kind of sample"),
    };

    /// <summary>
    /// Where the sample is cut: everywhere, except that the middle of a very long one, where nothing changes from byte to byte, is cut
    /// at every 61st place.
    /// </summary>
    internal IEnumerable<int> Cuts => Enumerable.Range(0, Bytes.Length + 1)
        .Where(cut => Bytes.Length < 16 * 1024 || cut < 500 || cut > Bytes.Length - 500 || cut % 61 == 0);

    internal static IReadOnlyList<Sample> All { get; } =
        [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Data"), "http-*.md").Order().SelectMany(ReadFile)];

    private static IEnumerable<Sample> ReadFile(string path)
    {
        var claim = "";
        string? kind = null;
        var block = new List<string>();
        var facts = new List<string>();
        var isInBlock = false;
        foreach (var line in File.ReadLines(path).Append("## end"))
        {
            if (isInBlock)
            {
                isInBlock = line != "```";
                if (isInBlock)
                {
                    block.Add(line);
                }
            }
            else if (line.StartsWith("```", StringComparison.Ordinal))
            {
                kind = line[3..];
                isInBlock = true;
            }
            else if (line.StartsWith("- ", StringComparison.Ordinal) && kind is not null)
            {
                facts.Add(line[2..]);
            }
            else if (line.StartsWith('#'))
            {
                if (kind is not null)
                {
                    yield return Create(claim, kind, string.Concat(block), facts);
                }

                claim = line.TrimStart('#', ' ');
                kind = null;
                block.Clear();
                facts.Clear();
            }
        }
    }

    private static Sample Create(string claim, string kind, string block, List<string> facts)
    {
        var expected = new Dictionary<string, string> { ["outcome"] = facts[0] };
        foreach (var fact in facts.Skip(1))
        {
            var colon = fact.IndexOf(':', StringComparison.Ordinal);
            expected.Add(fact[..colon], fact[(colon + 1)..].Trim().Trim('`'));
        }

        var limits = HttpLimits.Default;
        if (expected.Remove("limits", out var limitText))
        {
            foreach (var limit in limitText.Split(", "))
            {
                var parts = limit.Split(' ');
                var value = int.Parse(parts[1], CultureInfo.InvariantCulture);
                limits = parts[0] switch
                {
                    "head" => limits with { HeadBytes = value },
                    "target" => limits with { TargetBytes = value },
                    "headers" => limits with { HeaderCount = value },
                    "body" => limits with { BodyBytes = value },
                    _ => throw new FormatException($"'{parts[0]}' is no limit"),
                };
            }
        }

        var answerTo = expected.Remove("answer to", out var method) ? Enum.Parse<RequestMethod>(method) : RequestMethod.Get;
        return new Sample(claim, kind, VisibleText.Decode(block), expected) { Limits = limits, AnswerTo = answerTo };
    }
}
