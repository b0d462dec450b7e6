using FastLB.Core.Http;

namespace FastLB.Tests.Http;

/// <summary>Every golden case of Data/http-*.md, in one piece, in every two pieces, byte by byte, and against unreadable pages.</summary>
public class SampleTests
{
    public static TheoryData<string> Claims => [.. Sample.All.Select(sample => sample.Claim)];

    [Theory, MemberData(nameof(Claims))]
    public void A_sample_comes_out_as_it_says(string claim)
    {
        var sample = Named(claim);
        var outcome = sample.Read([]);
        foreach (var (fact, expected) in sample.Expected)
        {
            Assert.True(outcome.TryGetValue(fact, out var actual), $"{claim}: there is no '{fact}' in {outcome}");
            Assert.True(expected == actual, $"{claim}: {fact} is '{actual}', expected '{expected}'");
        }
    }

    [Theory, MemberData(nameof(Claims))]
    public void A_sample_comes_out_the_same_however_it_is_cut(string claim)
    {
        var sample = Named(claim);
        var whole = sample.Read([]);
        foreach (var cut in sample.Cuts)
        {
            var cutOutcome = sample.Read([cut]);
            Assert.True(whole.Equals(cutOutcome), $"{claim}: cut at {cut} gives\n{cutOutcome}\nand whole\n{whole}");
        }

        var byteByByte = sample.Read(Enumerable.Range(1, sample.Bytes.Length));
        Assert.True(whole.Equals(byteByByte), $"{claim}: byte by byte gives\n{byteByByte}\nand whole\n{whole}");
    }

    [Theory, MemberData(nameof(Claims))]
    public void No_byte_outside_a_sample_is_read(string claim)
    {
        var sample = Named(claim);
        using var memory = new GuardedMemory(sample.Bytes.Length);
        foreach (var length in sample.Cuts)
        {
            sample.Read(memory.BeforeGuard(sample.Bytes.AsSpan(0, length)), []);
            sample.Read(memory.BehindGuard(sample.Bytes.AsSpan(0, length)), []);
        }
    }

    [Fact]
    public void No_two_samples_make_the_same_claim() =>
        Assert.Equal(Sample.All.Count, Sample.All.Select(sample => sample.Claim).Distinct().Count());

    [Fact]
    public void Every_refusal_has_a_sample()
    {
        var shown = Sample.All.Select(sample => sample.Read([]).Refusal).ToHashSet();
        Assert.DoesNotContain(Enum.GetValues<Refusal>(), refusal => refusal != Refusal.None && !shown.Contains(refusal));
    }

    [Fact]
    public void Every_refusal_has_a_sentence_and_an_error_status()
    {
        foreach (var refusal in Enum.GetValues<Refusal>().Where(refusal => refusal != Refusal.None))
        {
            var (status, sentence) = RefusalText.Of(refusal);
            Assert.InRange(status, 400, 505);
            Assert.NotEmpty(sentence);
        }
    }

    private static Sample Named(string claim) => Sample.All.First(sample => sample.Claim == claim);
}
