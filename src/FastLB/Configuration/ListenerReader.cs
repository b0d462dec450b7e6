using FastLB.Core;
using FastLB.Core.Http;
using FastLB.Core.Proxy;
using FastLB.Core.Routing;

namespace FastLB.Configuration;

/// <summary>What was found of one listener. Settings are null after a mistake, but what others refer to is kept.</summary>
/// <param name="PoolNames">Every mention of a pool.</param>
internal sealed record ListenerDraft(
    ListenerSettings? Settings,
    ListenerProtocol Protocol,
    PlacedEndpoint? Bind,
    IReadOnlyList<ScalarNode> PoolNames);

/// <summary>What stands at the top for all listeners.</summary>
internal sealed record ListenerDefaults(Core.Forwarding.ForwardingSettings Forwarding, WhenFull WhenFull);

/// <summary>Reads one item of <c>listeners</c>.</summary>
internal sealed class ListenerReader(Mistakes mistakes, string baseDirectory, AccessLogReader accessLog)
{
    private static readonly string[] Keys =
        ["bind", "protocol", "pool", "routes", "timeouts", "limits", "maxConnectionsPerClient", "forwarding", "accessLog", .. ListenSocketReader.Keys];

    private readonly List<ScalarNode> _poolNames = [];

    /// <param name="number">The listener's place in the list, from 1: its name as long as its address is not known.</param>
    public ListenerDraft? Read(YamlNode node, int number, Timeouts timeouts, HttpLimits limits, ListenerDefaults defaults)
    {
        var bindText = (node as MappingNode)?.Entries.FirstOrDefault(e => e.Key.Text == "bind").Value as ScalarNode;
        var name = bindText is { IsNothing: false } ? $"listener {bindText.Text}" : $"listener {number}";
        if (Section.Open(node, name, Keys, mistakes) is not { } listener)
        {
            return null;
        }

        var bind = ReadBind(listener);
        var protocol = listener.Choice("protocol", ("http", ListenerProtocol.Http), ("tcp", ListenerProtocol.Tcp)) ?? ListenerProtocol.Http;
        if (protocol == ListenerProtocol.Tcp)
        {
            if (listener.FindKey("routes") is { } misplaced)
            {
                mistakes.Error(
                    misplaced,
                    $"{listener.Name} has protocol tcp, where there is nothing to route by; write a single 'pool'");
            }

            if (listener.FindKey("forwarding") is { } unforwarded)
            {
                mistakes.Error(unforwarded, $"{listener.Name} has protocol tcp, where there are no headers to write; remove 'forwarding', and see proxyProtocol");
            }

            if (listener.FindKey("limits") is { } pointless)
            {
                mistakes.Error(
                    pointless,
                    $"{listener.Name} has protocol tcp, where there are no heads to limit; remove 'limits'");
            }
        }

        // Everything is read whatever was wrong before it, so that all mistakes are found.
        var forwarding = ForwardingReader.Read(listener, defaults.Forwarding, mistakes);
        var rules = ReadRules(listener, protocol, forwarding.RequestId != Core.Forwarding.RequestIdMode.Off);
        var ownTimeouts = OverridesReader.ReadTimeouts(
            listener,
            timeouts,
            OverridesReader.OfListener,
            "in a pool's timeouts",
            mistakes);
        var ownLimits = OverridesReader.ReadLimits(listener, limits, mistakes);
        var draft = new ListenerSettings
        {
            // Without an address the rest is read all the same.
            Bind = bind?.Endpoint ?? Endpoint.Ip(System.Net.IPAddress.Loopback, 1),
            Protocol = protocol,
            Routes = rules,
            Timeouts = ownTimeouts,
            Limits = ownLimits,
            AccessLog = accessLog.ReadListener(listener),
            MaxConnectionsPerClient = listener.Number("maxConnectionsPerClient", 1, 1_000_000) ?? 0,
            Forwarding = forwarding,
        };
        draft = new ListenSocketReader(mistakes).Read(listener, draft, defaults.WhenFull, isAddressKnown: bind is not null);
        var settings = bind is null || rules.Count == 0 ? null : draft;
        return new ListenerDraft(settings, protocol, bind, _poolNames);
    }

    private PlacedEndpoint? ReadBind(Section listener)
    {
        if (listener.Find("bind") is null)
        {
            mistakes.Error(
                listener.Node,
                $"'bind' is missing in {listener.Name}; write an address like 127.0.0.1:8000");
            return null;
        }

        if (listener.Text("bind", "an address like 127.0.0.1:8000") is not { } text)
        {
            return null;
        }

        if (!Address.TryParseBind(text.Text, out var endpoint, out var problem))
        {
            mistakes.Error(text, $"bind: {problem}");
            return null;
        }

        return new PlacedEndpoint(endpoint, text);
    }

    private List<RouteRule> ReadRules(Section listener, ListenerProtocol protocol, bool hasRequestIds)
    {
        var routes = listener.FindKey("routes");
        if (listener.FindKey("pool") is { } single && routes is not null && protocol == ListenerProtocol.Http)
        {
            mistakes.Error(
                single,
                $"{listener.Name} has both 'pool' and 'routes'; a last route without host and path is the pool for the rest");
        }

        if (listener.Find("pool") is null && (routes is null || protocol == ListenerProtocol.Tcp))
        {
            mistakes.Error(
                listener.Node,
                $"'pool' is missing in {listener.Name}; write the name of the pool that answers");
        }

        var rules = new List<RouteRule>();
        if (ReadPoolName(listener) is { } pool)
        {
            rules.Add(new RouteRule(null, null, pool));
        }

        rules.AddRange(new RouteReader(mistakes, baseDirectory, _poolNames, hasRequestIds).Read(listener));
        return rules;
    }

    private string? ReadPoolName(Section section)
    {
        if (section.Text("pool", "the name of a pool") is not { } name)
        {
            return null;
        }

        _poolNames.Add(name);
        return name.Text;
    }
}
