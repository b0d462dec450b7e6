using System.Text;
using FastLB.Core.Http;

namespace FastLB.Tests.Http;

/// <summary>The vector scans against the alphabets as the RFCs print them: every byte, at every place, for lengths around the vectors' sizes.</summary>
public class ByteScanTests
{
    private const string Token = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    [Fact]
    public void A_token_ends_at_the_first_byte_that_is_no_token_byte() =>
        Check(ByteScan.TokenEnd, value => Token.Contains((char)value, StringComparison.Ordinal));

    [Fact]
    public void A_target_ends_at_the_first_byte_that_is_not_visible_or_a_number_sign() =>
        Check(ByteScan.TargetEnd, value => value is >= 0x21 and <= 0x7E && value != '#');

    [Fact]
    public void A_value_ends_at_the_first_control_byte_but_a_tab() =>
        Check(ByteScan.ValueEnd, value => value == '\t' || (value >= 0x20 && value != 0x7F));

    [Fact]
    public void Single_bytes_belong_to_the_same_alphabets()
    {
        for (var value = 0; value < 256; value++)
        {
            Assert.Equal(Token.Contains((char)value, StringComparison.Ordinal), ByteScan.IsToken((byte)value));
            Assert.Equal(value == '\t' || (value >= 0x20 && value != 0x7F), ByteScan.IsValue((byte)value));
        }
    }

    [Fact]
    public void Names_compare_equal_only_when_they_differ_in_the_case_of_letters()
    {
        foreach (var lower in new[] { "te", "host", "cookie", "trailer", "keep-alive", "content-length", "proxy-connection", "transfer-encoding", "100-continue" })
        {
            var literal = Encoding.ASCII.GetBytes(lower);
            Assert.True(HeadText.Is(Encoding.ASCII.GetBytes(lower.ToUpperInvariant()), literal));
            for (var place = 0; place < literal.Length; place++)
            {
                // Only bytes that a head can have: the comparison promises nothing for others.
                for (var value = 0; value < 256; value++)
                {
                    if (ByteScan.IsValue((byte)value))
                    {
                        byte[] changed = [.. literal];
                        changed[place] = (byte)value;
                        var isSame = char.ToLowerInvariant((char)value) == lower[place];
                        Assert.True(isSame == HeadText.Is(changed, literal), $"{lower} with 0x{value:x2} at {place}");
                    }
                }
            }
        }
    }

    private delegate int Scan(ReadOnlySpan<byte> bytes, int start);

    private static void Check(Scan scan, Func<byte, bool> isAllowed)
    {
        using var memory = new GuardedMemory(80);
        foreach (var length in new[] { 0, 1, 2, 15, 16, 17, 31, 32, 33, 47, 48, 63, 64, 65, 80 })
        {
            for (var place = 0; place <= length; place++)
            {
                var bytes = new byte[length];
                bytes.AsSpan().Fill((byte)'a');
                var span = memory.BeforeGuard(bytes);
                for (var start = 0; start <= length; start++)
                {
                    Assert.Equal(length, scan(span, start));
                }

                for (var value = 0; place < length && value < 256; value++)
                {
                    bytes[place] = (byte)value;
                    var expected = isAllowed((byte)value) ? length : place;
                    Assert.Equal(expected, scan(memory.BeforeGuard(bytes), 0));
                    Assert.Equal(expected, scan(bytes, place));
                }

                // A forbidden byte before the start is not seen, however the last vector overlaps it.
                if (place < length)
                {
                    bytes[place] = 0;
                    Assert.Equal(length, scan(bytes, place + 1));
                }
            }
        }
    }
}
