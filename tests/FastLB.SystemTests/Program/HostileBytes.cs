using System.Text;

namespace FastLB.SystemTests.Program;

/// <summary>What a fuzzing client sends: valid requests with bytes changed, cut, doubled or spliced, and plain noise.</summary>
internal static class HostileBytes
{
    private static readonly string[] s_samples =
    [
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nT: v\r\n\r\n",
        "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\nCookie: FASTLB=0.x; b=c\r\n\r\n",
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        "HEAD / HTTP/1.0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: b\r\n\r\n",
    ];

    private static readonly string[] s_fragments =
        ["\r\n", "\n", "\r", "\0", ":", " ", "\t", ";", "Content-Length: 7\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "ffffffff", "HTTP/1.1", "\r\n\r\n", "Host: b\r\n"];

    public static byte[] Next(Random random)
    {
        if (random.Next(10) == 0)
        {
            var noise = new byte[random.Next(1, 4096)];
            random.NextBytes(noise);
            return noise;
        }

        var bytes = new List<byte>();
        for (var i = random.Next(1, 4); i > 0; i--)
        {
            bytes.AddRange(Encoding.Latin1.GetBytes(s_samples[random.Next(s_samples.Length)]));
        }

        for (var i = random.Next(0, 6); i > 0; i--)
        {
            Mutate(bytes, random);
        }

        return [.. bytes];
    }

    private static void Mutate(List<byte> bytes, Random random)
    {
        var at = random.Next(bytes.Count);
        switch (random.Next(5))
        {
            case 0:
                bytes[at] = (byte)random.Next(256);
                break;
            case 1:
                bytes.RemoveRange(at, Math.Min(bytes.Count - at, random.Next(1, 20)));
                bytes.Add((byte)'x');
                break;
            case 2:
                bytes.InsertRange(at, bytes.GetRange(at, Math.Min(bytes.Count - at, random.Next(1, 60))));
                break;
            default:
                bytes.InsertRange(at, Encoding.Latin1.GetBytes(s_fragments[random.Next(s_fragments.Length)]));
                break;
        }
    }
}
