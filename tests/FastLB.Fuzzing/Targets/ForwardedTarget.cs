using System.Net;
using System.Text;
using FastLB.Core.Forwarding;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FastLB.Fuzzing.References;

namespace FastLB.Fuzzing.Targets;

/// <summary>Who the client is behind proxies, and whether the worker that reads what it is told in Forwarded finds the same one. The first byte says by which header; each further line of the input is the value of one header line.</summary>
internal sealed class ForwardedTarget : FuzzTarget
{
    private static readonly NetworkSet s_trusted = new([IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("fd00::/16")]);
    private static readonly ClientAddress s_peer = new(0x0A000001, 4711);
    private static readonly Forwarder[] s_forwarders =
        [.. new[] { ForwardedStyle.Both, ForwardedStyle.Rfc7239 }.Select(s => Forwarder.Of(new ForwardingSettings { TrustedProxies = s_trusted, Style = s }, 8000)!)];

    private const string Ours = "for=10.0.0.1;host=a;proto=http";

    private static readonly string[] s_nodes =
    [
        "10.0.0.1", "10.1.2.3:80", "fd00::1", "[fd00::2]:443", "[fd00::3]", "203.0.113.9", "2001:db8::1", "unknown", "_hidden", "", "1.2.3", "10.0.0.256", "010.0.0.1", "::", "0.0.0.0",
        "::ffff:10.0.0.1", "[::ffff:10.0.0.1]:1", "fd00::1%2", "fd00:2:3:4:5:6:7::8", "fd00::2:3:4:5:6:7:8", "fd00:2:3:4:5:6:7:8", "fd00:2:3:4:5:6::", "10.0.0.1:65536", "[fd00::1", "fd00::10.1.2.3", "\"10.0.0.1\"",
    ];

    public override string Name => "forwarded";

    public override IReadOnlyList<byte[]> Fragments { get; } =
        [.. s_nodes.Concat(["for=", "For=\"[", "]\"", ";proto=http", ";", ",", ", ", "\"", "\\\"", "=", ";by=_x", "host=\"a,b;for=1.2.3.4\"", "\n", " ", "\t", "for=10.0.0.1", ":", "::"]).Select(Encoding.Latin1.GetBytes)];

    public override byte[] Generate(RandomSource chance)
    {
        var isForwarded = chance.Chance(0.5);
        var lines = Enumerable.Range(0, 1 + chance.Next(3)).Select(_ => string.Join(
            chance.Chance(0.8) ? ", " : ",", Enumerable.Range(0, 1 + chance.Next(4)).Select(_ => isForwarded ? Element(chance) : Node(chance))));
        return [isForwarded ? (byte)1 : (byte)0, .. Encoding.Latin1.GetBytes(string.Join('\n', lines))];
    }

    public override ulong Run(byte[] input)
    {
        if (input.Length == 0)
        {
            return 0;
        }

        var isForwarded = (input[0] & 1) != 0;
        var lines = Encoding.Latin1.GetString(input, 1, input.Length - 1).Split('\n');
        var name = isForwarded ? "Forwarded" : "X-Forwarded-For";
        var bytes = Encoding.Latin1.GetBytes($"GET / HTTP/1.1\r\nHost: a\r\n{string.Concat(lines.Select(l => $"{name}: {l}\r\n"))}\r\n");
        var head = new MessageHead();
        if (RequestParser.Parse(bytes, 0, HttpLimits.Default, head, out var refusal) != ParseStatus.Done || head.HeaderCount != lines.Length + 1)
        {
            return Signal.Of(-1, (long)refusal);
        }

        var expected = ForwardedReference.Client(s_peer, lines.Select(l => l.Trim(' ', '\t')), isForwarded, s_trusted);
        var found = isForwarded ? ClientChain.ByForwarded(s_peer, bytes, head, s_trusted) : ClientChain.ByForwardedFor(s_peer, bytes, head, s_trusted);
        Agree(expected, found, "the client");
        CheckWhatIsTold(bytes, head, isForwarded, found);
        Accepted += found == s_peer ? 0 : 1;
        return Signal.Of(isForwarded ? 1 : 0, found.IsIPv4 ? 1 : 0, found == s_peer ? 1 : 0, s_trusted.Contains(found) ? 1 : 0, Math.Min(lines.Length, 4), Signal.Bucket(input.Length), found.Port > 0 ? 1 : 0);
    }

    private static void CheckWhatIsTold(byte[] source, MessageHead head, bool isForwarded, ClientAddress client)
    {
        if (!s_forwarders[isForwarded ? 1 : 0].TryWriteLines(s_peer, source, head, "a"u8, default, new RandomSource(1), out var lines))
        {
            return;
        }

        const string Name = "Forwarded: ";
        var told = Encoding.Latin1.GetString(lines).Split("\r\n").Single(l => l.StartsWith(Name, StringComparison.Ordinal))[Name.Length..];
        Require(ForwardedReference.IsWellFormed(told), $"the worker is told what is not well-formed: {told}");
        Require(told == Ours || told.EndsWith($", {Ours}", StringComparison.Ordinal), $"the last element is not ours: {told}");

        // Our own element has no port. The worker trusts whom we trust, and us.
        var read = ForwardedReference.Client(s_peer, [told], isForwarded: true, s_trusted);
        Agree((client.High, client.Low), (read.High, read.Low), $"the client in {told}");
    }

    private static string Node(RandomSource chance) => chance.Chance(0.7) ? s_nodes[chance.Next(7)] : s_nodes[chance.Next(s_nodes.Length)];

    private static string Element(RandomSource chance)
    {
        var node = Node(chance);
        var named = node.Contains(':', StringComparison.Ordinal) && chance.Chance(0.8) ? $"\"{(node.StartsWith('[') || node.Count(c => c == ':') < 2 ? node : $"[{node}]")}\"" : node;
        var rest = chance.Next(4) switch { 0 => ";proto=https", 1 => ";host=\"a:80\";by=_me", 2 => ";by=\"x,y;z\"", _ => "" };
        return $"{(chance.Chance(0.8) ? "for" : "FOR")}={named}{rest}";
    }
}
