using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Tests.Http;

namespace FastLB.Fuzzing.Targets;

/// <summary>
/// Requests in a row on one connection: head, rules, framing and body of each, and where the next one begins. The first byte chooses the limits. A head that is accepted is also rewritten
/// for a worker, and what the worker gets has to mean the same to the reference.
/// </summary>
internal sealed class RequestTarget : FuzzTarget, IDisposable
{
    private const int MaxRequests = 4;

    private readonly byte[] _rewritten = new byte[64 * 1024];
    private readonly GuardedMemory _guarded = new(64 * 1024);

    public override string Name => "request";

    public override int MaxBytes => 4_000;

    public override IReadOnlyList<byte[]> Fragments => HttpGrammar.Fragments;

    public override byte[] Generate(RandomSource chance) => [(byte)chance.Next(4), .. HttpGrammar.Requests(chance)];

    public override ulong Run(byte[] input)
    {
        if (input.Length == 0)
        {
            return 0;
        }

        var limits = (input[0] & 3) == 0 ? HttpComparison.Small : HttpLimits.Default;
        var rest = input[1..];
        var signal = Signal.Of(limits.HeaderCount);
        for (var count = 0; count < MaxRequests; count++)
        {
            var cuts = CutsOf(rest);
            var outcome = Reading.Request(_guarded.BeforeGuard(rest), limits, []);
            HttpComparison.Agree(outcome, Reference.Request(rest, limits));

            // Nothing has to be refused before a line ends; one more line end, and whatever was open is decided in both readings.
            byte[] decided = [.. rest, (byte)'\n'];
            Agree(Reading.Request(decided, limits, []), Reading.Request(decided, limits, cuts), "in pieces");
            signal = Signal.Of((long)signal, (long)outcome.Refusal, outcome.IsPartial ? 1 : 0, outcome.IsAccepted ? Signal.Bucket(outcome["headers"].Length) : 0);
            if (!outcome.IsAccepted)
            {
                break;
            }

            Accepted++;
            var body = outcome["body"];
            signal = Signal.Of((long)signal, (long)Signal.Of(outcome["known method"] + outcome["connection"] + outcome["absolute form"] + outcome["expects continue"] + body[..4]));
            CheckRewritten(rest, limits, outcome);
            rest = rest[^HttpComparison.RestOf(outcome)..];
            var end = HttpComparison.BodyEnd(rest, body);
            signal = Signal.Of((long)signal, end < 0 ? -1 : 1);
            if (end < 0)
            {
                break;
            }

            rest = rest[end..];
        }

        return signal;
    }

    public void Dispose() => _guarded.Dispose();

    private void CheckRewritten(byte[] bytes, HttpLimits limits, Outcome outcome)
    {
        var head = new MessageHead();
        Require(RequestParser.Parse(bytes, 0, limits, head, out _) == ParseStatus.Done, "it is read twice alike");
        Require(RequestRules.Check(bytes, head, limits, out var facts) == Refusal.None, "it is judged twice alike");
        var rewrite = new RequestRewrite { ClientAddress = "10.1.2.3"u8, FallbackHost = "fallback:8000"u8, StrippedCookie = "SID"u8 };
        var length = HeadRewriter.WriteRequest(bytes, head, facts, rewrite, _rewritten);
        var all = new HttpLimits { HeadBytes = MessageHead.MaxBytes, TargetBytes = MessageHead.MaxBytes, HeaderCount = MessageHead.MaxHeaders };
        var verdict = Reference.Request(_rewritten[..length], all);
        Require(verdict.IsAccepted, $"what a worker gets is refused by the reference: {VisibleText.Encode(_rewritten.AsSpan(0, length))}");
        Agree("", verdict.Facts["rest"], "what stands behind the rewritten head");
        foreach (var fact in (string[])["method", "body", "expects continue"])
        {
            Agree(outcome[fact], verdict.Facts[fact], $"{fact} after rewriting");
        }

        var path = outcome["path"].Length > 0 ? outcome["path"] : outcome["method"] == "OPTIONS" ? "*" : "/";
        Agree(path, verdict.Facts["target"], "target after rewriting");
        Agree(outcome["host"].Length > 0 ? outcome["host"] : "fallback:8000", verdict.Facts["host"], "host after rewriting");
        var lines = System.Text.Encoding.Latin1.GetString(_rewritten, 0, length).Split("\r\n");
        string[] forwarded = [.. lines.Where(l => l.Replace('_', '-').StartsWith("x-forwarded-for:", StringComparison.OrdinalIgnoreCase))];
        Require(forwarded is ["X-Forwarded-For: 10.1.2.3"], $"the worker is told '{string.Join("', '", forwarded)}'");
        var named = outcome["named headers"].Split(", ").Where(n => n.Length > 0 && !s_ours.Contains(n, StringComparer.OrdinalIgnoreCase));
        foreach (var name in named)
        {
            Require(!lines.Any(l => VisibleText.Encode(System.Text.Encoding.Latin1.GetBytes(l)).StartsWith(name + ":", StringComparison.OrdinalIgnoreCase)), $"'{name}' is named in Connection and goes on");
        }
    }

    /// <summary>What Connection cannot take away, because it is written anew or the request would mean something else.</summary>
    private static readonly string[] s_ours = ["Host", "Content-Length", "Transfer-Encoding", "Expect", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host"];
}
