using FastLB.Core;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Fleet;

namespace FastLB.Configuration;

/// <summary>
/// Reads the whole document: first the values that everything inherits, then pools, then listeners, and last what only all
/// of them together can tell (<see cref="CrossChecks"/>). It goes on after a mistake, so that one run finds them all.
/// </summary>
internal sealed class SettingsReader(Mistakes mistakes, string baseDirectory, HostResolver resolveHost)
{
    public const string TopName = "the configuration";
    public const int MaxLoops = 256;
    public const int MaxListeners = 256;
    public const int MaxPools = 256;

    private static readonly string[] Keys =
        ["engine", "loops", "spin", "watch", "admin", "timeouts", "limits", "forwarding", "maxConnections", "whenFull", "accessLog", "geo", "zones", "listeners", "pools"];

    /// <summary>The settings; only to be used when no mistake was noted. Null when there is nothing to read at all.</summary>
    public Settings? Read(YamlNode root)
    {
        if (Section.Open(root, TopName, Keys, mistakes) is not { } top)
        {
            return null;
        }

        var timeouts = OverridesReader.ReadTimeouts(top, mistakes);
        var limits = OverridesReader.ReadLimits(top, Core.Http.HttpLimits.Default, mistakes);
        var adminReader = new AdminReader(mistakes, baseDirectory);
        var admin = adminReader.Read(top);
        var pools = ReadPools(top, timeouts, ZonesReader.Read(top, baseDirectory, mistakes));
        var defaults = new ListenerDefaults(
            ForwardingReader.Read(top, Core.Forwarding.ForwardingSettings.Default, mistakes),
            ListenSocketReader.ReadWhenFull(top) ?? WhenFull.Answer);
        var accessLog = new AccessLogReader(mistakes, baseDirectory);
        var log = accessLog.ReadTop(top);
        var listeners = ReadListeners(top, timeouts, limits, defaults, accessLog);
        new CrossChecks(mistakes, listeners, pools, adminReader.Place).Run();

        return new Settings
        {
            Engine = top.Choice("engine", ("auto", EngineChoice.Auto), ("io-uring", EngineChoice.IoUring), ("epoll", EngineChoice.Epoll)) ?? EngineChoice.Auto,
            Spin = ReadSpin(top),
            Loops = top.Number("loops", 1, MaxLoops, "auto") ?? 0,
            Admin = admin,
            AccessLog = log,
            DrainMs = timeouts.DrainMs,
            MaxConnections = top.Number("maxConnections", 1, ListenSocketReader.MaxConnections) ?? 0,
            IsWatched = top.Flag("watch") ?? false,
            Listeners = [.. listeners.Select(l => l.Settings).OfType<ListenerSettings>()],
            Pools = [.. pools.Select(p => p.Settings)],
            Runs = [.. pools.Select(p => p.Run).OfType<RunSettings>()],
        };
    }

    private SpinPolicy ReadSpin(Section top)
    {
        if (top.Text("spin", SpinText.Expected) is not { } text)
        {
            return default;
        }

        if (!SpinText.TryParse(text.Text, out var spin, out var problem))
        {
            mistakes.Error(text, $"spin: {problem}");
        }

        return spin;
    }

    private List<PoolDraft> ReadPools(Section top, Timeouts timeouts, ZoneTable zones)
    {
        var drafts = new List<PoolDraft>();
        if (top.Find("pools") is not { } node)
        {
            mistakes.Error(
                top.Node,
                "'pools' is missing; it names who answers, like pools: { app: { run: { command: [node, server.js] } } }");
            return drafts;
        }

        if (node is not MappingNode { Entries.Count: > 0 } pools)
        {
            mistakes.Error(
                node,
                $"pools: expected a name for each pool, found {(node is MappingNode ? "nothing" : node.Kind)}");
            return drafts;
        }

        if (pools.Entries.Count > MaxPools)
        {
            mistakes.Error(node, $"pools: {pools.Entries.Count} pools; at most {MaxPools} are allowed");
            return drafts;
        }

        foreach (var (name, value) in pools.Entries)
        {
            drafts.Add(new PoolReader(mistakes, baseDirectory, resolveHost).Read(name, value, timeouts, zones));
        }

        return drafts;
    }

    private List<ListenerDraft> ReadListeners(Section top, Timeouts timeouts, Core.Http.HttpLimits limits, ListenerDefaults defaults, AccessLogReader accessLog)
    {
        if (top.Find("listeners") is null)
        {
            mistakes.Error(
                top.Node,
                "'listeners' is missing; it says where clients connect, like listeners: [{ bind: 127.0.0.1:8000, pool: app }]");
            return [];
        }

        var drafts = new List<ListenerDraft>();
        foreach (var node in top.List("listeners", "listeners, each with bind and pool", MaxListeners))
        {
            if (new ListenerReader(mistakes, baseDirectory, accessLog).Read(node, drafts.Count + 1, timeouts, limits, defaults) is { } draft)
            {
                drafts.Add(draft);
            }
        }

        return drafts;
    }
}

/// <summary>An address and where it stands.</summary>
internal sealed record PlacedEndpoint(Endpoint Endpoint, YamlNode At);
