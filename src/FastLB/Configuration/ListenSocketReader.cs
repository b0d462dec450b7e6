using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;

namespace FastLB.Configuration;

/// <summary>Reads what a listener says about its socket and about whom it takes: queue, options, permissions, PROXY headers, how many connections.</summary>
internal sealed class ListenSocketReader(Mistakes mistakes)
{
    public const int MaxConnections = 10_000_000;

    /// <summary>The keys that belong here.</summary>
    public static readonly string[] Keys =
        ["backlog", "keepAliveProbe", "tcp", "ipv6Only", "mode", "owner", "group", "proxyProtocol", "proxyProtocolFrom", "maxConnections", "whenFull"];

    private const int MaxBacklog = 1_000_000;
    private const int MaxProbeSeconds = 32_767;
    private const int MaxProbes = 127;
    private const int MaxBufferBytes = 1 << 30;

    private static readonly string[] ProbeKeys = ["idle", "interval", "count"];
    private static readonly string[] TcpKeys = ["noDelay", "userTimeout", "receiveBuffer", "sendBuffer", "fastOpen", "congestion"];
    private static readonly string[] UnixKeys = ["mode", "owner", "group"];

    /// <summary>The settings with what the section says. <paramref name="settings"/> has the address already.</summary>
    /// <param name="isAddressKnown">False when there is a mistake in the address, so that nobody knows which keys have a meaning there.</param>
    public ListenerSettings Read(Section listener, ListenerSettings settings, WhenFull whenFull, bool isAddressKnown)
    {
        var mode = listener.Choice(
            "proxyProtocol",
            ("off", ProxyProtocolMode.Off),
            ("optional", ProxyProtocolMode.Optional),
            ("required", ProxyProtocolMode.Required)) ?? ProxyProtocolMode.Off;
        return settings with
        {
            Socket = ReadOptions(listener, settings.Bind, isAddressKnown),
            ProxyProtocol = mode,
            ProxyProtocolFrom = ReadProxyProtocolFrom(listener, settings.Bind, mode),
            MaxConnections = listener.Number("maxConnections", 1, MaxConnections) ?? 0,
            WhenFull = ReadWhenFull(listener) ?? whenFull,
        };
    }

    public static WhenFull? ReadWhenFull(Section section) => section.Choice("whenFull", ("answer", WhenFull.Answer), ("wait", WhenFull.Wait));

    private NetworkSet ReadProxyProtocolFrom(Section listener, Endpoint bind, ProxyProtocolMode mode)
    {
        if (listener.FindKey("proxyProtocolFrom") is { } key)
        {
            if (mode == ProxyProtocolMode.Off)
            {
                mistakes.Error(key, $"'proxyProtocolFrom' has no meaning in {listener.Name}, which reads no PROXY headers; write proxyProtocol: required as well");
            }

            return ForwardingReader.ReadNetworks(listener, "proxyProtocolFrom", mistakes);
        }

        if (mode == ProxyProtocolMode.Off)
        {
            return NetworkSet.Empty;
        }

        if (bind.IsInherited || (!bind.IsUnix && !System.Net.IPAddress.IsLoopback(bind.Address)))
        {
            // Whoever may send the header may say that he is anybody.
            mistakes.Error(
                listener.FindKey("proxyProtocol")!,
                $"{listener.Name} can be reached by others, so it has to say whose PROXY headers it believes; write proxyProtocolFrom: [10.0.0.0/8]");
        }

        return NetworkSet.ThisMachine;
    }

    private ListenOptions ReadOptions(Section listener, Endpoint bind, bool isAddressKnown)
    {
        var options = new ListenOptions
        {
            Backlog = listener.Number("backlog", 1, MaxBacklog) ?? ListenOptions.DefaultBacklog,
            KeepAliveProbe = ReadProbe(listener),
            Ipv6Only = listener.Flag("ipv6Only") ?? true,
            UnixMode = ReadMode(listener),
            UnixOwner = ReadAccount(listener, "owner", "/etc/passwd"),
            UnixGroup = ReadAccount(listener, "group", "/etc/group"),
        };
        if (isAddressKnown)
        {
            ForbidWhatHasNoMeaning(listener, bind);
        }

        return listener.Find("tcp") is { } node && Section.Open(node, $"tcp of {listener.Name}", TcpKeys, mistakes) is { } tcp ? ReadTcp(tcp, options) : options;
    }

    private void ForbidWhatHasNoMeaning(Section listener, Endpoint bind)
    {
        if (!bind.IsUnix && !bind.IsInherited)
        {
            Forbid(listener, UnixKeys, "which is no unix socket");
        }

        if (bind.IsUnix)
        {
            Forbid(listener, ["keepAliveProbe", "tcp"], "which is a unix socket");
        }

        if (bind.IsInherited)
        {
            Forbid(listener, ["backlog", "ipv6Only", .. UnixKeys], "whose socket was set up by whoever opened it");
        }
        else if (bind.IsUnix || bind.Address.AddressFamily != System.Net.Sockets.AddressFamily.InterNetworkV6)
        {
            Forbid(listener, ["ipv6Only"], "which has no IPv6 address");
        }
    }

    private void Forbid(Section listener, string[] keys, string why)
    {
        foreach (var key in keys)
        {
            if (listener.FindKey(key) is { } pointless)
            {
                mistakes.Error(pointless, $"'{key}' has no meaning in {listener.Name}, {why}");
            }
        }
    }

    private ListenOptions ReadTcp(Section tcp, ListenOptions options)
    {
        var congestion = tcp.Text("congestion", "the kernel's name of a congestion control, like bbr");
        if (congestion is not null && (congestion.Text.Length > 15 || !congestion.Text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_')))
        {
            mistakes.Error(congestion, $"congestion: '{congestion.Text}' is no name of a congestion control; 'sysctl net.ipv4.tcp_available_congestion_control' lists them");
        }

        return options with
        {
            NoDelay = tcp.Flag("noDelay") ?? true,
            UserTimeoutMs = tcp.DurationMs("userTimeout") ?? 0,
            ReceiveBufferBytes = (int)(tcp.Bytes("receiveBuffer", 1024, MaxBufferBytes) ?? 0),
            SendBufferBytes = (int)(tcp.Bytes("sendBuffer", 1024, MaxBufferBytes) ?? 0),
            FastOpenLength = tcp.Number("fastOpen", 1, MaxBacklog) ?? 0,
            Congestion = congestion?.Text,
        };
    }

    private KeepAliveProbe? ReadProbe(Section listener)
    {
        if (listener.Find("keepAliveProbe") is not { } node || Section.Open(node, $"keepAliveProbe of {listener.Name}", ProbeKeys, mistakes) is not { } probe)
        {
            return null;
        }

        return new KeepAliveProbe(
            ReadSeconds(probe, "idle") ?? 60,
            ReadSeconds(probe, "interval") ?? 15,
            probe.Number("count", 1, MaxProbes) ?? 4);
    }

    private int? ReadSeconds(Section probe, string key)
    {
        if (probe.DurationMs(key) is not { } milliseconds)
        {
            return null;
        }

        if (milliseconds % 1000 != 0 || milliseconds / 1000 is < 1 or > MaxProbeSeconds)
        {
            mistakes.Error(probe.Find(key)!, $"{key}: the kernel counts whole seconds, from 1s to {MaxProbeSeconds}s");
        }

        return milliseconds / 1000;
    }

    private int ReadMode(Section listener)
    {
        if (listener.Text("mode", "permissions like 0660") is not { } mode)
        {
            return -1;
        }

        if (mode.Text.Length is < 3 or > 4 || !mode.Text.All(c => c is >= '0' and <= '7') || mode.Text.Length == 4 && mode.Text[0] != '0')
        {
            mistakes.Error(mode, $"mode: '{mode.Text}' is not what chmod takes; write three octal digits, like 0660");
            return -1;
        }

        return Convert.ToInt32(mode.Text, 8);
    }

    /// <summary>A number, or a name that stands in the file; both have the number in the third column (passwd(5), group(5)).</summary>
    private int ReadAccount(Section listener, string key, string file)
    {
        if (listener.Text(key, "a name or a number") is not { } account)
        {
            return -1;
        }

        if (int.TryParse(account.Text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        try
        {
            var line = File.ReadLines(file).Select(l => l.Split(':')).FirstOrDefault(f => f.Length > 2 && f[0] == account.Text);
            if (line is not null && int.TryParse(line[2], System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out number))
            {
                return number;
            }

            mistakes.Error(account, $"{key}: '{account.Text}' is not in {file}; write a name that is, or a number");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            mistakes.Error(account, $"{key}: '{account.Text}' cannot be looked up: {failure.Message}; write its number");
        }

        return -1;
    }
}
