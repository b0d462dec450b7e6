using System.ComponentModel;
using FastLB.Linux;

namespace FastLB;

/// <summary>Says why an address could not be listened on, and what to do about it.</summary>
internal static class BindFailure
{
    private const int NotPermitted = 1;
    private const int NoSuchEntry = 2;
    private const int NotASocket = 88;
    private const int AccessDenied = 13;
    private const int AddressInUse = 98;
    private const int AddressNotAvailable = 99;

    /// <param name="endpoint">The address.</param>
    /// <param name="error">errno of the call that failed.</param>
    public static string Describe(Endpoint endpoint, int error) => $"cannot listen on {endpoint}: {Reason(endpoint, error)}";

    private static string Reason(Endpoint endpoint, int error) => error switch
    {
        NoSuchEntry when endpoint.IsInherited => InheritedSockets.Names is { Count: > 0 } names
            ? $"this process was given {string.Join(", ", names.Select((name, i) => $"{name} ({i})"))}; set FileDescriptorName= in the socket unit, or write a number"
            : "this process was given no sockets; start it by a systemd socket unit, or write an address",
        NotASocket when endpoint.IsInherited => "it is no socket that listens; the socket unit needs ListenStream= and Accept=no",
        AddressInUse when endpoint.IsUnix && !StaleSocket.IsSocket(endpoint.UnixPath) => "something that is no socket is there; remove it or choose another path",
        AddressInUse when endpoint.IsUnix => "another process answers there; stop it or choose another path",
        AddressInUse => $"{PortUse.WhoListens(endpoint) ?? "another process"} listens there already; stop it or choose another port",
        NotPermitted when endpoint.IsUnix => "only root may give the socket to another owner",
        AccessDenied when endpoint.IsUnix => "no permission to create the socket there",
        AccessDenied => "ports below 1024 need root or CAP_NET_BIND_SERVICE",
        AddressNotAvailable => "this machine does not have that address",
        _ => new Win32Exception(error).Message,
    };
}
