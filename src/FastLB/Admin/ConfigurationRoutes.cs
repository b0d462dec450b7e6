using FastLB.Configuration;
using Microsoft.AspNetCore.Http.Features;

namespace FastLB.Admin;

/// <summary>
/// <c>POST /config</c>: without a body the file is read again, with one that configuration is served until the file is read again. 200 and what has changed, or 400
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

            var forgetsChanges = context.Request.Query["reset"] == "true";
            var result = string.IsNullOrWhiteSpace(text) ? await reloader.ReloadFileAsync(forgetsChanges) : await reloader.ReloadTextAsync(text, forgetsChanges);
            await OperatorRoutes.Answer(
                context, result.IsDone ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest, result.IsDone ? $"reloaded: {result.Text}" : result.Text);
        }));
}
