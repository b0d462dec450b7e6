using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Resilience;
using FastLB.Core.Routing;
using Route = FastLB.Core.Routing.Route;

namespace FastLB.Configuration;

/// <summary>Reads what a route does with its requests.</summary>
internal sealed class RouteActionReader(Mistakes mistakes, string baseDirectory, List<ScalarNode> poolNames, bool hasRequestIds)
{
    /// <summary>What one buffer holds beside a head.</summary>
    public const int MaxBodyBytes = 60 * 1024;

    private const int MaxHeaders = 32;

    /// <summary>All header lines of an answer together, its content type included.</summary>
    private const int MaxHeadBytes = 8 * 1024;
    private const int DefaultRetryAfterSeconds = 60;

    private static readonly string[] Actions = ["pool", "redirect", "answer"];
    private static readonly string[] OnlyWithPool = ["timeouts", "retries", "requestHeaders", "responseHeaders", "rewrite"];
    private static readonly string[] RedirectKeys = ["to", "status"];
    private static readonly string[] AnswerKeys = ["status", "body", "file", "contentType", "headers"];
    private static readonly string[] MaintenanceKeys = ["on", "retryAfter", "status", "body", "file", "contentType", "headers"];
    private static readonly string[] TimeoutKeys = ["connect", "response", "queue", "tunnel", "body"];
    private static readonly string[] RewriteKeys = ["stripPrefix", "addPrefix", "host"];

    /// <summary>The rule, with what its requests get added to its conditions.</summary>
    public RouteRule Read(Section route, RouteRule conditions)
    {
        string[] given = [.. Actions.Where(a => route.Find(a) is not null)];
        if (given.Length > 1)
        {
            mistakes.Error(route.FindKey(given[1])!, $"{route.Name} has {string.Join(" and ", given.Select(g => $"'{g}'"))}; one of them answers, so write one");
        }
        else if (given.Length == 0 && route.Find("maintenance") is null)
        {
            mistakes.Error(route.Node, $"'pool' is missing in {route.Name}; write the name of the pool that answers, or 'redirect', 'answer' or 'maintenance'");
        }

        if (route.Find("pool") is null)
        {
            foreach (var key in OnlyWithPool)
            {
                if (route.FindKey(key) is { } pointless)
                {
                    mistakes.Error(pointless, $"'{key}' has no meaning in {route.Name}, where no pool answers");
                }
            }
        }

        var headers = new HeaderChangesReader(mistakes, hasRequestIds);
        return conditions with
        {
            PoolName = ReadPool(route),
            Redirect = ReadRedirect(route),
            Answer = route.Find("answer") is { } answer && Section.Open(answer, $"answer of {route.Name}", AnswerKeys, mistakes) is { } section
                ? ReadAnswer(section, 200, [], "")
                : null,
            Maintenance = ReadMaintenance(route),
            Timeouts = ReadTimeouts(route),
            Retries = ReadRetries(route),
            MaxBodyBytes = ReadMaxBody(route),
            RequestHeaders = headers.Read(route, "requestHeaders", TextTemplate.OfRequest),
            ResponseHeaders = headers.Read(route, "responseHeaders", TextTemplate.OfResponse),
            Rewrite = ReadRewrite(route),
        };
    }

    private string ReadPool(Section route)
    {
        if (route.Text("pool", "the name of a pool") is not { } name)
        {
            return "";
        }

        poolNames.Add(name);
        return name.Text;
    }

    private RedirectSettings? ReadRedirect(Section route)
    {
        if (route.Find("redirect") is not { } node)
        {
            return null;
        }

        const string Expected = "an address like https://example.com{path}{query}";
        var redirect = node is MappingNode ? Section.Open(node, $"redirect of {route.Name}", RedirectKeys, mistakes) : null;
        if (redirect is not null && redirect.Find("to") is null)
        {
            mistakes.Error(node, $"'to' is missing in {redirect.Name}; write {Expected}");
            return null;
        }

        if ((redirect is null ? route.TextOf(node, "redirect", Expected) : redirect.Text("to", Expected)) is not { } to)
        {
            return null;
        }

        var key = redirect is null ? "redirect" : "to";
        if (ProblemOfLocation(to.Text) is { } problem)
        {
            mistakes.Error(to, $"{key}: {problem}");
        }
        else
        {
            new HeaderChangesReader(mistakes, hasRequestIds).Check(to, to.Text, key, TextTemplate.OfRedirect);
        }

        return new RedirectSettings(to.Text, redirect?.Choice("status", ("301", 301), ("302", 302), ("303", 303), ("307", 307), ("308", 308)) ?? 302);
    }

    /// <summary>
    /// A redirect may not lead wherever a client likes: the host is the configuration's, or the request's where that says {host}. A path can
    /// begin with two slashes, and so name a host, unless something stands before it.
    /// </summary>
    private static string? ProblemOfLocation(string to)
    {
        var scheme = to.StartsWith("https://", StringComparison.OrdinalIgnoreCase) ? 8 : to.StartsWith("http://", StringComparison.OrdinalIgnoreCase) ? 7 : 0;
        if (to.AsSpan().IndexOfAnyExceptInRange('!', '~') >= 0)
        {
            return $"'{to}' has a character that no address has; percent-encode it";
        }

        if (scheme > 0)
        {
            return to.Length > scheme && (char.IsAsciiLetterOrDigit(to[scheme]) || to[scheme] == '[' || to.AsSpan(scheme).StartsWith("{host}"))
                ? null
                : $"'{to}' names no host behind '{to[..scheme]}'; write one, or {{host}} for the request's own";
        }

        return to is ['/'] or ['/', not ('/' or '\\' or '{'), ..]
            ? null
            : $"'{to}' could lead to any host that a client writes into the path; begin with https:// and a host, or with a path like /new{{path}}";
    }

    private AnswerSettings? ReadAnswer(Section answer, int status, byte[] body, string retryAfter)
    {
        var type = answer.Text("contentType", "a media type like text/html");
        if (type is not null && type.Text.Any(c => c is < ' ' or > '~'))
        {
            mistakes.Error(type, "contentType: it has characters that a header cannot have");
        }

        var guessed = "text/plain; charset=utf-8";
        if (answer.FindKey("file") is { } fileKey && answer.Find("body") is not null)
        {
            mistakes.Error(fileKey, $"{answer.Name} has both 'body' and 'file'; write one");
        }
        else if (answer.Text("file", "the path of a file") is { } file)
        {
            body = ReadFile(file) ?? [];
            guessed = Path.GetExtension(file.Text) switch
            {
                ".html" or ".htm" => "text/html; charset=utf-8",
                ".json" => "application/json",
                ".xml" => "application/xml",
                ".svg" => "image/svg+xml",
                ".ico" => "image/x-icon",
                _ => guessed,
            };
        }
        else if (answer.Find("body") is ScalarNode { IsNothing: false } text)
        {
            body = Encoding.UTF8.GetBytes(text.Text);
            if (body.Length > MaxBodyBytes)
            {
                mistakes.Error(text, $"body: it has {ByteSize.Text(body.Length)}; at most {ByteSize.Text(MaxBodyBytes)} are answered");
            }
        }
        else if (answer.Find("body") is { } wrong)
        {
            mistakes.Error(wrong, $"body: expected a text, found {wrong.Kind}");
        }

        var headers = new HeaderChangesReader(mistakes, hasRequestIds).ReadLiterals(answer, "headers", MaxHeaders);
        if (retryAfter.Length > 0 && !headers.Exists(h => h.Name.Equals("Retry-After", StringComparison.OrdinalIgnoreCase)))
        {
            headers.Add(new HeaderValue("Retry-After", retryAfter));
        }

        var contentType = type?.Text ?? guessed;
        var headBytes = contentType.Length + headers.Sum(h => h.Name.Length + h.Template.Length + 4);
        if (headBytes > MaxHeadBytes)
        {
            mistakes.Error(answer.Node, $"{answer.Name}: its headers have {ByteSize.Text(headBytes)} together; at most {ByteSize.Text(MaxHeadBytes)} are answered");
        }

        return new AnswerSettings
        {
            Status = answer.Number("status", 200, 599) ?? status,
            ContentType = contentType,
            Body = body,
            Headers = headers,
        };
    }

    private byte[]? ReadFile(ScalarNode file)
    {
        var path = Path.Combine(baseDirectory, file.Text);
        try
        {
            var length = new FileInfo(path).Length;
            if (length <= MaxBodyBytes)
            {
                return File.ReadAllBytes(path);
            }

            mistakes.Error(file, $"file: {file.Text} has {ByteSize.Text(length)}; at most {ByteSize.Text(MaxBodyBytes)} are answered");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            mistakes.Error(file, $"file: {path} cannot be read: {failure.Message}");
        }

        return null;
    }

    private MaintenanceSettings? ReadMaintenance(Section route)
    {
        switch (route.Find("maintenance"))
        {
            case null:
                return null;
            case ScalarNode { Text: "true" or "false" } flag:
                return new MaintenanceSettings(flag.Text == "true", Route.DefaultMaintenance);
            case ScalarNode other:
                mistakes.Error(other, $"maintenance: expected true, false or keys ({string.Join(", ", MaintenanceKeys)}), found {other.Kind}");
                return null;
            case var node when Section.Open(node, $"maintenance of {route.Name}", MaintenanceKeys, mistakes) is { } maintenance:
                var seconds = maintenance.DurationMs("retryAfter") is { } milliseconds ? Math.Max(1, milliseconds / 1000) : DefaultRetryAfterSeconds;
                return new MaintenanceSettings(
                    maintenance.Flag("on") ?? true,
                    ReadAnswer(maintenance, 503, [.. Route.DefaultMaintenance.Body], seconds.ToString(System.Globalization.CultureInfo.InvariantCulture))!);
            default:
                return null;
        }
    }

    private RouteTimeouts? ReadTimeouts(Section route) =>
        route.Find("timeouts") is { } node && Section.Open(node, $"timeouts of {route.Name}", TimeoutKeys, mistakes) is { } timeouts
            ? new RouteTimeouts
            {
                ConnectMs = timeouts.DurationMs("connect"),
                ResponseMs = timeouts.DurationMs("response"),
                QueueMs = timeouts.DurationMs("queue"),
                TunnelMs = timeouts.DurationMs("tunnel"),
                BodyMs = timeouts.DurationMs("body"),
            }
            : null;

    private RetrySettings? ReadRetries(Section route)
    {
        if (route.Find("retries") is not { } node)
        {
            return null;
        }

        if ((node as MappingNode)?.Entries.FirstOrDefault(e => e.Key.Text == "budget").Key is { } budget)
        {
            mistakes.Error(budget, $"'budget' has no meaning in retries of {route.Name}; it is the pool's, for all its routes together");
        }

        return new ProtectionReader(mistakes, baseDirectory).ReadRetries(route);
    }

    private long? ReadMaxBody(Section route) =>
        route.Find("limits") is { } node && Section.Open(node, $"limits of {route.Name}", ["body"], mistakes) is { } limits
            ? limits.Find("body") is ScalarNode { Text: "unlimited" } ? HttpLimits.Default.BodyBytes : limits.Bytes("body", 1, 1L << 50)
            : null;

    private RewriteSettings? ReadRewrite(Section route)
    {
        if (route.Find("rewrite") is not { } node || Section.Open(node, $"rewrite of {route.Name}", RewriteKeys, mistakes) is not { } rewrite)
        {
            return null;
        }

        var host = rewrite.Text("host", "a host like internal.example.com or internal:8080");
        if (host is not null && !IsAuthority(host.Text))
        {
            mistakes.Error(host, $"host: '{host.Text}' is not a host with an optional port, like internal.example.com or internal:8080");
        }

        return new RewriteSettings { StripPrefix = ReadPrefix(rewrite, "stripPrefix"), AddPrefix = ReadPrefix(rewrite, "addPrefix"), Host = host?.Text };
    }

    private string? ReadPrefix(Section rewrite, string key)
    {
        if (rewrite.Text(key, "a path like /v1") is not { } prefix)
        {
            return null;
        }

        if (RoutePath.ProblemOf(prefix.Text, key) is { } problem)
        {
            mistakes.Error(prefix, $"{key}: {problem}");
        }

        return prefix.Text;
    }

    private static bool IsAuthority(string text)
    {
        var colon = text.LastIndexOf(':');
        var hasPort = colon > 0 && colon < text.Length - 1 && text[(colon + 1)..].All(char.IsAsciiDigit);
        var name = hasPort ? text[..colon] : text;
        return HostName.IsValid(name) || (name.StartsWith('[') && name.EndsWith(']') && System.Net.IPAddress.TryParse(name, out _));
    }
}
