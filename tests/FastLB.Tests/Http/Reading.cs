using System.Globalization;
using System.Text;
using FastLB.Core.Http;

namespace FastLB.Tests.Http;

/// <summary>What came of a message, as named facts; two outcomes are equal when all of them are.</summary>
internal sealed class Outcome : Dictionary<string, string>, IEquatable<Outcome>
{
    internal bool IsAccepted => this["outcome"] == "accepted";

    internal bool IsPartial => this["outcome"] == "partial";

    internal Refusal Refusal { get; private init; }

    internal static Outcome Accepted() => new() { ["outcome"] = "accepted" };

    internal static Outcome Partial() => new() { ["outcome"] = "partial" };

    internal static Outcome Refused(Refusal refusal, bool isResponse) => new()
    {
        Refusal = refusal,
        ["outcome"] = $"refused: {refusal} ({(isResponse ? 502 : RefusalText.Of(refusal).Status)})",
    };

    public bool Equals(Outcome? other) =>
        other is not null && Count == other.Count && this.All(fact => other.GetValueOrDefault(fact.Key) == fact.Value);

    public override bool Equals(object? obj) => Equals(obj as Outcome);

    public override int GetHashCode() => Count;

    public override string ToString() => string.Join("; ", this.Select(fact => $"{fact.Key}: {fact.Value}"));
}

/// <summary>
/// Reads a message through the parsers as a connection would, cut into reads at given places, and tells all that came of it. The
/// span that each call gets ends where the bytes that came so far end.
/// </summary>
internal static class Reading
{
    internal static Outcome Request(ReadOnlySpan<byte> bytes, HttpLimits limits, IEnumerable<int> cuts)
    {
        var head = new MessageHead();
        var seen = 0;
        foreach (var come in cuts.Append(bytes.Length))
        {
            switch (RequestParser.Parse(bytes[..come], seen, limits, head, out var refusal))
            {
                case ParseStatus.Done:
                    return RequestFactsOf(bytes[..come], bytes, head, limits);
                case ParseStatus.Invalid:
                    return Outcome.Refused(refusal, isResponse: false);
                default:
                    Assert.Equal(Refusal.None, refusal);
                    seen = come;
                    break;
            }
        }

        return Outcome.Partial();
    }

    internal static Outcome Response(ReadOnlySpan<byte> bytes, HttpLimits limits, RequestMethod answerTo, IEnumerable<int> cuts)
    {
        var head = new MessageHead();
        var seen = 0;
        foreach (var come in cuts.Append(bytes.Length))
        {
            switch (ResponseParser.Parse(bytes[..come], seen, limits, head, out var refusal))
            {
                case ParseStatus.Done:
                    return ResponseFactsOf(bytes[..come], bytes, head, answerTo);
                case ParseStatus.Invalid:
                    return Outcome.Refused(refusal, isResponse: true);
                default:
                    Assert.Equal(Refusal.None, refusal);
                    seen = come;
                    break;
            }
        }

        return Outcome.Partial();
    }

    internal static Outcome Chunks(ReadOnlySpan<byte> bytes, IEnumerable<int> cuts)
    {
        var reader = default(ChunkedReader);
        var body = new List<byte>();
        var position = 0;
        foreach (var come in cuts.Append(bytes.Length))
        {
            while (true)
            {
                var piece = bytes[position..come];
                var step = reader.Next(piece, out var consumed, out var dataStart, out var dataLength, out var refusal);
                position += consumed;
                Assert.Equal(step == ChunkStep.Invalid, refusal != Refusal.None);
                if (step == ChunkStep.Data)
                {
                    Assert.True(dataLength > 0);
                    Assert.Equal(consumed, dataStart + dataLength);
                    body.AddRange(piece.Slice(dataStart, dataLength));
                    continue;
                }

                Assert.Equal(0, dataLength);
                if (step == ChunkStep.NeedMore)
                {
                    Assert.Equal(piece.Length, consumed);
                    break;
                }

                var outcome = step == ChunkStep.End ? Outcome.Accepted() : Outcome.Refused(refusal, isResponse: false);
                outcome["body"] = VisibleText.Encode([.. body]);
                outcome["rest"] = VisibleText.Encode(bytes[position..]);
                return outcome;
            }
        }

        var partial = Outcome.Partial();
        partial["body"] = VisibleText.Encode([.. body]);
        return partial;
    }

    private static Outcome RequestFactsOf(ReadOnlySpan<byte> come, ReadOnlySpan<byte> all, MessageHead head, HttpLimits limits)
    {
        var refusal = RequestRules.Check(come, head, limits, out var facts);
        if (refusal != Refusal.None)
        {
            return Outcome.Refused(refusal, isResponse: false);
        }

        var outcome = Outcome.Accepted();
        outcome["method"] = Text(come, head.MethodStart, head.MethodLength);
        outcome["known method"] = head.Method.ToString();
        outcome["target"] = Text(come, head.TargetStart, head.TargetLength);
        outcome["path"] = Text(come, facts.PathStart, facts.PathLength);
        outcome["host"] = Text(come, facts.HostStart, facts.HostLength);
        outcome["host name"] = Text(come, facts.HostStart, facts.HostNameLength);
        outcome["absolute form"] = YesNo(facts.IsAbsoluteForm);
        outcome["expects continue"] = YesNo(facts.ExpectsContinue);
        AddCommon(outcome, come, all, head, facts.Body, facts.Connection);
        return outcome;
    }

    private static Outcome ResponseFactsOf(
        ReadOnlySpan<byte> come, ReadOnlySpan<byte> all, MessageHead head, RequestMethod answerTo)
    {
        var refusal = ResponseRules.Check(come, head, answerTo, out var facts);
        if (refusal != Refusal.None)
        {
            return Outcome.Refused(refusal, isResponse: true);
        }

        var outcome = Outcome.Accepted();
        outcome["status"] = head.StatusCode.ToString(CultureInfo.InvariantCulture);
        outcome["reason"] = Text(come, head.ReasonStart, head.ReasonLength);
        outcome["informational"] = YesNo(facts.IsInformational);
        outcome["keeps alive"] = YesNo(facts.KeepsAlive);
        outcome["keep-alive timeout"] = facts.KeepAliveTimeoutSeconds.ToString(CultureInfo.InvariantCulture);
        AddCommon(outcome, come, all, head, facts.Body, facts.Connection);
        return outcome;
    }

    private static void AddCommon(
        Outcome outcome,
        ReadOnlySpan<byte> come,
        ReadOnlySpan<byte> all,
        MessageHead head,
        BodyFraming body,
        ConnectionOptions connection)
    {
        var names = new StringBuilder();
        var lines = new StringBuilder();
        foreach (var line in head.Headers)
        {
            var name = come.Slice(line.NameStart, line.NameLength);
            lines.Append(CultureInfo.InvariantCulture, $"[{line.Id} {VisibleText.Encode(name)}={Text(come, line.ValueStart, line.ValueLength)}]");
            if (connection.Names(come, name))
            {
                names.Append(names.Length > 0 ? ", " : "").Append(VisibleText.Encode(name));
            }

            Assert.Equal("\r\n", Text(come, line.LineEnd - 2, 2).Replace("\\r\\n", "\r\n", StringComparison.Ordinal));
            Assert.True(head.Has(line.Id));
        }

        string[] options =
        [
            .. connection.Close ? ["close"] : Array.Empty<string>(),
            .. connection.KeepAlive ? ["keep-alive"] : Array.Empty<string>(),
            .. connection.Upgrade ? ["upgrade"] : Array.Empty<string>(),
        ];
        outcome["version"] = head.Version == HttpVersion.Http11 ? "1.1" : "1.0";
        outcome["headers"] = lines.ToString();
        outcome["connection"] = string.Join(", ", options);
        outcome["named headers"] = names.ToString();
        outcome["body"] = body.Kind switch
        {
            BodyKind.None => "none",
            BodyKind.Chunked => "chunked",
            BodyKind.UntilClose => "until close",
            _ => $"length {body.Length}",
        };
        outcome["rest"] = VisibleText.Encode(all[head.Length..]);
    }

    private static string Text(ReadOnlySpan<byte> bytes, int start, int length) => VisibleText.Encode(bytes.Slice(start, length));

    private static string YesNo(bool value) => value ? "yes" : "no";
}
