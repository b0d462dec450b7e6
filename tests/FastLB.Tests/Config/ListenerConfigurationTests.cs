using System.Net;
using System.Text.RegularExpressions;
using FastLB.Core.Forwarding;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>Forwarding, PROXY protocol and sockets in the file: right values arrive, wrong ones are told with their place.</summary>
public sealed class ListenerConfigurationTests
{
    [Fact]
    public void A_listener_may_take_back_the_trust_that_all_have()
    {
        const string Text = "forwarding: { trustedProxies: [10.0.0.0/8] }\nlisteners:\n  - { bind: 127.0.0.1:8000, pool: app, forwarding: { trustedProxies: [] } }\n  - { bind: 127.0.0.1:8001, pool: app }\npools: { app: { workers: [127.0.0.1:9001] } }\n";
        var result = ConfigurationSample.Read(Text);
        Assert.Empty(result.Errors);
        Assert.Equal([true, false], result.Settings!.Listeners.Select(l => l.Forwarding.TrustedProxies.IsEmpty));
        Assert.Equal(
            "fastlb.yaml:1:31: trustedProxies: the list is empty; expected networks like 10.0.0.0/8, or unix",
            Assert.Single(ConfigurationSample.Read(Text.Replace("[10.0.0.0/8]", "[]", StringComparison.Ordinal)).Errors).ToString());
    }

    private const string Pools = "\npools: { app: { workers: [127.0.0.1:9001] } }\n";

    private const string Text =
        """
        maxConnections: 5000
        whenFull: wait
        forwarding: { trustedProxies: [10.0.0.0/8, "::1", unix], forwarded: both, by: _edge, port: true, requestId: accept, traceparent: start-sampled, serverTiming: true }
        listeners:
          - { bind: 127.0.0.1:8000, pool: app }
          - bind: "[::]:8001"
            pool: app
            ipv6Only: false
            backlog: 100
            maxConnections: 200
            whenFull: answer
            keepAliveProbe: { idle: 100s, interval: 5s, count: 3 }
            tcp: { noDelay: false, userTimeout: 3s, receiveBuffer: 8KB, sendBuffer: 9KB, fastOpen: 10, congestion: bbr }
            proxyProtocol: required
            proxyProtocolFrom: [10.1.0.0/16]
            forwarding: { trustedProxies: [10.1.0.0/16], requestId: generate, forwarded: rfc7239 }
          - { bind: "unix:/run/a.sock", mode: 0660, owner: root, group: 7, pool: app, proxyProtocol: optional }
          - { bind: systemd:web, pool: app }
          - { bind: 127.0.0.1:8002, protocol: tcp, pool: out, proxyProtocol: required }
        pools:
          app: { workers: [127.0.0.1:9001] }
          out: { proxyProtocol: v2, workers: [127.0.0.1:9002] }

        """;

    [Fact]
    public void Every_value_arrives()
    {
        var result = ConfigurationSample.Read(Text);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        Assert.Equal(5000, result.Settings!.MaxConnections);
        var listeners = result.Settings.Listeners;
        var top = new ForwardingSettings
        {
            TrustedProxies = new NetworkSet([IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("::1/128")], unix: true),
            Style = ForwardedStyle.Both,
            By = "_edge",
            Port = true,
            RequestId = RequestIdMode.Accept,
            Trace = TraceMode.StartSampled,
            ServerTiming = true,
        };
        Assert.Equal((top, WhenFull.Wait, 0), (listeners[0].Forwarding, listeners[0].WhenFull, listeners[0].MaxConnections));
        Assert.Equal((ListenOptions.Default, ProxyProtocolMode.Off), (listeners[0].Socket, listeners[0].ProxyProtocol));
        var near = new NetworkSet([IPNetwork.Parse("10.1.0.0/16")]);
        Assert.Equal(
            top with { TrustedProxies = near, RequestId = RequestIdMode.Generate, Style = ForwardedStyle.Rfc7239 },
            listeners[1].Forwarding);
        Assert.Equal(
            new ListenOptions
            {
                Backlog = 100,
                Ipv6Only = false,
                KeepAliveProbe = new KeepAliveProbe(100, 5, 3),
                NoDelay = false,
                UserTimeoutMs = 3000,
                ReceiveBufferBytes = 8192,
                SendBufferBytes = 9216,
                FastOpenLength = 10,
                Congestion = "bbr",
            },
            listeners[1].Socket);
        Assert.Equal((ProxyProtocolMode.Required, near, 200, WhenFull.Answer), (listeners[1].ProxyProtocol, listeners[1].ProxyProtocolFrom, listeners[1].MaxConnections, listeners[1].WhenFull));
        Assert.Equal((432, 0, 7), (listeners[2].Socket.UnixMode, listeners[2].Socket.UnixOwner, listeners[2].Socket.UnixGroup));
        Assert.Equal((ProxyProtocolMode.Optional, NetworkSet.ThisMachine), (listeners[2].ProxyProtocol, listeners[2].ProxyProtocolFrom));
        Assert.Equal(Endpoint.Inherited("web"), listeners[3].Bind);
        Assert.Equal("systemd:web", listeners[3].Bind.ToString());
        Assert.Equal(NetworkSet.ThisMachine, listeners[4].ProxyProtocolFrom);
        Assert.Equal([ProxyVersion.None, ProxyVersion.V2], result.Settings.Pools.Select(p => p.ProxyProtocol));
    }

    [Fact]
    public void Reading_the_same_file_twice_gives_equal_listeners()
    {
        var (one, two) = (ConfigurationSample.Read(Text).Settings!, ConfigurationSample.Read(Text).Settings!);
        Assert.All(one.Listeners.Zip(two.Listeners), pair => Assert.Equal(pair.First with { Routes = pair.Second.Routes }, pair.Second));
    }

    [Theory]
    [InlineData("forwarding: { trustedProxies: [10.0.0.1/8] }", "trustedProxies: '10.0.0.1/8' has bits behind its prefix; write 10.0.0.0/8")]
    [InlineData("forwarding: { trustedProxies: [here] }", "trustedProxies: 'here' is not a network; write one like 10.1.0.0/16 or 2001:db8::/32")]
    [InlineData("forwarding: { trustedProxies: 10.0.0.0/8 }", "trustedProxies: expected a list of networks like 10.0.0.0/8, or unix, found '10.0.0.0/8'")]
    [InlineData("forwarding: { forwarded: x-forward }", "forwarded: expected x-forwarded or rfc7239 or both or none, found 'x-forward'; did you mean 'x-forwarded'?")]
    [InlineData("forwarding: { forwarded: both, by: edge }", "by: 'edge' is not an identifier of RFC 7239; write '_' and then letters, digits, '.', '_' and '-', like _edge1")]
    [InlineData("forwarding: { by: _edge }", "'by' has no meaning in forwarding, which sends no Forwarded; write forwarded: rfc7239 or both")]
    [InlineData("forwarding: { requestID: accept-all }", "unknown key 'requestID' in forwarding; did you mean 'requestId'?")]
    [InlineData("maxConnections: 0", "maxConnections: expected a number from 1 to 10000000, found '0'")]
    public void A_mistake_at_the_top_is_told(string line, string problem) =>
        Assert.Contains(problem, Errors($"{line}\nlisteners: [{{ bind: 127.0.0.1:8000, pool: app }}]{Pools}"));

    [Theory]
    [InlineData("bind: 0.0.0.0:80, proxyProtocol: required", "listener 0.0.0.0:80 can be reached by others, so it has to say whose PROXY headers it believes; write proxyProtocolFrom: [10.0.0.0/8]")]
    [InlineData("bind: systemd:web, proxyProtocol: optional", "listener systemd:web can be reached by others, so it has to say whose PROXY headers it believes; write proxyProtocolFrom: [10.0.0.0/8]")]
    [InlineData("bind: 127.0.0.1:80, proxyProtocolFrom: [10.0.0.0/8]", "'proxyProtocolFrom' has no meaning in listener 127.0.0.1:80, which reads no PROXY headers; write proxyProtocol: required as well")]
    [InlineData("bind: 127.0.0.1:80, proxyProtocol: v1", "proxyProtocol: expected off or optional or required, found 'v1'")]
    [InlineData("bind: 127.0.0.1:80, mode: 0660", "'mode' has no meaning in listener 127.0.0.1:80, which is no unix socket")]
    [InlineData("bind: 127.0.0.1:80, ipv6Only: false", "'ipv6Only' has no meaning in listener 127.0.0.1:80, which has no IPv6 address")]
    [InlineData("bind: 'unix:/a', tcp: { noDelay: true }", "'tcp' has no meaning in listener unix:/a, which is a unix socket")]
    [InlineData("bind: 'unix:/a', mode: rw", "mode: 'rw' is not what chmod takes; write three octal digits, like 0660")]
    [InlineData("bind: 'unix:/a', mode: 4755", "mode: '4755' is not what chmod takes; write three octal digits, like 0660")]
    [InlineData("bind: 'unix:/a', owner: nobody-knows", "owner: 'nobody-knows' is not in /etc/passwd; write a name that is, or a number")]
    [InlineData("bind: systemd:web, backlog: 5", "'backlog' has no meaning in listener systemd:web, whose socket was set up by whoever opened it")]
    [InlineData("bind: 'systemd:'", "bind: a socket of systemd has a name (FileDescriptorName=) or a number, like systemd:web or systemd:0")]
    [InlineData("bind: 127.0.0.1:80, keepAliveProbe: { idle: 1500ms }", "idle: the kernel counts whole seconds, from 1s to 32767s")]
    [InlineData("bind: 127.0.0.1:80, tcp: { congestion: 'a b' }", "congestion: 'a b' is no name of a congestion control; 'sysctl net.ipv4.tcp_available_congestion_control' lists them")]
    [InlineData("bind: 127.0.0.1:80, whenFull: reject", "whenFull: expected answer or wait, found 'reject'")]
    [InlineData("bind: 127.0.0.1:80, protocol: tcp, forwarding: { port: true }", "listener 127.0.0.1:80 has protocol tcp, where there are no headers to write; remove 'forwarding', and see proxyProtocol")]
    public void A_mistake_in_a_listener_is_told(string keys, string problem) =>
        Assert.Equal([problem], Errors($"listeners: [{{ {keys}, pool: app }}]{Pools}"));

    [Fact]
    public void Accepting_ids_of_nobody_is_doubted()
    {
        var result = ConfigurationSample.Read($"forwarding: {{ requestId: accept }}\nlisteners: [{{ bind: 127.0.0.1:8000, pool: app }}]{Pools}");
        Assert.Empty(result.Errors);
        Assert.Contains("nobody is trusted, so no id is accepted", Assert.Single(result.Warnings).ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("forwarding.md", 3)]
    [InlineData("listeners.md", 3)]
    public void The_guides_examples_are_read(string page, int listeners)
    {
        var root = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(root, "FastLB.sln")))
        {
            root = Path.GetDirectoryName(root)!;
        }

        var guide = File.ReadAllText(Path.Combine(root, "docs", page));
        var result = ConfigurationSample.Read(Regex.Match(guide, "```yaml\n(.*?)```", RegexOptions.Singleline).Groups[1].Value);
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        Assert.Equal(listeners, result.Settings!.Listeners.Count);
    }

    [Theory]
    [InlineData("maxConnections: 1000", "", 2256, null)]
    [InlineData("maxConnections: 1000", "", 2255, "maxConnections allows 1000 clients, but this process may open only 2255 descriptors (ulimit -n), which is enough for 999,")]
    [InlineData("", "maxConnections: 600,", 1024, "maxConnections allows 600 clients, but this process may open only 1024 descriptors (ulimit -n), which is enough for 384,")]
    [InlineData("maxConnections: 300", "maxConnections: 600,", 1024, null)]
    [InlineData("", "", 10, null)]
    public void More_connections_than_descriptors_are_warned_of(string top, string ofListener, long limit, string? warning)
    {
        var settings = ConfigurationSample.Read($"{top}\nlisteners: [{{ bind: 127.0.0.1:8000, {ofListener} pool: app }}]{Pools}").Settings!;
        var told = ListenerWarnings.DescriptorShortage(settings, limit);
        Assert.True(warning is null ? told is null : told?.StartsWith(warning, StringComparison.Ordinal), told);
    }

    private static string[] Errors(string text) => [.. ConfigurationSample.Read(text).Errors.Select(e => Regex.Replace(e.ToString(), @"^fastlb.yaml:\d+:\d+: ", ""))];
}
