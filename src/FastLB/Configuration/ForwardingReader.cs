using System.Net;
using FastLB.Core.Forwarding;

namespace FastLB.Configuration;

/// <summary>Reads <c>forwarding</c>, which stands at the top and, key by key, again in a listener.</summary>
internal static class ForwardingReader
{
    public const int MaxNetworks = 4_096;
    public const int MaxByLength = 64;

    private static readonly string[] Keys = ["trustedProxies", "forwarded", "by", "port", "requestId", "traceparent", "serverTiming"];

    /// <summary>Those of <paramref name="parent"/>, changed by what the section says.</summary>
    public static ForwardingSettings Read(Section section, ForwardingSettings parent, Mistakes mistakes)
    {
        if (section.Find("forwarding") is not { } node || Section.Open(node, section.Name == SettingsReader.TopName ? "forwarding" : $"forwarding of {section.Name}", Keys, mistakes) is not { } forwarding)
        {
            return parent;
        }

        // At the top an empty list would say what holds anyway; in a listener it takes back the trust that the others have.
        var trustsNobody = section.Name != SettingsReader.TopName && forwarding.Find("trustedProxies") is SequenceNode { Items.Count: 0 };
        var settings = parent with
        {
            TrustedProxies = trustsNobody ? NetworkSet.Empty
                : forwarding.Find("trustedProxies") is null ? parent.TrustedProxies
                : ReadNetworks(forwarding, "trustedProxies", mistakes),
            Style = forwarding.Choice(
                "forwarded",
                ("x-forwarded", ForwardedStyle.XForwarded),
                ("rfc7239", ForwardedStyle.Rfc7239),
                ("both", ForwardedStyle.Both),
                ("none", ForwardedStyle.None)) ?? parent.Style,
            By = ReadBy(forwarding, mistakes) ?? parent.By,
            Port = forwarding.Flag("port") ?? parent.Port,
            RequestId = forwarding.Choice(
                "requestId",
                ("off", RequestIdMode.Off),
                ("accept", RequestIdMode.Accept),
                ("accept-all", RequestIdMode.AcceptAll),
                ("generate", RequestIdMode.Generate)) ?? parent.RequestId,
            Trace = forwarding.Choice(
                "traceparent",
                ("pass", TraceMode.Pass),
                ("start", TraceMode.Start),
                ("start-sampled", TraceMode.StartSampled)) ?? parent.Trace,
            ServerTiming = forwarding.Flag("serverTiming") ?? parent.ServerTiming,
        };
        if (forwarding.Find("requestId") is { } requestId && settings is { RequestId: RequestIdMode.Accept, TrustedProxies.IsEmpty: true })
        {
            mistakes.Warning(requestId, "requestId: nobody is trusted, so no id is accepted; name trustedProxies, or write accept-all to take everybody's");
        }

        if (forwarding.FindKey("by") is { } by && settings.Style is ForwardedStyle.XForwarded or ForwardedStyle.None)
        {
            mistakes.Error(by, $"'by' has no meaning in {forwarding.Name}, which sends no Forwarded; write forwarded: rfc7239 or both");
        }

        return settings;
    }

    /// <summary>A list of networks, in which <c>unix</c> stands for peers on unix sockets.</summary>
    public static NetworkSet ReadNetworks(Section section, string key, Mistakes mistakes)
    {
        var networks = new List<IPNetwork>();
        var unix = false;
        foreach (var item in section.List(key, "networks like 10.0.0.0/8, or unix", MaxNetworks))
        {
            if (section.TextOf(item, key, "a network like 10.0.0.0/8, or unix") is not { } text)
            {
                continue;
            }

            if (text.Text == "unix")
            {
                unix = true;
            }
            else if (ZonesReader.TryParse(text.Text, out var network, out var problem))
            {
                networks.Add(network);
            }
            else
            {
                mistakes.Error(text, $"{key}: {problem}");
            }
        }

        return new NetworkSet(networks, unix);
    }

    private static string? ReadBy(Section forwarding, Mistakes mistakes)
    {
        if (forwarding.Text("by", "an identifier like _edge1") is not { } by)
        {
            return null;
        }

        if (by.Text.Length is < 2 or > MaxByLength || by.Text[0] != '_' || !by.Text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
        {
            mistakes.Error(by, $"by: '{by.Text}' is not an identifier of RFC 7239; write '_' and then letters, digits, '.', '_' and '-', like _edge1");
            return null;
        }

        return by.Text;
    }
}
