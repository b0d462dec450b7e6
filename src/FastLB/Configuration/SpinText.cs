using System.Globalization;
using FastLB.Core.Loop;

namespace FastLB.Configuration;

/// <summary>How people write whether loops spin: <c>50us</c>, <c>0us</c>, or <c>adaptive</c>.</summary>
internal static class SpinText
{
    public const string Expected = "adaptive or a time like 50us";

    /// <summary>The limit of an adaptive loop. A wake-up costs about this much, see perf-results.</summary>
    private const int AdaptiveUs = 50;

    public static bool TryParse(string text, out SpinPolicy spin, out string problem)
    {
        spin = default;
        problem = "";
        if (text == "adaptive")
        {
            spin = new SpinPolicy(AdaptiveUs, isAdaptive: true);
            return true;
        }

        if (!text.EndsWith("us", StringComparison.Ordinal)
            || !int.TryParse(text.AsSpan(0, text.Length - 2), NumberStyles.None, CultureInfo.InvariantCulture, out var limitUs))
        {
            problem = $"'{text}' is neither; write {Expected}";
            return false;
        }

        if (limitUs > SpinPolicy.MaxUs)
        {
            problem = $"'{text}' is out of range; 0us to {SpinPolicy.MaxUs}us are allowed";
            return false;
        }

        spin = new SpinPolicy(limitUs, isAdaptive: false);
        return true;
    }
}
