using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace FastLB.Core.Balancing;

/// <summary>
/// The cookie that keeps a client at its worker: <c>slot.signature</c>, where the signature is HMAC-SHA256 (RFC 2104) over pool
/// and slot, in base64url. It names a stable slot, not a process, so it outlives restarts; and because it says nothing else, a
/// slot has exactly one valid cookie, which is made once and afterwards only compared. Shared by all loops.
/// </summary>
public sealed class StickyCookie
{
    /// <summary>Slots from here on get no cookie. Far above any pool.</summary>
    private const int MaxSlots = 4096;

    private const int SignatureLength = 43;

    private readonly byte[] _key;
    private readonly byte[] _poolName;
    private readonly byte[]?[] _values = new byte[MaxSlots][];
    private readonly byte[]?[] _setLines = new byte[MaxSlots][];

    public StickyCookie(string poolName, StickySettings settings, byte[] key)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(key.Length, 16);
        _key = key;
        _poolName = Encoding.UTF8.GetBytes(poolName);
        Name = Encoding.ASCII.GetBytes(settings.CookieName);
        Strip = settings.Strip;
    }

    /// <summary>The cookie's name.</summary>
    public byte[] Name { get; }

    /// <summary>Whether workers do not get to see it.</summary>
    public bool Strip { get; }

    /// <summary>
    /// The slot that a cookie value names, if we signed it. Takes the same time whichever byte of a forged signature is wrong.
    /// </summary>
    public bool TryRead(ReadOnlySpan<byte> value, out int slot)
    {
        if (!Utf8Parser.TryParse(value, out slot, out var digits) || slot is < 0 or >= MaxSlots
            || value.Length != digits + 1 + SignatureLength)
        {
            return false;
        }

        return CryptographicOperations.FixedTimeEquals(value, ValueOf(slot));
    }

    /// <summary>The whole header line, with its CRLF, that sets the cookie for a slot; empty for a slot beyond the bound.</summary>
    public ReadOnlySpan<byte> SetLineOf(int slot)
    {
        if ((uint)slot >= MaxSlots)
        {
            return default;
        }

        return Volatile.Read(ref _setLines[slot]) ?? MakeSetLine(slot);
    }

    private byte[] ValueOf(int slot) => Volatile.Read(ref _values[slot]) ?? MakeValue(slot);

    // Two loops may make the same value at the same time; both get the same bytes and either may stay.
    private byte[] MakeValue(int slot)
    {
        byte[] message = [.. _poolName, 0, .. Encoding.ASCII.GetBytes(slot.ToString(CultureInfo.InvariantCulture))];
        var signature = HMACSHA256.HashData(_key, message);
        var value = Encoding.ASCII.GetBytes($"{slot}.{Base64Url.EncodeToString(signature)}");
        Volatile.Write(ref _values[slot], value);
        return value;
    }

    private byte[] MakeSetLine(int slot)
    {
        byte[] line = [.. "Set-Cookie: "u8, .. Name, .. "="u8, .. ValueOf(slot), .. "; Path=/; HttpOnly; SameSite=Lax\r\n"u8];
        Volatile.Write(ref _setLines[slot], line);
        return line;
    }
}
