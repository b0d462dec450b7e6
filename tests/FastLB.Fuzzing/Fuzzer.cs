using System.Diagnostics;
using FastLB.Core.Loop;
using FastLB.Tests.Http;

namespace FastLB.Fuzzing;

/// <summary>
/// Feeds a target with inputs that are mostly right and then damaged, and keeps those that were read in a new way to damage them further. One seed decides everything
/// but how many inputs there are when time is the limit.
/// </summary>
internal sealed class Fuzzer(FuzzTarget target, ulong seed)
{
    private const int MaxCorpus = 4_000;
    private const int SlowMs = 5_000;
    private const int StuckMs = 60_000;

    private readonly RandomSource _chance = new(seed);
    private readonly HashSet<ulong> _signals = [];
    private readonly List<byte[]> _corpus = [];
    private byte[] _current = [];
    private long _inputs;
    private long _startedAt;

    /// <summary>Runs so many inputs, or for so long; throws with the smallest input that shows what is wrong.</summary>
    public FuzzReport Run(long maxInputs, TimeSpan maxTime)
    {
        var mutator = new ByteMutator(_chance, target.Fragments, target.MaxBytes);
        var clock = Stopwatch.StartNew();
        using var watchdog = new Timer(_ => EndIfStuck(), null, StuckMs, 1_000);
        while (_inputs < maxInputs && clock.Elapsed < maxTime)
        {
            var input = Next(mutator);
            _inputs++;
            _current = input;
            Volatile.Write(ref _startedAt, Environment.TickCount64);
            try
            {
                var signal = target.Run(input);
                if (Environment.TickCount64 - _startedAt > SlowMs)
                {
                    throw new DisagreementException($"this took {Environment.TickCount64 - _startedAt} ms");
                }

                if (_signals.Add(signal) && _corpus.Count < MaxCorpus)
                {
                    _corpus.Add(input);
                }
            }
            catch (Exception failure)
            {
                Volatile.Write(ref _startedAt, 0);
                throw Describe(input, failure);
            }
        }

        Volatile.Write(ref _startedAt, 0);
        return new FuzzReport(target.Name, seed, _inputs, target.Accepted, _corpus.Count, _signals.Count, clock.Elapsed);
    }

    private byte[] Next(ByteMutator mutator)
    {
        if (_corpus.Count == 0 || _chance.Chance(0.3))
        {
            var made = target.Generate(_chance);
            return _corpus.Count == 0 || _chance.Chance(0.3) ? made : mutator.Damage(made, Entry());
        }

        return mutator.Damage(Entry(), Entry());
    }

    private byte[] Entry() => _corpus[_chance.Next(_corpus.Count)];

    private FuzzFailureException Describe(byte[] input, Exception failure)
    {
        var smallest = SmallestFailure.Of(target, input, failure.GetType());
        var last = failure;
        try
        {
            target.Run(smallest);
        }
        catch (Exception again)
        {
            last = again;
        }

        return new FuzzFailureException(
            $"target {target.Name}, FASTLB_FUZZ_SEED={seed}, input {_inputs}, smallest failing input of {smallest.Length} bytes:\n{VisibleText.Encode(smallest)}\n"
            + $"base64 {Convert.ToBase64String(smallest)}\n{last}");
    }

    /// <summary>What never comes back would otherwise end a test run without a word.</summary>
    private void EndIfStuck()
    {
        var since = Volatile.Read(ref _startedAt);
        if (since > 0 && Environment.TickCount64 - since > StuckMs)
        {
            Environment.FailFast($"target {target.Name}, FASTLB_FUZZ_SEED={seed}, input {_inputs} does not come to an end: base64 {Convert.ToBase64String(_current)}");
        }
    }
}

/// <summary>What a run came to.</summary>
/// <param name="Accepted">Of requests in a row each counts.</param>
/// <param name="Corpus">Inputs that were kept.</param>
/// <param name="Signals">Ways in which inputs were read.</param>
internal sealed record FuzzReport(string Target, ulong Seed, long Inputs, long Accepted, int Corpus, int Signals, TimeSpan Time)
{
    public override string ToString() => $"{Target}: {Inputs} inputs in {Time.TotalSeconds:F0} s, {Accepted} accepted, {Signals} ways of reading, {Corpus} kept, seed {Seed}";
}

/// <summary>The message has the seed and the smallest input.</summary>
public sealed class FuzzFailureException(string message) : Exception(message);
