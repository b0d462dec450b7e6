using System.Globalization;
using System.Text;
using FastLB.Core.Loop;
using FastLB.Core.Proxy;
using FastLB.Core.Recording;
using FastLB.Linux;

namespace FastLB.Stories;

/// <summary>Asks the loops for the requests that they remember: each copies its own, on its thread, in its turn. A loop that is busy for long is left out.</summary>
internal sealed class LoopStories(ProxyLoop[] proxies) : IRequestStories
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    public RequestStory? Find(string id)
    {
        var called = Encoding.UTF8.GetBytes(id);
        ulong number = 0;
        var isNumber = id.Length <= 16 && ulong.TryParse(id, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out number);
        return Ask(failures => (failures.FindCalled(called) ?? (isNumber ? failures.Find(number) : null)) is { } found ? [found] : [])
            .OrderByDescending(f => f.Facts.BeganNs).Select(Tell).FirstOrDefault();
    }

    public IReadOnlyList<RequestStory> Latest(int count) =>
        [.. Ask(failures => failures.Latest(count)).OrderByDescending(f => f.Facts.BeganNs).Take(count).Select(Tell)];

    private static RequestStory Tell(FailedRequest failed)
    {
        var agoNs = MonotonicClock.NowNs - failed.Facts.BeganNs;
        return StoryTeller.Tell(failed, DateTimeOffset.UtcNow.AddTicks(-agoNs / 100));
    }

    private List<FailedRequest> Ask(Func<RecentFailures, IReadOnlyList<FailedRequest>> question)
    {
        var questions = Array.ConvertAll(proxies, proxy => new Question(proxy, question));
        for (var i = 0; i < proxies.Length; i++)
        {
            proxies[i].Loop.Post(questions[i]);
        }

        // Loops do what is posted in its order, so behind the barrier every answer is there. Not disposed: a late loop may still set it.
        var answered = new ManualResetEventSlim();
        LoopBarrier.Pass([.. proxies.Select(p => p.Loop)], answered.Set);
        answered.Wait(Patience);
        return [.. questions.SelectMany(q => q.Answer)];
    }

    private sealed class Question(ProxyLoop proxy, Func<RecentFailures, IReadOnlyList<FailedRequest>> question) : PostedWork
    {
        private IReadOnlyList<FailedRequest> _answer = [];

        public IReadOnlyList<FailedRequest> Answer => Volatile.Read(ref _answer);

        public override void Run(EventLoop loop) => Volatile.Write(ref _answer, question(proxy.Recorder.Failures));
    }
}
