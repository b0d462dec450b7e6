using System.Text;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Sets <see cref="ListenOptions"/> on the sockets of one listener (socket(7), tcp(7), ipv6(7)). Accepted connections inherit them. What the kernel does not
/// take is remembered for a warning, and the listener works without it; only a unix socket's permissions are no matter of taste.
/// </summary>
internal sealed class SocketSetup(ListenOptions options)
{
    private readonly List<string> _refused = [];

    public int Backlog => options.Backlog;

    public IReadOnlyList<string> Refused => _refused;

    public void ApplyBeforeBind(int descriptor, Endpoint endpoint)
    {
        if (SocketAddress.FamilyOf(endpoint) == Libc.AF_INET6)
        {
            Libc.SetOption(descriptor, Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY, options.Ipv6Only ? 1 : 0);
        }

        Apply(descriptor, endpoint);
    }

    /// <summary>A socket that somebody else has bound has its address and its queue; the rest may be set all the same.</summary>
    public void ApplyToInherited(int descriptor, Endpoint endpoint)
    {
        if (!endpoint.IsUnix)
        {
            Apply(descriptor, endpoint);
        }
    }

    /// <summary>0, or -errno.</summary>
    public int ApplyToPath(string path)
    {
        var result = options.UnixMode < 0 ? 0 : Libc.ChangeMode(path, (uint)options.UnixMode);
        return result < 0 || (options.UnixOwner < 0 && options.UnixGroup < 0)
            ? result
            : Libc.ChangeOwner(path, options.UnixOwner, options.UnixGroup);
    }

    private void Apply(int descriptor, Endpoint endpoint)
    {
        if (options.NoDelay)
        {
            Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);
        }

        if (options.Congestion is { } congestion)
        {
            Note("tcp.congestion", congestion, Libc.SetOption(descriptor, Libc.IPPROTO_TCP, Libc.TCP_CONGESTION, Encoding.ASCII.GetBytes(congestion)));
        }
        else if (CongestionControl.IsChosenFor(endpoint))
        {
            CongestionControl.SetLoopback(descriptor);
        }

        if (options.KeepAliveProbe is { } probe)
        {
            Set(descriptor, "keepAliveProbe", Libc.SOL_SOCKET, Libc.SO_KEEPALIVE, 1);
            Set(descriptor, "keepAliveProbe.idle", Libc.IPPROTO_TCP, Libc.TCP_KEEPIDLE, probe.IdleSeconds);
            Set(descriptor, "keepAliveProbe.interval", Libc.IPPROTO_TCP, Libc.TCP_KEEPINTVL, probe.IntervalSeconds);
            Set(descriptor, "keepAliveProbe.count", Libc.IPPROTO_TCP, Libc.TCP_KEEPCNT, probe.Count);
        }

        Set(descriptor, "tcp.userTimeout", Libc.IPPROTO_TCP, Libc.TCP_USER_TIMEOUT, options.UserTimeoutMs);
        Set(descriptor, "tcp.receiveBuffer", Libc.SOL_SOCKET, Libc.SO_RCVBUF, options.ReceiveBufferBytes);
        Set(descriptor, "tcp.sendBuffer", Libc.SOL_SOCKET, Libc.SO_SNDBUF, options.SendBufferBytes);
        Set(descriptor, "tcp.fastOpen", Libc.IPPROTO_TCP, Libc.TCP_FASTOPEN, options.FastOpenLength);
    }

    private void Set(int descriptor, string key, int level, int name, int value)
    {
        if (value != 0)
        {
            Note(key, value.ToString(System.Globalization.CultureInfo.InvariantCulture), Libc.SetOption(descriptor, level, name, value));
        }
    }

    private void Note(string key, string value, int result)
    {
        var text = $"{key} {value}: {new System.ComponentModel.Win32Exception(-result).Message}";
        if (result < 0 && !_refused.Contains(text))
        {
            _refused.Add(text);
        }
    }
}
