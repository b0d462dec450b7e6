using System.Text;

namespace FastLB.Simulation;

/// <summary>
/// One request of a simulated client: what it sends, and what became of it. Both ends write down here what they saw, so that
/// the rules about attempts and answers can be checked.
/// </summary>
internal sealed class SimRequest
{
    internal required int Id { get; init; }

    internal required string Method { get; init; }

    internal required string ClientAddress { get; init; }

    internal byte[] Head { get; set; } = [];

    internal byte[] Body { get; set; } = [];

    internal int BodyLength { get; set; }

    internal bool IsHttp10 { get; set; }

    internal bool AsksToClose { get; set; }

    internal bool Expects { get; set; }

    internal bool WantsUpgrade { get; set; }

    /// <summary>No worker may see any of it.</summary>
    internal bool HasBrokenHead { get; set; }

    /// <summary>No route leads anywhere.</summary>
    internal bool IsLost { get; set; }

    /// <summary>Its client does not come in, because of what it says first or does not say.</summary>
    internal bool IsShutOut { get; set; }

    /// <summary>What the route itself answers; 0: a worker does.</summary>
    internal int LocalStatus { get; set; }

    internal string UpgradesTo { get; set; } = "echo";

    /// <summary>Its client does not end the WebSocket of its own accord.</summary>
    internal bool StaysOpen { get; set; }

    internal bool IsWebSocket => WantsUpgrade && UpgradesTo == "websocket";

    /// <summary>No worker may take it for complete.</summary>
    internal bool HasBrokenBody { get; set; }

    /// <summary>How many may, where it is idempotent: the first, one more when a kept connection was already gone (RFC 9112 9.3.1), and as many as retries are configured.</summary>
    internal int MostArrivals { get; set; } = 3;

    /// <summary>How many worker connections saw its first line.</summary>
    internal int Arrivals { get; set; }

    /// <summary>A worker ended an answer to it, which nothing but its end ends, too early: nobody can see that.</summary>
    internal bool IsCutUnseen { get; set; }

    internal bool IsAnswered { get; set; }

    internal int AnsweredStatus { get; set; }

    internal bool IsAnsweredByWorker { get; set; }

    /// <summary>What the balancer said when it answered itself.</summary>
    internal string Complaint { get; set; } = "";

    /// <summary>RFC 9110 9.2.2.</summary>
    internal bool IsIdempotent => Method is "GET" or "HEAD" or "PUT" or "DELETE";

    /// <summary>Whether it may be sent before the one in front of it is answered (RFC 9112 9.3.2).</summary>
    internal bool MayRunAhead => Method is "GET" or "HEAD" && !IsHttp10 && !AsksToClose && !WantsUpgrade;

    internal static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    /// <summary>A body in chunks of various sizes, now and then with an extension or a trailer.</summary>
    internal static byte[] Chunked(byte[] body, Func<int, int> chance)
    {
        var wire = new MemoryStream();
        for (var position = 0; position < body.Length;)
        {
            var size = Math.Min(body.Length - position, 1 + chance(Math.Max(1, body.Length / (1 + chance(8)))));
            var extension = chance(8) == 0 ? ";a=b" : "";
            wire.Write(Bytes($"{(chance(2) == 0 ? size.ToString("x") : size.ToString("X4"))}{extension}\r\n"));
            wire.Write(body, position, size);
            wire.Write("\r\n"u8);
            position += size;
        }

        wire.Write(chance(6) == 0 ? "0\r\nX-Trailer: t\r\n\r\n"u8 : "0\r\n\r\n"u8);
        return wire.ToArray();
    }
}
