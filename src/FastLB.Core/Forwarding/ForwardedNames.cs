using System.Text;

namespace FastLB.Core.Forwarding;

/// <summary>Tells the X-Forwarded headers apart. Those that are spelled with underscores are none of them, and nobody is believed who sends them.</summary>
internal static class ForwardedNames
{
    public static ReadOnlySpan<byte> Proto => "x-forwarded-proto"u8;

    public static ReadOnlySpan<byte> Host => "x-forwarded-host"u8;

    public static bool IsFor(ReadOnlySpan<byte> name) => Ascii.EqualsIgnoreCase(name, "x-forwarded-for"u8);

    public static bool IsProto(ReadOnlySpan<byte> name) => Ascii.EqualsIgnoreCase(name, Proto);

    public static bool IsHost(ReadOnlySpan<byte> name) => Ascii.EqualsIgnoreCase(name, Host);

    public static bool IsPort(ReadOnlySpan<byte> name) => Ascii.EqualsIgnoreCase(name, "x-forwarded-port"u8);

    /// <summary>Any of them that a trusted proxy may send.</summary>
    public static bool IsKept(ReadOnlySpan<byte> name) => !name.Contains((byte)'_');
}
