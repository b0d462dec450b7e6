using System.Globalization;
using System.Net;
using System.Text.Json;

namespace FastLB.Admin;

/// <summary>What <c>PUT /pools/{pool}/strategy</c> takes; a bare name does as well.</summary>
/// <param name="LoadBound">A number or <c>none</c>.</param>
internal sealed record StrategyWish(string? Name, string? Key = null, JsonElement? LoadBound = null);

/// <summary>
/// The part of the admin API that changes something. A page in an operator's browser must not be able to: browsers name its origin with whatever is not GET, and
/// such is refused; and a name that was made to point here (DNS rebinding) is not an address or localhost, which the Host header has to be. Who shows the
/// token is neither.
/// </summary>
internal static class OperatorRoutes
{
    public const int MaxBodyBytes = 16 * 1024;

    public static void Map(WebApplication application, Operator changes)
    {
        Map(application, changes, "/pools/{pool}/strategy", (values, body) => UseStrategy(changes, values, body));
        Map(application, changes, "/pools/{pool}/breaker", (values, body) => changes.ForceBreaker((string)values["pool"]!, null, body.Trim()));
        Map(application, changes, "/pools/{pool}/workers/{slot:int}/weight", (values, body) => SetWeight(changes, values, body));
        Map(application, changes, "/pools/{pool}/workers/{slot:int}/state", (values, body) => changes.Switch((string)values["pool"]!, Slot(values)!.Value, body.Trim()));
        Map(application, changes, "/pools/{pool}/instances", (values, body) => Scale(changes, values, body));
        Map(application, changes, "/pools/{pool}/workers", (values, body) => Add(changes, values, body), HttpMethods.Post);
        Map(application, changes, "/pools/{pool}/workers/{slot:int}", (values, _) => changes.Remove((string)values["pool"]!, Slot(values)!.Value), HttpMethods.Delete);
        Map(application, changes, "/routes/{route}/maintenance", (values, body) => changes.Maintain((string)values["route"]!, body.Trim()));
        Map(application, changes, "/pools/{pool}/workers/{slot:int}/breaker", (values, body) => changes.ForceBreaker((string)values["pool"]!, Slot(values), body.Trim()));
    }

    private static int? Slot(RouteValueDictionary values) =>
        values["slot"] is string slot ? int.Parse(slot, CultureInfo.InvariantCulture) : null;

    /// <summary>Answers who may not change anything, and says so.</summary>
    public static async Task<bool> IsAllowed(HttpContext context)
    {
        if (AdminAccess.IsTrusted(context) || (IsLocalName(context.Request.Host.Host) && !context.Request.Headers.ContainsKey("Origin")))
        {
            return true;
        }

        await Answer(
            context,
            StatusCodes.Status403Forbidden,
            context.Request.Headers.ContainsKey("Origin") ? "this comes from a web page (it has an Origin header), and without a token no page may change anything" : AdminAccess.NoName(context));
        return false;
    }

    private static void Map(WebApplication application, Operator changes, string pattern, Func<RouteValueDictionary, string, OperatorAnswer> change, string? method = null) =>
        application.MapMethods(pattern, [method ?? HttpMethods.Put], (RequestDelegate)(async context =>
        {
            if (!await IsAllowed(context))
            {
                return;
            }

            if (await ReadBody(context, MaxBodyBytes) is not { } body)
            {
                return;
            }

            var answer = changes.Exclusively(() => change(context.Request.RouteValues, body));
            await Answer(
                context,
                answer.Result switch
                {
                    OperatorResult.Done => StatusCodes.Status200OK,
                    OperatorResult.NotFound => StatusCodes.Status404NotFound,
                    _ => StatusCodes.Status400BadRequest,
                },
                answer.Text);
        }));

    /// <summary>The body as text; null when it was too large, which is answered then.</summary>
    public static async Task<string?> ReadBody(HttpContext context, int maxBytes)
    {
        try
        {
            using var reader = new StreamReader(context.Request.Body);
            return await reader.ReadToEndAsync(context.RequestAborted);
        }
        catch (BadHttpRequestException failure) when (failure.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            await Answer(context, failure.StatusCode, $"the body is larger than {maxBytes / 1024} KB, the most that is read here");
            return null;
        }
    }

    public static async Task Answer(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        await context.Response.WriteAsync(text + "\n", context.RequestAborted);
    }

    public static bool IsLocalName(string host) =>
        host.Length == 0 || host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || IPAddress.TryParse(host, out _);

    private static OperatorAnswer UseStrategy(Operator changes, RouteValueDictionary values, string body)
    {
        var pool = (string)values["pool"]!;
        var text = body.Trim();
        if (!text.StartsWith('{'))
        {
            return changes.UseStrategy(pool, text, null, null);
        }

        try
        {
            return JsonSerializer.Deserialize(text, StatusJson.Default.StrategyWish) is { Name: { } name } wish
                ? changes.UseStrategy(pool, name, wish.Key, wish.LoadBound?.ToString())
                : new OperatorAnswer(OperatorResult.Wrong, "'name' is missing; write {\"name\": \"two-choices\"}");
        }
        catch (JsonException)
        {
            return new OperatorAnswer(OperatorResult.Wrong, "the body is not JSON; write the name of a strategy, or {\"name\": \"consistent-hash\", \"key\": \"header:X-User\"}");
        }
    }

    private static OperatorAnswer Scale(Operator changes, RouteValueDictionary values, string body) =>
        body.Trim() == "configured" ? changes.Scale((string)values["pool"]!, null)
        : int.TryParse(body.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var instances) ? changes.Scale((string)values["pool"]!, instances)
        : new OperatorAnswer(OperatorResult.Wrong, $"'{body.Trim()}' is not a number of workers; write a whole number, or 'configured'");

    /// <summary>The body is an address, and perhaps a weight after it.</summary>
    private static OperatorAnswer Add(Operator changes, RouteValueDictionary values, string body)
    {
        var words = body.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return words is [var address] ? changes.Add((string)values["pool"]!, address, 1)
            : words is [var other, var weight] && int.TryParse(weight, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? changes.Add((string)values["pool"]!, other, number)
            : new OperatorAnswer(OperatorResult.Wrong, "write an address like 127.0.0.1:9001, and perhaps a weight after it");
    }

    private static OperatorAnswer SetWeight(Operator changes, RouteValueDictionary values, string body) =>
        int.TryParse(body.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var weight)
            ? changes.SetWeight((string)values["pool"]!, Slot(values)!.Value, weight)
            : new OperatorAnswer(OperatorResult.Wrong, $"'{body.Trim()}' is not a weight; write a whole number");
}
