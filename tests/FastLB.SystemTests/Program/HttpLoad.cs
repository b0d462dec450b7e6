using System.Diagnostics;
using System.Globalization;

namespace FastLB.SystemTests.Program;

/// <summary>What one request of a load came to.</summary>
internal readonly record struct LoadAnswer(int Status, string Body, double Milliseconds);

/// <summary>Requests from several clients at a time, and what came back. For shares and ratios; how fast FastLB is, bench/load measures.</summary>
internal static class HttpLoad
{
    /// <summary>Each client asks again as soon as it has its answer, until all have asked <paramref name="requests"/> times together.</summary>
    public static async Task<IReadOnlyList<LoadAnswer>> Closed(Uri url, int clients, int requests, Func<int, (string Name, string Value)>? header = null)
    {
        using var http = Client(clients);
        var answers = new LoadAnswer[requests];
        var next = -1;
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            for (int number; (number = Interlocked.Increment(ref next)) < requests;)
            {
                answers[number] = await Ask(http, url, header?.Invoke(number));
            }
        }));
        return answers;
    }

    /// <summary>So many requests per second, whether or not the earlier ones were answered.</summary>
    public static async Task<IReadOnlyList<LoadAnswer>> Open(Uri url, int perSecond, int requests)
    {
        using var http = Client(int.MaxValue);
        var answers = new List<Task<LoadAnswer>>(requests);
        var clock = Stopwatch.StartNew();
        while (answers.Count < requests)
        {
            var due = Math.Min(requests, (int)(clock.Elapsed.TotalSeconds * perSecond));
            while (answers.Count < due)
            {
                answers.Add(Ask(http, url, null));
            }

            await Task.Delay(1);
        }

        return await Task.WhenAll(answers);
    }

    public static double Percentile(IEnumerable<LoadAnswer> answers, double share)
    {
        var sorted = answers.Select(a => a.Milliseconds).Order().ToArray();
        return sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];
    }

    /// <summary>The share of the answers whose body is this.</summary>
    public static double ShareOf(IReadOnlyList<LoadAnswer> answers, string body) => (double)answers.Count(a => a.Body == body) / answers.Count;

    private static HttpClient Client(int connections) => new(new SocketsHttpHandler { MaxConnectionsPerServer = connections, UseCookies = false })
    {
        Timeout = TimeSpan.FromSeconds(30),
    };

    private static async Task<LoadAnswer> Ask(HttpClient http, Uri url, (string Name, string Value)? header)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        if (header is var (name, value))
        {
            request.Headers.Add(name, value);
        }

        var began = Stopwatch.GetTimestamp();
        using var answer = await http.SendAsync(request);
        var body = await answer.Content.ReadAsStringAsync();
        return new LoadAnswer((int)answer.StatusCode, body, Stopwatch.GetElapsedTime(began).TotalMilliseconds);
    }

    public static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
