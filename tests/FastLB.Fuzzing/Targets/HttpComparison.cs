using System.Text;
using System.Text.RegularExpressions;
using FastLB.Core.Http;
using FastLB.Fuzzing.References;
using FastLB.Tests.Http;

namespace FastLB.Fuzzing.Targets;

/// <summary>What requests, responses and chunked bodies have in common when they are compared.</summary>
internal static partial class HttpComparison
{
    /// <summary>Small enough that damage gets over them.</summary>
    public static HttpLimits Small { get; } = new() { HeadBytes = 1_024, TargetBytes = 64, HeaderCount = 6, BodyBytes = 20 };

    /// <summary>Both accept and mean the same, or both refuse, and the refusal names a rule that is broken.</summary>
    public static void Agree(Outcome outcome, Reference.Verdict verdict)
    {
        Require(verdict.IsAccepted == outcome.IsAccepted, $"'{outcome}', and the reference says {(verdict.IsAccepted ? "accepted" : "refused: " + string.Join(", ", verdict.Wrong.Take(5)))}");
        if (!outcome.IsAccepted)
        {
            Require(!outcome.IsPartial || !verdict.HasEnd, "a head that has its end is not partial");
            Require(outcome.IsPartial || verdict.Wrong.Contains(outcome.Refusal), $"{outcome} names a rule that is not broken");
            return;
        }

        foreach (var (fact, expected) in verdict.Facts)
        {
            Require(outcome[fact] == expected, $"{fact} is '{outcome[fact]}' and for the reference '{expected}'");
        }
    }

    /// <summary>How many bytes were not part of what was read.</summary>
    public static int RestOf(Outcome outcome) => OneByte().Count(outcome["rest"]);

    /// <summary>Where the body ends that stands at the start of these bytes; -1: not there, or wrong. The product and the reference have to agree.</summary>
    public static int BodyEnd(byte[] bytes, string framing)
    {
        if (framing == "chunked")
        {
            var whole = Chunks(bytes);
            return whole.IsAccepted ? bytes.Length - RestOf(whole) : -1;
        }

        var length = framing.StartsWith("length ", StringComparison.Ordinal) ? long.Parse(framing.AsSpan(7), System.Globalization.CultureInfo.InvariantCulture) : 0;
        return length <= bytes.Length ? (int)length : -1;
    }

    public static Outcome Chunks(byte[] bytes)
    {
        var outcome = Reading.Chunks(bytes, []);
        var expected = ChunkReference.Read(bytes);
        var status = outcome.IsAccepted ? ParseStatus.Done : outcome.IsPartial ? ParseStatus.Partial : ParseStatus.Invalid;
        Require(status == expected.Status, $"chunks: '{outcome}' and for the reference {expected.Status}");
        Require(outcome["body"] == VisibleText.Encode(Encoding.Latin1.GetBytes(expected.Body)), $"chunks: body '{outcome["body"]}' and for the reference '{expected.Body}'");
        var rest = status == ParseStatus.Done ? RestOf(outcome) : 0;
        Require(status != ParseStatus.Done || rest == bytes.Length - expected.End, $"chunks: they end {rest} bytes before the end and for the reference {bytes.Length - expected.End}");
        Require(outcome.Equals(Reading.Chunks(bytes, FuzzTarget.CutsOf(bytes))), "chunks: in pieces they are read in another way than in one");
        return outcome;
    }

    public static void Require(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new DisagreementException(otherwise);
        }
    }

    /// <summary>One byte of <see cref="VisibleText"/>.</summary>
    [GeneratedRegex(@"\\x[0-9a-f]{2}|\\.|[^\\]")]
    private static partial Regex OneByte();
}
