using FastLB.Core.Http;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Http;

/// <summary>
/// The parser and the plain reference must agree on damaged messages: what is accepted and as what, and that a refusal names a rule that
/// is broken. FsCheck prints the seed and the bytes of a failure.
/// </summary>
public class ReferenceTests
{
    private const int CaseCount = 20_000;

    [Fact]
    public void Damaged_requests_are_read_as_the_reference_reads_them() =>
        Check("request", damaged => Agrees(damaged, Reference.Request(damaged.Bytes, damaged.Sample.Limits)));

    [Fact]
    public void Damaged_responses_are_read_as_the_reference_reads_them() =>
        Check("response", damaged => Agrees(
            damaged, Reference.Response(damaged.Bytes, damaged.Sample.Limits, damaged.Sample.AnswerTo)));

    [Fact]
    public void Damaged_chunks_are_read_as_the_reference_reads_them() =>
        Check("chunks", damaged =>
        {
            var bytes = damaged.Bytes;
            var outcome = damaged.Sample.Read(bytes, []);
            var expected = Reference.Chunks(bytes);
            Assert.Equal(expected is not null, outcome.IsAccepted);
            if (expected is var (body, length))
            {
                Assert.Equal(body, outcome["body"]);
                Assert.Equal(VisibleText.Encode(bytes.AsSpan(length)), outcome["rest"]);
            }
        });

    [Fact]
    public void The_reference_reads_every_sample_as_it_says()
    {
        foreach (var sample in Sample.All)
        {
            var isAccepted = sample.Kind switch
            {
                "request" => Reference.Request(sample.Bytes, sample.Limits).IsAccepted,
                "response" => Reference.Response(sample.Bytes, sample.Limits, sample.AnswerTo).IsAccepted,
                _ => Reference.Chunks(sample.Bytes) is not null,
            };
            Assert.True(isAccepted == (sample.Expected["outcome"] == "accepted"), sample.Claim);
        }
    }

    private static void Agrees(Mutation.Case damaged, Reference.Verdict verdict)
    {
        var outcome = damaged.Sample.Read(damaged.Bytes, []);
        Assert.Equal(verdict.IsAccepted, outcome.IsAccepted);
        if (!outcome.IsAccepted)
        {
            Assert.True(!outcome.IsPartial || !verdict.HasEnd, "a head with an end is not partial");
            Assert.True(outcome.IsPartial || verdict.Wrong.Contains(outcome.Refusal), $"{outcome} names a rule that is not broken");
            return;
        }

        foreach (var (fact, expected) in verdict.Facts)
        {
            Assert.Equal($"{fact}: {expected}", $"{fact}: {outcome[fact]}");
        }
    }

    /// <summary>Besides what is claimed, every damaged message must come out the same when it is cut in two and byte by byte.</summary>
    private static void Check(string kind, Action<Mutation.Case> agrees)
    {
        var bases = Sample.All
            .Where(sample => sample.Kind == kind && sample.Bytes.Length < 600 && sample.Expected["outcome"] == "accepted")
            .ToList();
        var acceptedCount = 0;
        var property = Prop.ForAll(Mutation.Cases(bases), damaged =>
        {
            agrees(damaged);
            acceptedCount += damaged.Sample.Read(damaged.Bytes, []).IsAccepted ? 1 : 0;

            // Without a line end nothing has to be refused yet; with one more, whatever was open is decided in both readings.
            byte[] bytes = [.. damaged.Bytes, (byte)'\n'];
            var whole = damaged.Sample.Read(bytes, []);
            Assert.Equal(whole, damaged.Sample.Read(bytes, [damaged.Cut % (bytes.Length + 1)]));
            Assert.Equal(whole, damaged.Sample.Read(bytes, Enumerable.Range(1, bytes.Length)));
        });
        property.Check(Config.QuickThrowOnFailure.WithMaxTest(CaseCount));

        // Damage that always or never kills would prove nothing.
        Assert.InRange(acceptedCount, CaseCount / 10, CaseCount * 9 / 10);
    }
}
