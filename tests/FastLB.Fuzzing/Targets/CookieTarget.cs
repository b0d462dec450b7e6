using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Fuzzing.References;

namespace FastLB.Fuzzing.Targets;

/// <summary>A Cookie line: its pairs, the slot that our cookie names, and the line that a worker gets, in which ours is not.</summary>
internal sealed class CookieTarget : FuzzTarget
{
    private static readonly byte[] s_key = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
    private readonly StickyCookie _cookie = new("app", new StickySettings("SID", null), s_key);
    private readonly StickyCookie _stranger = new("other", new StickySettings("SID", null), s_key);
    private readonly byte[] _rewritten = new byte[64 * 1024];

    public override string Name => "cookie";

    public override IReadOnlyList<byte[]> Fragments { get; } =
        [.. new[] { ";", "; ", "=", "SID=", "sid=", "SID", "SID =", " ", "\t", ",", "\"", ";;", "SID=0.", "4096.", "00.", "+1.", "-1.", "1.", ".", "a=b", "$Version=1", "%53ID=", "SID==" }.Select(Encoding.Latin1.GetBytes)];

    public override byte[] Generate(RandomSource chance)
    {
        var pairs = Enumerable.Range(0, chance.Next(5)).Select(_ => chance.Next(6) switch
        {
            0 => Encoding.Latin1.GetString(Signed(_cookie, chance.Next(chance.Chance(0.3) ? 4_200 : 4))),
            1 => Encoding.Latin1.GetString(Signed(_stranger, chance.Next(4))),
            2 => "theme=dark",
            3 => $"k{chance.Next(100)}=v{chance.Next(100)}",
            4 => "flag",
            _ => $"SID={chance.Next(10)}.{Convert.ToBase64String(new byte[32])[..43]}",
        });
        return Encoding.Latin1.GetBytes(string.Join(chance.Chance(0.7) ? "; " : ";", pairs));
    }

    public override ulong Run(byte[] input)
    {
        var text = Encoding.Latin1.GetString(input);
        var expected = CookieReference.Pairs(text);
        var index = 0;
        var slots = new List<int>();
        foreach (var pair in new CookiePairs(input))
        {
            Require(index < expected.Count, $"there are only {expected.Count} pairs");
            var found = (Encoding.Latin1.GetString(pair.Text), Encoding.Latin1.GetString(pair.Name), Encoding.Latin1.GetString(pair.Value));
            Agree(expected[index], found, $"pair {index}");
            var slot = _cookie.TryRead(pair.Value, out var named) ? named : -1;
            Agree(CookieReference.Slot(found.Item3, "app", s_key), slot, $"the slot that '{found.Item3}' names");
            slots.Add(pair.Name.SequenceEqual("SID"u8) ? slot : -2);
            index++;
        }

        Agree(expected.Count, index, "the count of pairs");
        Accepted += slots.Exists(s => s >= 0) ? 1 : 0;
        return Signal.Of(
            Math.Min(index, 6),
            slots.Contains(-1) ? 1 : 0,
            slots.Exists(s => s >= 0) ? Signal.Bucket(slots.First(s => s >= 0)) : -1,
            expected.Exists(p => p.Name.Length == 0) ? 1 : 0,
            expected.Exists(p => p.Value.Length == 0) ? 1 : 0,
            CheckStripped(input, expected) ? 1 : 0,
            Signal.Bucket(input.Length));
    }

    /// <summary>False where no such line may stand in a head.</summary>
    private bool CheckStripped(byte[] input, List<(string Text, string Name, string Value)> pairs)
    {
        byte[] bytes = [.. "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\nCookie: "u8, .. input, .. "\r\nY: 2\r\n\r\n"u8];
        var head = new MessageHead();
        if (input.AsSpan().ContainsAny("\r\n"u8) || RequestParser.Parse(bytes, 0, HttpLimits.Default, head, out _) != ParseStatus.Done || RequestRules.Check(bytes, head, HttpLimits.Default, out var facts) != Refusal.None || head.HeaderCount != 4)
        {
            return false;
        }

        var rewrite = new RequestRewrite { ClientAddress = "10.1.2.3"u8, FallbackHost = "f"u8, StrippedCookie = "SID"u8 };
        var length = HeadRewriter.WriteRequest(bytes, head, facts, rewrite, _rewritten);
        var lines = Encoding.Latin1.GetString(_rewritten, 0, length).Split("\r\n");
        var kept = pairs.Where(p => p.Name != "SID").Select(p => p.Text).ToList();
        string[] expected = ["X: 1", "Y: 2", .. kept.Count > 0 ? new[] { $"Cookie: {string.Join("; ", kept)}" } : []];
        Agree(string.Join('|', expected), string.Join('|', lines.Where(l => l.StartsWith("X:", StringComparison.Ordinal) || l.StartsWith("Y:", StringComparison.Ordinal) || l.StartsWith("Cookie", StringComparison.Ordinal))), "what a worker gets");
        return true;
    }

    private static byte[] Signed(StickyCookie cookie, int slot)
    {
        var line = Encoding.Latin1.GetString(cookie.SetLineOf(slot));
        return Encoding.Latin1.GetBytes(line.Length == 0 ? "SID=none" : line["Set-Cookie: ".Length..].Split(';')[0]);
    }
}
