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

/// <summary>Reads one item of <c>listeners</c>.</summary>
internal sealed class ListenerReader(Mistakes mistakes, AccessLogReader accessLog)
{
    public const int MaxRoutes = 1024;

    private static readonly string[] Keys = ["bind", "protocol", "pool", "routes", "timeouts", "limits", "maxConnectionsPerClient", "accessLog"];
    private static readonly string[] RouteKeys = ["host", "path", "pool"];

    private readonly List<ScalarNode> _poolNames = [];

    /// <param name="number">The listener's place in the list, from 1: its name as long as its address is not known.</param>
    public ListenerDraft? Read(YamlNode node, int number, Timeouts timeouts, HttpLimits limits)
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

            if (listener.FindKey("limits") is { } pointless)
            {
                mistakes.Error(
                    pointless,
                    $"{listener.Name} has protocol tcp, where there are no heads to limit; remove 'limits'");
            }
        }

        // Everything is read whatever was wrong before it, so that all mistakes are found.
        var rules = ReadRules(listener, protocol);
        var ownTimeouts = OverridesReader.ReadTimeouts(
            listener,
            timeouts,
            OverridesReader.OfListener,
            "in a pool's timeouts",
            mistakes);
        var ownLimits = OverridesReader.ReadLimits(listener, limits, mistakes);
        var settings = bind is null || rules.Count == 0 ? null : new ListenerSettings
        {
            Bind = bind.Endpoint,
            Protocol = protocol,
            Routes = rules,
            Timeouts = ownTimeouts,
            Limits = ownLimits,
            AccessLog = accessLog.ReadListener(listener),
            MaxConnectionsPerClient = listener.Number("maxConnectionsPerClient", 1, 1_000_000) ?? 0,
        };
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

    private List<RouteRule> ReadRules(Section listener, ListenerProtocol protocol)
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

        var number = 0;
        var everythingIsTaken = false;
        foreach (var node in listener.List("routes", "routes like { host: api.example.com, path: /v1/, pool: api }", MaxRoutes))
        {
            number++;
            if (Section.Open(node, $"route {number} of {listener.Name}", RouteKeys, mistakes) is not { } route)
            {
                continue;
            }

            if (everythingIsTaken)
            {
                mistakes.Warning(node, $"{route.Name} is never reached; a route before it takes everything");
            }

            everythingIsTaken |= route.Find("host") is null && route.Find("path") is null or ScalarNode { Text: "/" };

            if (route.Find("pool") is null)
            {
                mistakes.Error(node, $"'pool' is missing in {route.Name}; write the name of the pool that answers");
            }

            var host = ReadHost(route);
            var path = ReadPath(route);
            rules.Add(new RouteRule(host, path, ReadPoolName(route) ?? ""));
        }

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

    private string? ReadHost(Section route)
    {
        if (route.Text("host", "a host name like api.example.com") is not { } host)
        {
            return null;
        }

        var name = host.Text.StartsWith("*.", StringComparison.Ordinal) ? host.Text[2..] : host.Text;
        if (HostName.IsValid(name) || (host.Text.StartsWith('[') && host.Text.EndsWith(']') && System.Net.IPAddress.TryParse(host.Text, out _)))
        {
            return host.Text;
        }

        var hint = name.LastIndexOf(':') is var colon and > 0 && HostName.IsValid(name[..colon]) && name[(colon + 1)..].All(char.IsAsciiDigit)
            ? $"; leave out the port: '{host.Text[..^(name.Length - colon)]}'"
            : "; write one like api.example.com, or *.example.com for all below it";
        mistakes.Error(host, $"host: '{host.Text}' is not a host name{hint}");
        return null;
    }

    private string? ReadPath(Section route)
    {
        if (route.Text("path", "a path like /v1/") is not { } path)
        {
            return null;
        }

        if (path.Text[0] != '/')
        {
            mistakes.Error(path, $"path: '{path.Text}' does not start with '/'");
            return null;
        }

        // What can never stand in a request's path would make a route that never matches (RFC 3986 3.3).
        var odd = path.Text.AsSpan().IndexOfAnyExceptInRange('!', '~');
        odd = odd >= 0 ? odd : path.Text.AsSpan().IndexOfAny('?', '#');
        if (odd >= 0)
        {
            var what = path.Text[odd] is '?' or '#' ? $"'{path.Text[odd]}' ends a path" : "percent-encode what is not ASCII or is a blank";
            mistakes.Error(path, $"path: '{path.Text}' is not the start of a path; {what}");
            return null;
        }

        return path.Text;
    }
}
