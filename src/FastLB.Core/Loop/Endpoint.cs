using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;

namespace FastLB.Core.Loop;

/// <summary>
/// An address to listen on or to connect to: an IP address with a port, or the path of a unix socket. Immutable; its
/// text is what people write in the configuration (<c>127.0.0.1:8000</c>, <c>[::1]:8000</c>, <c>unix:/run/app.sock</c>).
/// </summary>
public sealed class Endpoint : IEquatable<Endpoint>
{
    /// <summary>The longest path a unix socket address holds on Linux (sun_path is 108 bytes with its zero byte).</summary>
    public const int MaxUnixPathBytes = 107;

    private Endpoint(IPAddress? address, int port, string? unixPath, string? inheritedName = null)
    {
        Address = address;
        Port = port;
        UnixPath = unixPath;
        InheritedName = inheritedName;
    }

    public IPAddress? Address { get; }

    public int Port { get; }

    public string? UnixPath { get; }

    /// <summary>The name or number of a socket that whoever started this process has opened; null for every other endpoint. Its address is not known before it is taken over.</summary>
    public string? InheritedName { get; }

    [MemberNotNullWhen(true, nameof(InheritedName))]
    public bool IsInherited => InheritedName is not null;

    [MemberNotNullWhen(true, nameof(UnixPath))]
    [MemberNotNullWhen(false, nameof(Address))]
    public bool IsUnix => UnixPath is not null;

    public static Endpoint Ip(IPAddress address, int port)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(port);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, ushort.MaxValue);
        return new Endpoint(address, port, null);
    }

    public static Endpoint Unix(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(System.Text.Encoding.UTF8.GetByteCount(path), MaxUnixPathBytes);
        return new Endpoint(null, 0, path);
    }

    /// <summary>A listening socket that this process was given (<c>systemd:NAME</c>). Until it is taken over it has no address.</summary>
    public static Endpoint Inherited(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return new Endpoint(IPAddress.None, 0, null, name);
    }

    /// <summary>
    /// Reads <c>host:port</c>, <c>[v6]:port</c> or <c>unix:/path</c>, where host is an IP address or <c>localhost</c>.
    /// On failure <paramref name="problem"/> says in one clause what is wrong.
    /// </summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out Endpoint? endpoint, [NotNullWhen(false)] out string? problem)
    {
        endpoint = null;
        if (text.StartsWith("unix:", StringComparison.Ordinal))
        {
            var path = text["unix:".Length..];
            if (path.Length == 0 || path[0] != '/')
            {
                problem = "a unix socket needs an absolute path, like unix:/run/app.sock";
                return false;
            }

            if (System.Text.Encoding.UTF8.GetByteCount(path) > MaxUnixPathBytes)
            {
                problem = $"a unix socket path holds at most {MaxUnixPathBytes} bytes";
                return false;
            }

            endpoint = Unix(path);
            problem = null;
            return true;
        }

        var colon = text.LastIndexOf(':');
        if (colon < 0)
        {
            problem = "the port is missing; write host:port, [v6]:port or unix:/path";
            return false;
        }

        if (!int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > ushort.MaxValue)
        {
            problem = $"'{text[(colon + 1)..]}' is not a port (0 to 65535)";
            return false;
        }

        var host = text[..colon];
        if (host.Contains(':', StringComparison.Ordinal) && !(host.StartsWith('[') && host.EndsWith(']')))
        {
            problem = "an IPv6 address stands in brackets, like [::1]:8000";
            return false;
        }

        var isBracketed = host.StartsWith('[') && host.EndsWith(']');
        var bare = isBracketed ? host[1..^1] : host;
        var address = host == "localhost" ? IPAddress.Loopback : IPAddress.TryParse(bare, out var parsed) ? parsed : null;

        // IPAddress.TryParse also takes "1" and "0x7f.1", which nobody means as a host, and brackets are for IPv6 alone.
        if (address is null || (isBracketed ? !bare.Contains(':', StringComparison.Ordinal) : host != "localhost" && host.Count(c => c == '.') != 3))
        {
            problem = $"'{host}' is not an IP address or localhost";
            return false;
        }

        endpoint = Ip(address, port);
        problem = null;
        return true;
    }

    public bool Equals(Endpoint? other) =>
        other is not null && Port == other.Port && UnixPath == other.UnixPath && InheritedName == other.InheritedName && Equals(Address, other.Address);

    public override bool Equals(object? obj) => Equals(obj as Endpoint);

    public override int GetHashCode() => HashCode.Combine(Address, Port, UnixPath, InheritedName);

    public override string ToString() => IsInherited ? $"systemd:{InheritedName}" : IsUnix ? $"unix:{UnixPath}" : new IPEndPoint(Address, Port).ToString();
}
