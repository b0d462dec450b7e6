using FastLB.Configuration;
using Microsoft.AspNetCore.Http.Features;

namespace FastLB.Admin;

/// <summary>
/// <c>POST /config</c>: without a body the file is read again, with one that configuration is served until the file is read again, if the
/// request brought the token or came by a unix socket: a configuration names programs to start. 200 and what has changed, or 400
/// with every mistake, and then nothing has.
/// </summary>
internal static class ConfigurationRoutes
{
    public static void Map(WebApplication application, Reloader reloader) =>
        application.MapPost("/config", (RequestDelegate)(async context =>
        {
            if (!await OperatorRoutes.IsAllowed(context))
            {
                return;
            }

            if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
            {
                size.MaxRequestBodySize = ConfigurationFile.MaxBytes;
            }

            if (await OperatorRoutes.ReadBody(context, ConfigurationFile.MaxBytes) is not { } text)
            {
                return;
            }

            if (!string.IsNullOrWhiteSpace(text) && !AdminAccess.IsTrusted(context) && context.Connection.RemoteIpAddress is not null)
            {
                await OperatorRoutes.Answer(
                    context,
                    StatusCodes.Status403Forbidden,
                    "a configuration names programs that FastLB starts, so it is taken only with the admin API's token (admin.token) or on a unix socket; without a body the file is read again");
                return;
            }

            if (context.Request.Query["reset"].ToString() is var reset && context.Request.Query.ContainsKey("reset") && reset is not ("true" or "false"))
            {
                // Whoever wanted his changes undone should not learn later that they were not.
                await OperatorRoutes.Answer(context, StatusCodes.Status400BadRequest, $"reset: expected true or false, found '{reset}'");
                return;
            }

            var forgetsChanges = reset == "true";
            var result = string.IsNullOrWhiteSpace(text) ? await reloader.ReloadFileAsync(forgetsChanges) : await reloader.ReloadTextAsync(text, forgetsChanges);
            await OperatorRoutes.Answer(
                context, result.IsDone ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest, result.IsDone ? $"reloaded: {result.Text}" : result.Text);
        }));
}
