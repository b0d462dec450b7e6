using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Tests.Http;

namespace FastLB.Fuzzing.Targets;

/// <summary>A worker's response: head, rules, framing and body. The first byte chooses the limits and the method that is answered.</summary>
internal sealed class ResponseTarget : FuzzTarget
{
    private readonly byte[] _rewritten = new byte[64 * 1024];

    public override string Name => "response";

    public override int MaxBytes => 3_000;

    public override IReadOnlyList<byte[]> Fragments => HttpGrammar.Fragments;

    public override byte[] Generate(RandomSource chance) => [(byte)chance.Next(16), .. HttpGrammar.Response(chance)];

    public override ulong Run(byte[] input)
    {
        if (input.Length == 0)
        {
            return 0;
        }

        var limits = (input[0] & 3) == 0 ? HttpComparison.Small : HttpLimits.Default;
        var answerTo = (input[0] & 12) == 0 ? RequestMethod.Head : RequestMethod.Get;
        var bytes = input[1..];
        var cuts = CutsOf(bytes);
        var outcome = Reading.Response(bytes, limits, answerTo, []);
        HttpComparison.Agree(outcome, Reference.Response(bytes, limits, answerTo));
        byte[] decided = [.. bytes, (byte)'\n'];
        Agree(Reading.Response(decided, limits, answerTo, []), Reading.Response(decided, limits, answerTo, cuts), "in pieces");
        var signal = Signal.Of((long)outcome.Refusal, outcome.IsPartial ? 1 : 0);
        if (!outcome.IsAccepted)
        {
            return Signal.Of((long)signal, Signal.Bucket(bytes.Length));
        }

        Accepted++;
        CheckRewritten(bytes, limits, answerTo, outcome);
        var body = outcome["body"];
        var end = body == "until close" ? 0 : HttpComparison.BodyEnd(bytes[^HttpComparison.RestOf(outcome)..], body);
        return Signal.Of(
            (long)signal,
            (long)Signal.Of(outcome["informational"] + outcome["keeps alive"] + outcome["connection"] + body[..4] + outcome["version"]),
            Signal.Bucket(outcome["headers"].Length),
            outcome["keep-alive timeout"].Length,
            end < 0 ? -1 : 1);
    }

    /// <summary>What the client gets means the same; a body without framing is chunked on the way.</summary>
    private void CheckRewritten(byte[] bytes, HttpLimits limits, RequestMethod answerTo, Outcome outcome)
    {
        var head = new MessageHead();
        Require(ResponseParser.Parse(bytes, 0, limits, head, out _) == ParseStatus.Done, "it is read twice alike");
        Require(ResponseRules.Check(bytes, head, answerTo, out var facts) == Refusal.None, "it is judged twice alike");
        if (head.StatusCode == 101)
        {
            return;
        }

        var chunked = facts.Body.Kind is BodyKind.Chunked or BodyKind.UntilClose;
        var rewrite = new ResponseRewrite { ClientVersion = HttpVersion.Http11, Close = false, Chunked = chunked };
        var length = HeadRewriter.WriteResponse(bytes, head, facts, rewrite, _rewritten);
        var all = new HttpLimits { HeadBytes = MessageHead.MaxBytes, TargetBytes = MessageHead.MaxBytes, HeaderCount = MessageHead.MaxHeaders };
        var verdict = Reference.Response(_rewritten[..length], all, answerTo);
        Require(verdict.IsAccepted, $"what a client gets is refused by the reference: {VisibleText.Encode(_rewritten.AsSpan(0, length))}");
        Agree(outcome["status"], verdict.Facts["status"], "status after rewriting");
        Agree(outcome["reason"], verdict.Facts["reason"], "reason after rewriting");
        Agree(chunked ? "chunked" : outcome["body"], verdict.Facts["body"], "body after rewriting");
        Agree("", verdict.Facts["rest"], "what stands behind the rewritten head");
    }
}
