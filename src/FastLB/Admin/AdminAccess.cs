namespace FastLB.Admin;

/// <summary>
/// Who may use the admin API. With a token, whoever brings it; <c>/healthz</c> says little and is asked by load balancers that cannot, so it is open. On a unix
/// socket the file's permissions decide instead.
/// </summary>
internal static class AdminAccess
{
    private const string Scheme = "Bearer ";

    /// <summary>Marks requests that brought the token.</summary>
    private static readonly object s_trusted = new();

    public static void Require(WebApplication application, AdminToken token) => application.Use(async (context, next) =>
    {
        var authorization = context.Request.Headers.Authorization.ToString();
        var isTrusted = authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase) && token.Is(authorization[Scheme.Length..].Trim());
        if (isTrusted)
        {
            context.Items[s_trusted] = s_trusted;
        }
        else if (!context.Request.Path.Equals("/healthz", StringComparison.Ordinal))
        {
            context.Response.StatusCode = StatusCodes.Status401Unauthorized;
            context.Response.Headers.WWWAuthenticate = "Bearer realm=\"fastlb\"";
            context.Response.ContentType = "text/plain; charset=utf-8";
            await context.Response.WriteAsync("The admin API asks for its token: Authorization: Bearer TOKEN\n", context.RequestAborted);
            return;
        }

        await next(context);
    });

    /// <summary>
    /// Where no token is asked for: a name that was made to point here (DNS rebinding) is no reason to tell a web page what goes on, so the Host header has to be an address or localhost.
    /// Programs on this machine are all believed.
    /// </summary>
    public static void RequireLocalName(WebApplication application) => application.Use(async (context, next) =>
    {
        if (OperatorRoutes.IsLocalName(context.Request.Host.Host) || context.Request.Path.Equals("/healthz", StringComparison.Ordinal))
        {
            await next(context);
            return;
        }

        await OperatorRoutes.Answer(context, StatusCodes.Status403Forbidden, NoName(context));
    });

    /// <summary>What to say to who uses another name than an address; on a unix socket there are neither addresses nor tokens.</summary>
    public static string NoName(HttpContext context)
    {
        var hint = context.Connection.RemoteIpAddress is null ? "write http://localhost/ on its unix socket" : "write its IP address or localhost, or configure a token";
        return $"'{context.Request.Host.Host}' is not an address of the admin API; {hint}";
    }

    /// <summary>Whether the request brought the token, which no page in somebody's browser can know.</summary>
    public static bool IsTrusted(HttpContext context) => context.Items.ContainsKey(s_trusted);
}
