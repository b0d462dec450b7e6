namespace FastLB.Admin;

/// <summary><c>admin</c> in the configuration.</summary>
/// <param name="Bind">Where it listens.</param>
/// <param name="Token">Who has it may use it; null: whoever gets there. Never null where other machines do.</param>
/// <param name="SocketMode">The permissions of a unix socket.</param>
public sealed record AdminSettings(Endpoint Bind, AdminToken? Token = null, UnixFileMode SocketMode = AdminSettings.DefaultSocketMode)
{
    /// <summary>Only the user that runs FastLB.</summary>
    public const UnixFileMode DefaultSocketMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>Whether other machines can get there.</summary>
    public static bool IsReachable(Endpoint bind) => bind.Address is { } address && !System.Net.IPAddress.IsLoopback(address);
}
