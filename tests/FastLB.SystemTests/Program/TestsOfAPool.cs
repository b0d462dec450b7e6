namespace FastLB.SystemTests.Program;

/// <summary>Tests of one pool of workers that answer their numbers (<see cref="NumberedWorkers"/>), with what such tests say to FastLB.</summary>
public abstract class TestsOfAPool(string engine) : TestsOfAnEngine(engine)
{
    private protected static HttpClient Http { get; } = new();

    private protected static string Pool(NumberedWorkers fleet, string settings, int count = int.MaxValue) => $$"""
        loops: 1
        admin: { bind: ADMIN }
        listeners: [{ bind: LISTEN, pool: app }]
        pools:
          app:
            {{settings}}
            workers: [{{string.Join(", ", fleet.Addresses.Take(count).Select(a => $"\"{a}\""))}}]
        """;

    private protected static async Task Put(FastLbUnderTest fastlb, string path, string body)
    {
        using var answer = await Http.PutAsync(fastlb.Admin(path), new StringContent(body));
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
    }

    private protected static async Task<(int Status, string Body)> Get(FastLbUnderTest fastlb, string path = "/")
    {
        using var answer = await Http.GetAsync(fastlb.Url(path));
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private protected static Task<HttpResponseMessage> Ask(FastLbUnderTest fastlb, string user, string? priority = null)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, fastlb.Url("/")) { Headers = { { "X-User", user } } };
        if (priority is not null)
        {
            request.Headers.Add("X-Priority", priority);
        }

        return Http.SendAsync(request);
    }

    private protected static Task StateIs(FastLbUnderTest fastlb, int slot, string state) => Eventually.True(
        async () => (string)(await fastlb.Workers())[slot]["state"]! == state, $"worker {slot} is {state}", () => fastlb.Program.Errors);
}
