using FastLB.Core.Resilience;

namespace FastLB.Configuration;

/// <summary>Reads <c>breaker</c> and <c>poolBreaker</c>, which have the same keys, and <c>outliers</c>. Each may be <c>true</c> for what is usual.</summary>
internal static class BreakerReader
{
    private const int MaxAnswers = 1_000_000;

    private static readonly string[] BreakerKeys =
        ["failures", "failureRate", "slowRate", "slowAfter", "window", "minRequests", "open", "maxOpen", "probes", "successes"];

    private static readonly string[] OutlierKeys = ["failures", "deviations", "latencyFactor", "window", "minRequests", "minWorkers", "ejection", "maxEjection", "maxEjected"];

    public static BreakerPlan? ReadBreaker(Section pool, string key, Mistakes mistakes)
    {
        var usual = new BreakerPlan(new BreakerSettings());
        if (!IsOn(pool, key, BreakerKeys, mistakes, out var breaker))
        {
            return null;
        }

        if (breaker is null)
        {
            return usual;
        }

        var open = breaker.DurationMs("open") ?? (int)usual.Circuit.OpenMs;
        var maxOpen = breaker.DurationMs("maxOpen") ?? Math.Max(open, (int)usual.Circuit.MaxOpenMs);
        if (open < BreakerSettings.MinOpenMs)
        {
            mistakes.Error(breaker.Find("open")!, $"open: {open} ms is too short; {BreakerSettings.MinOpenMs} ms is the least");
        }

        if (maxOpen < open)
        {
            mistakes.Error(breaker.FindKey("maxOpen")!, $"maxOpen: it is shorter than open ({open} ms)");
        }

        var slowAfter = breaker.DurationMs("slowAfter");
        if (slowAfter is null && breaker.FindKey("slowRate") is { } pointless)
        {
            mistakes.Error(pointless, "slowRate: 'slowAfter' is missing beside it, which says what is slow, like slowAfter: 1s");
        }

        return new BreakerPlan(usual.Circuit with
        {
            FailuresToOpen = breaker.Number("failures", 1, BreakerSettings.MaxCount, "off") ?? usual.Circuit.FailuresToOpen,
            OpenMs = Math.Max(open, BreakerSettings.MinOpenMs),
            MaxOpenMs = Math.Max(maxOpen, Math.Max(open, BreakerSettings.MinOpenMs)),
            Probes = breaker.Number("probes", 1, BreakerSettings.MaxProbes) ?? usual.Circuit.Probes,
            SuccessesToClose = breaker.Number("successes", 1, BreakerSettings.MaxCount) ?? usual.Circuit.SuccessesToClose,
        })
        {
            SlowAfterMs = slowAfter ?? 0,
            Window = usual.Window with
            {
                FailureShare = breaker.Share("failureRate", 0.01) ?? usual.Window.FailureShare,
                SlowShare = breaker.Share("slowRate", 0.01) ?? usual.Window.SlowShare,
                WindowMs = Math.Max(1, breaker.DurationMs("window") ?? (int)usual.Window.WindowMs),
                MinAnswers = breaker.Number("minRequests", 1, MaxAnswers) ?? usual.Window.MinAnswers,
            },
        };
    }

    public static OutlierSettings? ReadOutliers(Section pool, Mistakes mistakes)
    {
        var usual = new OutlierSettings();
        if (!IsOn(pool, "outliers", OutlierKeys, mistakes, out var outliers))
        {
            return null;
        }

        if (outliers is null)
        {
            return usual;
        }

        var ejection = outliers.DurationMs("ejection") ?? (int)usual.EjectionMs;
        var maxEjection = outliers.DurationMs("maxEjection") ?? Math.Max(ejection, (int)usual.MaxEjectionMs);
        if (maxEjection < ejection)
        {
            mistakes.Error(outliers.FindKey("maxEjection")!, $"maxEjection: it is shorter than ejection ({ejection} ms)");
        }

        return usual with
        {
            ConsecutiveFailures = outliers.Number("failures", 1, MaxAnswers, "off") ?? usual.ConsecutiveFailures,
            Deviations = ReadFactor(outliers, "deviations", mistakes) ?? usual.Deviations,
            LatencyFactor = ReadFactor(outliers, "latencyFactor", mistakes) ?? usual.LatencyFactor,
            WindowMs = Math.Max(1, outliers.DurationMs("window") ?? (int)usual.WindowMs),
            MinAnswers = outliers.Number("minRequests", 1, MaxAnswers) ?? usual.MinAnswers,
            MinWorkers = outliers.Number("minWorkers", 2, PoolReader.MaxWorkers) ?? usual.MinWorkers,
            EjectionMs = ejection,
            MaxEjectionMs = maxEjection,
            MaxEjectedShare = outliers.Share("maxEjected") ?? usual.MaxEjectedShare,
        };
    }

    private static double? ReadFactor(Section outliers, string key, Mistakes mistakes)
    {
        if (outliers.Text(key, "a number from 1 to 100, or off") is not { } text)
        {
            return null;
        }

        if (text.Text == "off")
        {
            return 0;
        }

        if (DecimalNumber.TryParse(text.Text, 1, 100, out var factor, out var problem))
        {
            return factor;
        }

        mistakes.Error(text, $"{key}: {problem}");
        return null;
    }

    private static bool IsOn(Section pool, string key, string[] keys, Mistakes mistakes, out Section? section)
    {
        section = null;
        switch (pool.Find(key))
        {
            case null or ScalarNode { Text: "false" }:
                return false;
            case ScalarNode { Text: "true" }:
                return true;
            case MappingNode node:
                section = Section.Open(node, $"{key} of {pool.Name}", keys, mistakes);
                return section is not null;
            case var other:
                mistakes.Error(other, $"{key}: expected true or keys ({string.Join(", ", keys)}), found {other.Kind}");
                return false;
        }
    }
}
