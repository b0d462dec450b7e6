using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;

namespace FastLB.Configuration;

/// <summary>Answers the addresses of a host name, at least one; throws <see cref="SocketException"/> with the reason otherwise.</summary>
internal delegate IPAddress[] HostResolver(string host);

/// <summary>The resolver of the system, with a bound on how long a start may wait for it.</summary>
internal static class HostNames
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static IPAddress[] Resolve(string host)
    {
        var answer = Dns.GetHostAddressesAsync(host);
        try
        {
            return answer.WaitAsync(Patience).GetAwaiter().GetResult();
        }
        catch (TimeoutException)
        {
            throw new SocketException((int)SocketError.TimedOut);
        }
    }
}

/// <summary>Addresses as people write them in the configuration and on the command line. On failure a clause says what is wrong.</summary>
internal static class Address
{
    /// <summary>An address to listen on. The port is part of what people are told, so it cannot be left to the kernel.</summary>
    public static bool TryParseBind(
        string text,
        [NotNullWhen(true)] out Endpoint? endpoint,
        [NotNullWhen(false)] out string? problem)
    {
        if (text.StartsWith("systemd:", StringComparison.Ordinal))
        {
            var name = text["systemd:".Length..];
            var isName = name.Length is > 0 and <= 255 && name.All(c => c is > ' ' and < (char)127 and not ':');
            endpoint = isName ? Endpoint.Inherited(name) : null;
            problem = isName ? null : "a socket of systemd has a name (FileDescriptorName=) or a number, like systemd:web or systemd:0";
            return isName;
        }

        if (HasScheme(text, out problem))
        {
            endpoint = null;
            return false;
        }

        if (Endpoint.TryParse(text, out endpoint, out problem))
        {
            if (endpoint.IsUnix || endpoint.Port > 0)
            {
                return true;
            }

            (endpoint, problem) = (null, "port 0 would be another one at each start; write one from 1 to 65535");
            return false;
        }

        if (text.All(char.IsAsciiDigit) && text.Length is > 0 and <= 5)
        {
            problem = $"'{text}' is only a port; write 127.0.0.1:{text}, or 0.0.0.0:{text} to be reached from other machines";
        }
        else if (text.LastIndexOf(':') is var colon and >= 0 && text[..colon] is "" or "*")
        {
            problem = $"'{text}' has no address; write 0.0.0.0{text[colon..]} for all of this machine's";
        }

        return false;
    }

    /// <summary>
    /// An address to connect to. A host name is asked for once, here; when it has several addresses of the first
    /// one's family, <paramref name="doubt"/> says so, because only the first is used.
    /// </summary>
    public static bool TryParseWorker(
        string text,
        HostResolver resolve,
        [NotNullWhen(true)] out Endpoint? endpoint,
        [NotNullWhen(false)] out string? problem,
        out string? doubt)
    {
        doubt = null;
        if (HasScheme(text, out problem))
        {
            endpoint = null;
            return false;
        }

        if (Endpoint.TryParse(text, out endpoint, out problem))
        {
            if (endpoint.IsUnix || endpoint.Port > 0)
            {
                return true;
            }

            (endpoint, problem) = (null, "nobody can be reached at port 0");
            return false;
        }

        // What has the form name:port is asked for as a name; anything else keeps the first complaint.
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !HostName.IsValid(text[..colon]) || !Endpoint.TryParse($"127.0.0.1{text[colon..]}", out var withPort, out _) || withPort.Port == 0)
        {
            return false;
        }

        var host = text[..colon];
        try
        {
            var addresses = resolve(host);
            if (addresses.Length == 0)
            {
                problem = $"the name '{host}' has no address";
                return false;
            }

            var sameFamily = addresses.Where(a => a.AddressFamily == addresses[0].AddressFamily).Distinct().ToArray();
            if (sameFamily.Length > 1)
            {
                doubt = $"'{host}' has {sameFamily.Length} addresses and only {addresses[0]} is used; write each as a worker of its own";
            }

            (endpoint, problem) = (Endpoint.Ip(addresses[0], withPort.Port), null);
            return true;
        }
        catch (Exception failure) when (failure is SocketException or ArgumentException)
        {
            problem = $"the name '{host}' cannot be resolved: {failure.Message}";
            return false;
        }
    }

    /// <summary>People know addresses from their browsers, where <c>http://</c> is a part of them.</summary>
    private static bool HasScheme(string text, [NotNullWhen(true)] out string? problem)
    {
        var end = text.IndexOf("://", StringComparison.Ordinal);
        problem = end > 0 && text[..end].All(char.IsAsciiLetter) ? $"an address has no scheme; leave out '{text[..end]}://'" : null;
        return problem is not null;
    }
}

/// <summary>The syntax of host names (RFC 1123 2.1), with the underscore that many private names have.</summary>
internal static class HostName
{
    public static bool IsValid(string name)
    {
        if (name.Length is 0 or > 253)
        {
            return false;
        }

        foreach (var label in name.Split('.'))
        {
            if (label.Length is 0 or > 63 || label[0] == '-' || label[^1] == '-' || !label.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
            {
                return false;
            }
        }

        return true;
    }
}
