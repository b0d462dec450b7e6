using System.Globalization;
using FastLB.Stories;

namespace FastLB.Admin;

/// <summary>The part of the admin API that tells what became of requests that failed.</summary>
internal static class RequestRoutes
{
    private const int DefaultCount = 50;
    private const int MostAtOnce = 1_000;

    public static void Map(WebApplication application, IRequestStories stories)
    {
        string[] reading = [HttpMethods.Get, HttpMethods.Head];
        application.MapMethods("/requests", reading, (string? count) =>
            TypedResults.Json(stories.Latest(CountOf(count)), StatusJson.Default.IReadOnlyListRequestStory));
        application.MapMethods("/requests/{id}", reading, (string id) => Find(stories, id));
    }

    private static int CountOf(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? Math.Min(count, MostAtOnce) : DefaultCount;

    private static IResult Find(IRequestStories stories, string text)
    {
        return stories.Find(text) is { } story
            ? TypedResults.Json(story, StatusJson.Default.RequestStory)
            : TypedResults.Text(
                $"no request with the id {text} is remembered: it did not fail, or so many have failed since that it is forgotten; /requests?failed lists those that are\n",
                statusCode: StatusCodes.Status404NotFound);
    }
}
