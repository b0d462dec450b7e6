using FastLB.Core;
using FastLB.Core.Http;
using FastLB.Core.Proxy;

namespace FastLB.Configuration;

/// <summary>
/// Reads <c>timeouts</c> and <c>limits</c>, which stand at the top and, key by key, again in a listener or a pool. Each place
/// takes the keys that mean something there.
/// </summary>
internal static class OverridesReader
{
    private static readonly string[] TimeoutKeys =
        ["head", "body", "keepAlive", "connect", "response", "tunnel", "tunnelLifetime", "queue", "drain"];

    public static readonly string[] OfListener = ["head", "body", "keepAlive", "tunnel", "tunnelLifetime"];
    public static readonly string[] OfPool = ["connect", "response", "queue", "tunnel", "tunnelLifetime"];

    private static readonly string[] LimitKeys = ["head", "target", "headers", "body"];

    /// <summary>The timeouts of the whole file.</summary>
    public static Timeouts ReadTimeouts(Section top, Mistakes mistakes) =>
        ReadTimeouts(top, Timeouts.Default, TimeoutKeys, "", mistakes);

    /// <summary>Those of <paramref name="parent"/>, changed by what the section says.</summary>
    /// <param name="allowed">The keys that mean something in this section.</param>
    /// <param name="elsewhere">Where the other keys belong, for the message.</param>
    public static Timeouts ReadTimeouts(
        Section section,
        Timeouts parent,
        string[] allowed,
        string elsewhere,
        Mistakes mistakes)
    {
        if (section.Find("timeouts") is not { } node ||
            Section.Open(node, NameOf("timeouts", section), TimeoutKeys, mistakes) is not { } timeouts)
        {
            return parent;
        }

        foreach (var key in TimeoutKeys.Except(allowed))
        {
            if (timeouts.FindKey(key) is { } misplaced)
            {
                mistakes.Error(
                    misplaced,
                    $"'{key}' has no meaning in {timeouts.Name}; it belongs {(key == "drain" ? "at the top of the file" : elsewhere)}");
            }
        }

        return parent with
        {
            HeadMs = timeouts.DurationMs("head") ?? parent.HeadMs,
            BodyMs = timeouts.DurationMs("body") ?? parent.BodyMs,
            KeepAliveMs = timeouts.DurationMs("keepAlive") ?? parent.KeepAliveMs,
            ConnectMs = timeouts.DurationMs("connect") ?? parent.ConnectMs,
            ResponseMs = timeouts.DurationMs("response") ?? parent.ResponseMs,
            TunnelMs = timeouts.DurationMs("tunnel") ?? parent.TunnelMs,
            TunnelLifetimeMs = timeouts.Find("tunnelLifetime") is ScalarNode { Text: "unlimited" } ? 0 : timeouts.DurationMs("tunnelLifetime") ?? parent.TunnelLifetimeMs,
            QueueMs = timeouts.DurationMs("queue") ?? parent.QueueMs,
            DrainMs = timeouts.DurationMs("drain") ?? parent.DrainMs,
        };
    }

    /// <summary>The limits of <paramref name="parent"/>, changed by what the section says.</summary>
    public static HttpLimits ReadLimits(Section section, HttpLimits parent, Mistakes mistakes)
    {
        if (section.Find("limits") is not { } node ||
            Section.Open(node, NameOf("limits", section), LimitKeys, mistakes) is not { } limits)
        {
            return parent;
        }

        var head = (int?)limits.Bytes("head", 1024, 60 * 1024) ?? parent.HeadBytes;
        var target = (int?)limits.Bytes("target", 64, 60 * 1024);
        if (target > head)
        {
            mistakes.Error(
                limits.Find("target")!,
                $"target: {ByteSize.Text(target.Value)} is more than the whole head may have ({ByteSize.Text(head)})");
        }

        return new HttpLimits
        {
            HeadBytes = head,

            // An inherited target limit above the head's would never be reached.
            TargetBytes = target ?? Math.Min(parent.TargetBytes, head),
            HeaderCount = limits.Number("headers", 1, MessageHead.MaxHeaders) ?? parent.HeaderCount,
            BodyBytes = limits.Find("body") is ScalarNode { Text: "unlimited" }
                ? HttpLimits.Default.BodyBytes
                : limits.Bytes("body", 1, 1L << 50) ?? parent.BodyBytes,
        };
    }

    private static string NameOf(string key, Section section) => section.Name == SettingsReader.TopName ? key : $"{key} of {section.Name}";
}
