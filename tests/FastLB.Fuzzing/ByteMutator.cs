using FastLB.Core.Loop;

namespace FastLB.Fuzzing;

/// <summary>Damages an input a little: what broken and hostile peers do to a message that was right.</summary>
internal sealed class ByteMutator(RandomSource chance, IReadOnlyList<byte[]> fragments, int maxBytes)
{
    private static readonly byte[] s_telling = [.. "\0\u0001\t\n\r !\"#%&'*+,-./019:;<=>?@AFGZ[\\]_afgxz{|}~\u007f\u0080\u00c3\u00ff"u8];

    /// <param name="input">Stays as it is.</param>
    /// <param name="other">Another one, of which a part may be put in.</param>
    public byte[] Damage(byte[] input, byte[] other)
    {
        for (var times = 1 + chance.Next(chance.Chance(0.2) ? 12 : 4); times > 0; times--)
        {
            input = DamageOnce(input, other);
        }

        return input.Length > maxBytes ? input[..maxBytes] : input;
    }

    private byte[] DamageOnce(byte[] input, byte[] other)
    {
        var at = chance.Next(input.Length + 1);
        var before = input[..at];
        var behind = input[at..];
        var length = Math.Min(1 + chance.Next(chance.Chance(0.3) ? 64 : 6), behind.Length);
        switch (chance.Next(16))
        {
            case 0 when behind.Length > 0:
                return [.. before, (byte)(behind[0] ^ (1 << chance.Next(8))), .. behind[1..]];
            case 1 when behind.Length > 0:
                return [.. before, Telling(), .. behind[1..]];
            case 2:
                return [.. before, Telling(), .. behind];
            case 3:
                return [.. before, .. "\r\n"u8, .. behind];
            case 4:
                return [.. before, .. behind[length..]];
            case 5:
                return [.. before, .. behind[..length], .. behind];
            case 6 when chance.Chance(0.3):
                return before;
            case 7:
                var start = chance.Next(other.Length + 1);
                return [.. before, .. other[start..Math.Min(other.Length, start + 1 + chance.Next(60))], .. behind];
            case 8:
                return [.. before, .. other[chance.Next(other.Length + 1)..]];
            case 9 when behind.Length > 0:
                // A number becomes its neighbour.
                return [.. before, (byte)(behind[0] + (chance.Chance(0.5) ? 1 : -1)), .. behind[1..]];
            case 10 when behind.Length > 0:
                return [.. before, (byte)(behind[0] ^ 0x20), .. behind[1..]];
            case 11:
                return DoubleOrDropLine(input, at);
            case 12:
                byte[] piece = chance.Chance(0.5) ? behind[..length] : [Telling()];
                return [.. before, .. Enumerable.Repeat(piece, 1 + chance.Next(chance.Chance(0.1) ? 300 : 20)).SelectMany(b => b), .. behind];
            case 13 when behind.Length > length:
                // Two pieces change places.
                var second = behind[length..Math.Min(behind.Length, 2 * length)];
                return [.. before, .. second, .. behind[..length], .. behind[(length + second.Length)..]];
            default:
                return [.. before, .. fragments[chance.Next(fragments.Count)], .. behind];
        }
    }

    private byte[] DoubleOrDropLine(byte[] input, int at)
    {
        var start = Array.LastIndexOf(input, (byte)'\n', Math.Max(0, at - 1), Math.Max(0, at - 1)) + 1;
        var feed = Array.IndexOf(input, (byte)'\n', at);
        var end = feed < 0 ? input.Length : feed + 1;
        start = Math.Min(start, end);
        return chance.Chance(0.5) ? [.. input[..end], .. input[start..]] : [.. input[..start], .. input[end..]];
    }

    private byte Telling() => chance.Chance(0.8) ? s_telling[chance.Next(s_telling.Length)] : (byte)chance.Next(256);
}
