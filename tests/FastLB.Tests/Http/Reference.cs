using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Numerics;
using System.Text;
using System.Text.RegularExpressions;
using FastLB.Core.Http;

namespace FastLB.Tests.Http;

/// <summary>
/// The same rules once more, slow and plain: whole strings and regular expressions, read next to the RFC. A head is accepted if
/// nothing is wrong with it; what is wrong is a set, because a plain reader does not care which mistake comes first.
/// </summary>
internal static partial class Reference
{
    internal sealed record Verdict(bool HasEnd, HashSet<Refusal> Wrong, Outcome Facts)
    {
        internal bool IsAccepted => HasEnd && Wrong.Count == 0;
    }

    private sealed record Head(string[] Lines, int Length, List<(string Name, string Value)> Headers)
    {
        internal string[] Values(string name) =>
            [.. Headers.Where(header => header.Name.Equals(name, StringComparison.OrdinalIgnoreCase)).Select(header => header.Value)];

        internal bool Has(string name) => Values(name).Length > 0;
    }

    internal static Verdict Request(byte[] bytes, HttpLimits limits)
    {
        var text = Encoding.Latin1.GetString(bytes);
        var start = text.StartsWith("\r\n", StringComparison.Ordinal) ? 2 : 0;
        var wrong = new HashSet<Refusal>();
        if (ReadHead(text, start, limits, wrong) is not { } head)
        {
            return new Verdict(false, wrong, Outcome.Partial());
        }

        var requestLine = RequestLine().Match(head.Lines[0]);
        if (!requestLine.Success)
        {
            wrong.UnionWith([
                Refusal.MethodMalformed, Refusal.MethodTooLong, Refusal.NotHttp, Refusal.TargetMalformed, Refusal.TargetTooLong,
                Refusal.VersionMalformed, Refusal.VersionUnsupported]);
            return new Verdict(true, wrong, Outcome.Partial());
        }

        var method = requestLine.Groups["method"].Value;
        var target = requestLine.Groups["target"].Value;
        var isHttp10 = requestLine.Groups["minor"].Value == "0";
        if (target.Length > limits.TargetBytes)
        {
            wrong.Add(Refusal.TargetTooLong);
        }

        var facts = Outcome.Accepted();
        if (method == "CONNECT")
        {
            wrong.Add(Refusal.ConnectNotAllowed);
        }
        else
        {
            ReadTarget(head, method, target, isHttp10, wrong, facts);
        }

        var body = ReadBody(head, isHttp10, wrong);
        if (body == "none" && isHttp10 && method is "POST" or "PUT" or "PATCH")
        {
            wrong.Add(Refusal.LengthRequired);
        }

        if (body.StartsWith("length ", StringComparison.Ordinal)
            && long.Parse(body["length ".Length..], CultureInfo.InvariantCulture) > limits.BodyBytes)
        {
            wrong.Add(Refusal.BodyTooLarge);
        }

        var expectations = isHttp10 ? [] : head.Values("Expect");
        if (expectations.Any(value => !value.Equals("100-continue", StringComparison.OrdinalIgnoreCase)))
        {
            wrong.Add(Refusal.ExpectationUnknown);
        }

        facts["method"] = Visible(method);
        facts["target"] = Visible(target);
        facts["version"] = isHttp10 ? "1.0" : "1.1";
        facts["expects continue"] = expectations.Length > 0 ? "yes" : "no";
        facts["body"] = body;
        ReadConnection(head, wrong, facts);
        facts["rest"] = Visible(text[head.Length..]);
        return new Verdict(true, wrong, facts);
    }

    internal static Verdict Response(byte[] bytes, HttpLimits limits, RequestMethod answerTo)
    {
        var text = Encoding.Latin1.GetString(bytes);
        var wrong = new HashSet<Refusal>();
        if (ReadHead(text, 0, limits, wrong) is not { } head)
        {
            return new Verdict(false, wrong, Outcome.Partial());
        }

        var statusLine = StatusLine().Match(head.Lines[0]);
        if (!statusLine.Success)
        {
            wrong.UnionWith([Refusal.StatusLineMalformed, Refusal.VersionUnsupported, Refusal.NotHttp]);
            return new Verdict(true, wrong, Outcome.Partial());
        }

        var status = int.Parse(statusLine.Groups["status"].Value, CultureInfo.InvariantCulture);
        var isHttp10 = statusLine.Groups["minor"].Value == "0";
        var body = ReadBody(head, isHttp10, wrong);
        if (answerTo == RequestMethod.Head || status is < 200 or 204 or 304)
        {
            body = "none";
        }
        else if (body == "none")
        {
            body = "until close";
        }

        var facts = Outcome.Accepted();
        ReadConnection(head, wrong, facts);
        var options = facts["connection"].Split(", ");
        facts["status"] = status.ToString(CultureInfo.InvariantCulture);
        facts["reason"] = Visible(statusLine.Groups["reason"].Value);
        facts["version"] = isHttp10 ? "1.0" : "1.1";
        facts["informational"] = status < 200 ? "yes" : "no";
        facts["body"] = body;
        facts["keeps alive"] =
            body != "until close" && !options.Contains("close") && (!isHttp10 || options.Contains("keep-alive")) ? "yes" : "no";
        facts["rest"] = Visible(text[head.Length..]);
        return new Verdict(true, wrong, facts);
    }

    /// <summary>The body and the bytes that belong to it, or null if the text does not start with a whole chunked body.</summary>
    internal static (string Body, int Length)? Chunks(byte[] bytes)
    {
        var text = Encoding.Latin1.GetString(bytes);
        var body = new StringBuilder();
        var extensionBytes = 0;
        var position = 0;
        while (true)
        {
            var sizeLine = ChunkSizeLine().Match(text, position);
            extensionBytes += sizeLine.Groups["extension"].Length;
            if (!sizeLine.Success || extensionBytes > 4096)
            {
                return null;
            }

            position += sizeLine.Length;
            var size = Convert.ToInt64(sizeLine.Groups["size"].Value, 16);
            if (size == 0)
            {
                break;
            }

            if (size > text.Length - position - 2 || text.Substring(position + (int)size, 2) != "\r\n")
            {
                return null;
            }

            body.Append(text, position, (int)size);
            position += (int)size + 2;
        }

        var trailers = Trailers().Match(text, position);
        return trailers.Success && trailers.Length <= 8192 ? (Visible(body.ToString()), position + trailers.Length) : null;
    }

    /// <summary>The head as lines, or null if it has no end within its limit. Adds what is wrong with its lines.</summary>
    private static Head? ReadHead(string text, int start, HttpLimits limits, HashSet<Refusal> wrong)
    {
        var end = text.IndexOf("\r\n\r\n", start, StringComparison.Ordinal);
        var head = end < 0 ? text[start..] : text[start..end];
        var withEnd = end < 0 ? text : text[..(end + 4)];
        if (Regex.IsMatch(withEnd, "(?<!\r)\n"))
        {
            wrong.Add(Refusal.BareLineFeed);
        }

        if (Regex.IsMatch(withEnd, "\r(?!\n)"))
        {
            wrong.Add(Refusal.BareCarriageReturn);
        }

        var lines = head.Split("\r\n");
        var headers = new List<(string Name, string Value)>();
        foreach (var line in lines.Skip(1))
        {
            var match = HeaderLine().Match(line);
            var name = match.Groups["name"].Value;
            if (!match.Success || Regex.IsMatch(name, @"\A(content_length|transfer_encoding)\z", RegexOptions.IgnoreCase))
            {
                wrong.UnionWith([
                    Refusal.HeaderNameMalformed, Refusal.SpaceBeforeColon, Refusal.LineFolding, Refusal.ControlByteInValue]);
            }

            headers.Add((name, match.Groups["value"].Value.Trim(' ', '\t')));
        }

        if (headers.Count > limits.HeaderCount)
        {
            wrong.Add(Refusal.TooManyHeaders);
        }

        // A head that ends beyond its limit has no end; any other mistake in it may be what was refused first.
        if (end < 0 || end + 4 > limits.HeadBytes)
        {
            wrong.UnionWith(Enum.GetValues<Refusal>());
            return null;
        }

        // An empty line where the first line should be is a first line without words.
        return text[start..].StartsWith("\r\n", StringComparison.Ordinal)
            ? new Head([""], start + 2, [])
            : new Head(lines, end + 4, headers);
    }

    private static void ReadTarget(
        Head head, string method, string target, bool isHttp10, HashSet<Refusal> wrong, Outcome facts)
    {
        var path = target;
        string? authority = null;
        if (target == "*")
        {
            if (method != "OPTIONS")
            {
                wrong.Add(Refusal.TargetMalformed);
            }
        }
        else if (!target.StartsWith('/'))
        {
            var absolute = AbsoluteTarget().Match(target);
            if (!absolute.Success)
            {
                wrong.Add(Refusal.TargetMalformed);
            }

            authority = absolute.Groups["authority"].Value;
            path = absolute.Groups["path"].Value;
            if (absolute.Success && !IsAuthority(authority))
            {
                wrong.Add(Refusal.HostMalformed);
            }
        }

        var hosts = head.Values("Host");
        if (hosts.Length > 1)
        {
            wrong.Add(Refusal.HostDuplicate);
        }

        if (hosts.Length == 0 && !isHttp10)
        {
            wrong.Add(Refusal.HostMissing);
        }

        if (hosts.Any(host => !IsAuthority(host)))
        {
            wrong.Add(Refusal.HostMalformed);
        }

        var chosen = authority ?? hosts.FirstOrDefault() ?? "";
        facts["absolute form"] = authority is null ? "no" : "yes";
        facts["path"] = Visible(path);
        facts["host"] = Visible(chosen);
        facts["host name"] = Visible(Regex.Replace(chosen, @":[0-9]*\z", ""));
    }

    private static bool IsAuthority(string text)
    {
        var match = AuthorityForm().Match(text);
        return match.Success
            && (match.Groups["v6"].Length == 0
                || (IPAddress.TryParse(match.Groups["v6"].Value, out var address)
                    && address.AddressFamily == AddressFamily.InterNetworkV6))
            && (match.Groups["port"].Length == 0 || int.Parse(match.Groups["port"].Value, CultureInfo.InvariantCulture) <= 65535);
    }

    private static string ReadBody(Head head, bool isHttp10, HashSet<Refusal> wrong)
    {
        var lengths = head.Values("Content-Length");
        var encodings = head.Values("Transfer-Encoding");
        if (encodings.Length > 0)
        {
            if (isHttp10)
            {
                wrong.Add(Refusal.TransferEncodingInHttp10);
            }

            if (lengths.Length > 0)
            {
                wrong.Add(Refusal.LengthAndEncoding);
            }

            var codings = string.Join(',', encodings).Split(',').Select(coding => coding.Trim(' ', '\t').ToLowerInvariant()).ToList();
            if (codings.Any(coding => !Token().IsMatch(coding)))
            {
                wrong.Add(Refusal.TransferEncodingMalformed);
            }

            if (codings.Count(coding => coding == "chunked") > 1)
            {
                wrong.Add(Refusal.ChunkedRepeated);
            }

            if (codings[^1] != "chunked")
            {
                wrong.Add(Refusal.ChunkedNotLast);
            }

            if (codings.Any(coding => coding != "chunked"))
            {
                wrong.Add(Refusal.TransferEncodingUnknown);
            }

            return "chunked";
        }

        if (lengths.Length == 0)
        {
            return "none";
        }

        var values = lengths
            .Where(length => Digits().IsMatch(length))
            .Select(length => BigInteger.Parse(length, CultureInfo.InvariantCulture))
            .Where(length => length <= long.MaxValue)
            .ToList();
        if (values.Distinct().Count() > 1)
        {
            wrong.Add(Refusal.ContentLengthConflict);
        }

        if (values.Count < lengths.Length)
        {
            wrong.Add(Refusal.ContentLengthMalformed);
            return "malformed";
        }

        return $"length {values[0]}";
    }

    private static void ReadConnection(Head head, HashSet<Refusal> wrong, Outcome facts)
    {
        var options = head.Values("Connection")
            .SelectMany(value => value.Split(','))
            .Select(option => option.Trim(' ', '\t').ToLowerInvariant())
            .Where(option => Token().IsMatch(option))
            .ToList();
        string[] known = ["close", "keep-alive", "upgrade"];
        var named = options.Where(option => !known.Contains(option)).ToList();
        if (named.Count > 16)
        {
            wrong.Add(Refusal.TooManyConnectionOptions);
        }

        facts["connection"] = string.Join(", ", known.Where(options.Contains));
        facts["named headers"] = string.Join(
            ", ", head.Headers.Select(header => header.Name).Where(name => named.Contains(name.ToLowerInvariant())));
    }

    private static string Visible(string latin1) => VisibleText.Encode(Encoding.Latin1.GetBytes(latin1));

    private const string TokenBytes = @"[!#$%&'*+\-.^_`|~0-9A-Za-z]";
    private const string ValueBytes = @"[\t\x20-\x7e\x80-\xff]";
    private const string TargetBytes = @"[\x21\x22\x24-\x7e]";

    [GeneratedRegex(
        $@"\A(?:(?<method>CONNECT)[ ](?<target>{TargetBytes}+)"
        + $@"|(?<method>{TokenBytes}{{1,32}})[ ](?<target>/{TargetBytes}*|\*|[A-Za-z][A-Za-z0-9+.\-]*://{TargetBytes}*))"
        + @"[ ]HTTP/1\.(?<minor>[0-9])\z")]
    private static partial Regex RequestLine();

    [GeneratedRegex($@"\AHTTP/1\.(?<minor>[0-9])[ ](?<status>[1-5][0-9][0-9])(?:[ ](?<reason>{ValueBytes}*))?\z")]
    private static partial Regex StatusLine();

    [GeneratedRegex($@"\A(?<name>{TokenBytes}+):(?<value>{ValueBytes}*)\z")]
    private static partial Regex HeaderLine();

    [GeneratedRegex(@"\A(?i:https?)://(?<authority>[^/?]*)(?<path>/.*)?\z")]
    private static partial Regex AbsoluteTarget();

    [GeneratedRegex(
        @"\A(?:(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+|\[(?<v6>[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\])(?::(?<port>[0-9]{0,5}))?\z")]
    private static partial Regex AuthorityForm();

    [GeneratedRegex($@"\A{TokenBytes}+\z")]
    private static partial Regex Token();

    [GeneratedRegex(@"\A[0-9]+\z")]
    private static partial Regex Digits();

    [GeneratedRegex($@"\G(?<size>[0-9A-Fa-f]{{1,15}})(?<extension>(?:;{ValueBytes}*)?)\r\n")]
    private static partial Regex ChunkSizeLine();

    [GeneratedRegex($@"\G(?:{TokenBytes}+:{ValueBytes}*\r\n)*\r\n")]
    private static partial Regex Trailers();
}
