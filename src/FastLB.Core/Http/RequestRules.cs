namespace FastLB.Core.Http;

/// <summary>What the proxy has to know of a request; offsets count from the message's first byte.</summary>
public struct RequestFacts
{
    public BodyFraming Body;

    /// <summary>What Connection says about this hop.</summary>
    public ConnectionOptions Connection;

    /// <summary>
    /// Where the target to send stands: path and query, or "*" with OPTIONS. Of the absolute form it is what follows the
    /// authority; there a <see cref="PathLength"/> of 0 means "/".
    /// </summary>
    public int PathStart;

    public int PathLength;

    /// <summary>The host with its port, from the absolute form if there is one, else from Host (RFC 9112 3.2.2).</summary>
    public int HostStart;

    /// <summary>0 when there is no host, which only HTTP/1.0 allows.</summary>
    public int HostLength;

    /// <summary>The host's length without its port; an IPv6 address keeps its brackets.</summary>
    public int HostNameLength;

    public bool IsAbsoluteForm;

    /// <summary>The client waits for 100 (Continue) before it sends its body. Never in HTTP/1.0.</summary>
    public bool ExpectsContinue;
}

/// <summary>
/// What the lines of a request head mean together: where it goes, where its body ends, and whether it is one that two servers
/// could read in two ways. The parser has said Done to the same bytes and head before.
/// </summary>
public static class RequestRules
{
    /// <summary>
    /// Answers None and the facts, or why the request is refused. The order is fixed (method, target, host, connection, body,
    /// expectation), so that one request always gets one answer.
    /// </summary>
    public static Refusal Check(ReadOnlySpan<byte> bytes, MessageHead head, HttpLimits limits, out RequestFacts facts)
    {
        facts = default;
        if (head.Method == RequestMethod.Connect)
        {
            return Refusal.ConnectNotAllowed;
        }

        var refusal = CheckTargetAndHost(bytes, head, ref facts);
        if (refusal != Refusal.None)
        {
            return refusal;
        }

        refusal = ConnectionOptions.Read(bytes, head, out facts.Connection);
        if (refusal != Refusal.None)
        {
            return refusal;
        }

        refusal = BodyFraming.Read(bytes, head, out facts.Body);
        if (refusal != Refusal.None)
        {
            return refusal;
        }

        if (facts.Body.Kind == BodyKind.None && head.Version == HttpVersion.Http10 && NeedsLength(head.Method))
        {
            return Refusal.LengthRequired;
        }

        if (facts.Body.Length > limits.BodyBytes)
        {
            return Refusal.BodyTooLarge;
        }

        return head.Has(HeaderId.Expect) ? CheckExpect(bytes, head, ref facts) : Refusal.None;
    }

    private static Refusal CheckTargetAndHost(ReadOnlySpan<byte> bytes, MessageHead head, ref RequestFacts facts)
    {
        facts.PathStart = head.TargetStart;
        facts.PathLength = head.TargetLength;
        var first = bytes[head.TargetStart];
        if (first == '*' && head.Method != RequestMethod.Options)
        {
            return Refusal.TargetMalformed;
        }

        var authorityStart = 0;
        var authorityLength = 0;
        if (first is not ((byte)'/' or (byte)'*'))
        {
            var target = bytes.Slice(head.TargetStart, head.TargetLength);
            if (!RequestTarget.TrySplitAbsolute(target, out var hostStart, out var pathStart))
            {
                return Refusal.TargetMalformed;
            }

            facts.IsAbsoluteForm = true;
            facts.PathStart = head.TargetStart + pathStart;
            facts.PathLength = target.Length - pathStart;
            authorityStart = head.TargetStart + hostStart;
            authorityLength = pathStart - hostStart;
            if (!Authority.IsValid(target[hostStart..pathStart], out facts.HostNameLength))
            {
                return Refusal.HostMalformed;
            }
        }

        return CheckHost(bytes, head, authorityStart, authorityLength, ref facts);
    }

    /// <summary>Host has to be right even where the absolute form overrules it: a worker may look at it.</summary>
    private static Refusal CheckHost(
        ReadOnlySpan<byte> bytes, MessageHead head, int authorityStart, int authorityLength, ref RequestFacts facts)
    {
        if (!head.Has(HeaderId.Host))
        {
            facts.HostStart = authorityStart;
            facts.HostLength = authorityLength;
            return head.Version == HttpVersion.Http11 ? Refusal.HostMissing : Refusal.None;
        }

        if (head.Repeats(HeaderId.Host))
        {
            return Refusal.HostDuplicate;
        }

        ref readonly var line = ref head.First(HeaderId.Host);
        if (!Authority.IsValid(bytes.Slice(line.ValueStart, line.ValueLength), out var nameLength))
        {
            return Refusal.HostMalformed;
        }

        facts.HostStart = facts.IsAbsoluteForm ? authorityStart : line.ValueStart;
        facts.HostLength = facts.IsAbsoluteForm ? authorityLength : line.ValueLength;
        facts.HostNameLength = facts.IsAbsoluteForm ? facts.HostNameLength : nameLength;
        return Refusal.None;
    }

    /// <summary>In HTTP/1.0 such a body ends with the connection, which cannot be told from a client that died.</summary>
    private static bool NeedsLength(RequestMethod method) =>
        method is RequestMethod.Post or RequestMethod.Put or RequestMethod.Patch;

    private static Refusal CheckExpect(ReadOnlySpan<byte> bytes, MessageHead head, ref RequestFacts facts)
    {
        // RFC 9110 10.1.1: an HTTP/1.0 client cannot wait for what it does not know.
        if (head.Version == HttpVersion.Http10)
        {
            return Refusal.None;
        }

        foreach (ref readonly var line in head.Headers)
        {
            if (line.Id == HeaderId.Expect
                && !HeadText.Is(bytes.Slice(line.ValueStart, line.ValueLength), "100-continue"u8))
            {
                return Refusal.ExpectationUnknown;
            }
        }

        facts.ExpectsContinue = true;
        return Refusal.None;
    }
}
