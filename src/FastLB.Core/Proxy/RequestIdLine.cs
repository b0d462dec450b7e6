using System.Globalization;

namespace FastLB.Core.Proxy;

/// <summary>The header line by which the user of a failed request finds its story: <c>FastLB-Request-Id: 0123456789abcdef</c>.</summary>
internal static class RequestIdLine
{
    internal const int Bytes = 37;

    private static ReadOnlySpan<byte> Name => "FastLB-Request-Id: "u8;

    /// <summary>Writes <see cref="Bytes"/> bytes with the line's end.</summary>
    internal static void Write(ulong id, Span<byte> target)
    {
        Name.CopyTo(target);
        id.TryFormat(target[Name.Length..], out _, "x16", CultureInfo.InvariantCulture);
        "\r\n"u8.CopyTo(target[(Bytes - 2)..]);
    }
}
