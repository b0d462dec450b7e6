namespace FastLB.Core.Http;

/// <summary>What the proxy has to know of a response head.</summary>
public struct ResponseFacts
{
    public BodyFraming Body;

    /// <summary>What Connection says about this hop.</summary>
    public ConnectionOptions Connection;

    /// <summary>A 1xx; another response to the same request follows, except after 101.</summary>
    public bool IsInformational;

    /// <summary>
    /// The worker's connection may carry another request after this response: HTTP/1.1 without close, or HTTP/1.0 with keep-alive
    /// (RFC 9112 9.3). Never with a body that ends by closing.
    /// </summary>
    public bool KeepsAlive;

    /// <summary>How long the worker says it keeps an idle connection, in seconds; -1 if it does not say.</summary>
    public int KeepAliveTimeoutSeconds;
}

/// <summary>What the lines of a response head mean together. The parser has said Done to the same bytes and head before.</summary>
public static class ResponseRules
{
    /// <summary>
    /// Answers None and the facts, or why the response is refused (502). Lengths are checked even where no body can follow: a
    /// worker that contradicts itself there will do so elsewhere.
    /// </summary>
    public static Refusal Check(ReadOnlySpan<byte> bytes, MessageHead head, RequestMethod requestMethod, out ResponseFacts facts)
    {
        facts = default;
        facts.KeepAliveTimeoutSeconds = -1;
        facts.IsInformational = head.StatusCode < 200;
        var refusal = ConnectionOptions.Read(bytes, head, out facts.Connection);
        if (refusal != Refusal.None)
        {
            return refusal;
        }

        refusal = BodyFraming.Read(bytes, head, out facts.Body);
        if (refusal != Refusal.None)
        {
            return refusal;
        }

        if (requestMethod == RequestMethod.Head || facts.IsInformational || head.StatusCode is 204 or 304)
        {
            facts.Body = default;
        }
        else if (facts.Body.Kind == BodyKind.None)
        {
            facts.Body = new BodyFraming(BodyKind.UntilClose, 0);
        }

        facts.KeepsAlive = facts.Body.Kind != BodyKind.UntilClose
            && !facts.Connection.Close
            && (head.Version == HttpVersion.Http11 || facts.Connection.KeepAlive);
        if (head.Has(HeaderId.KeepAlive))
        {
            ref readonly var line = ref head.First(HeaderId.KeepAlive);
            facts.KeepAliveTimeoutSeconds = ReadTimeout(bytes.Slice(line.ValueStart, line.ValueLength));
        }

        return Refusal.None;
    }

    /// <summary>
    /// The first timeout parameter of "timeout=5, max=100" in seconds, or -1; what is malformed is a hint not given. The field is
    /// described in RFC 2068 19.7.1.1 and what Node, Apache and nginx send.
    /// </summary>
    private static int ReadTimeout(ReadOnlySpan<byte> rest)
    {
        while (!rest.IsEmpty)
        {
            var comma = rest.IndexOf((byte)',');
            var parameter = (comma < 0 ? rest : rest[..comma]).Trim(" \t"u8);
            rest = comma < 0 ? default : rest[(comma + 1)..];
            var name = "timeout="u8;
            if (parameter.Length == name.Length || !HeadText.StartsWith(parameter, name))
            {
                continue;
            }

            var seconds = 0L;
            foreach (var character in parameter[name.Length..])
            {
                if (!char.IsAsciiDigit((char)character))
                {
                    return -1;
                }

                seconds = Math.Min(int.MaxValue, (seconds * 10) + (character - '0'));
            }

            return (int)seconds;
        }

        return -1;
    }
}
