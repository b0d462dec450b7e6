using FastLB.Core.Loop;

namespace FastLB.Fuzzing.Targets;

/// <summary>A chunked body and what follows it.</summary>
internal sealed class ChunkTarget : FuzzTarget
{
    public override string Name => "chunks";

    public override int MaxBytes => 20_000;

    public override IReadOnlyList<byte[]> Fragments => HttpGrammar.Fragments;

    public override byte[] Generate(RandomSource chance) => HttpGrammar.Chunks(chance);

    public override ulong Run(byte[] input)
    {
        var outcome = HttpComparison.Chunks(input);
        Accepted += outcome.IsAccepted ? 1 : 0;
        return Signal.Of((long)outcome.Refusal, outcome.IsPartial ? 1 : 0, Signal.Bucket(outcome["body"].Length), Signal.Bucket(input.Length));
    }
}
