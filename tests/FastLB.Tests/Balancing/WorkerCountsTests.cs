using FastLB.Core.Balancing;

namespace FastLB.Tests.Balancing;

/// <summary>What several loops count at one worker, told by real threads: nothing is lost, and nobody ever reads what cannot be.</summary>
public sealed class WorkerCountsTests
{
    private const int Loops = 4;
    private const int Steps = 60_000;

    [Fact]
    public void What_all_loops_counted_is_the_sum_of_what_each_did_and_no_reader_sees_less_than_nothing()
    {
        for (var round = 0; round < 5; round++)
        {
            var worker = OneLoop.Worker(0, loops: Loops);
            var models = new Model[Loops];
            var seen = new List<string>();
            var isOver = false;
            var loops = Enumerable.Range(0, Loops).Select(loop => new Thread(() => models[loop] = Run(worker, loop, (round * Loops) + loop))).ToArray();
            var reader = new Thread(() => Read(worker, seen, ref isOver));
            reader.Start();
            Array.ForEach(loops, thread => thread.Start());
            Array.ForEach(loops, thread => thread.Join());
            Volatile.Write(ref isOver, true);
            reader.Join();

            Assert.Empty(seen);
            Assert.All(models, m => Assert.Null(m.Mistake));
            Assert.Equal(models.Sum(m => m.InFlight), worker.InFlight);
            Assert.Equal(models.Sum(m => m.Requests), worker.Requests);
            Assert.Equal(models.Sum(m => m.Failures), worker.Failures);
            Assert.Equal(models.Sum(m => m.Answers), worker.Answers);
            Assert.Equal(models.Sum(m => m.Nanoseconds), worker.AnswerNanoseconds);
            Assert.Equal(models.Sum(m => m.Errors), worker.ServerErrors);
            for (var loop = 0; loop < Loops; loop++)
            {
                Assert.Equal(models[loop].Response.At(Steps), worker.ResponseSeenBy(loop, Steps));
                Assert.Equal(worker.InFlight, worker.InFlightSeenBy(loop, long.MaxValue));
                Assert.Equal(models[loop].Turn, worker.MoveTurn(loop, 0, long.MaxValue));
            }
        }
    }

    /// <summary>A loop's history, and beside it the same in plain variables.</summary>
    private static Model Run(Worker worker, int loop, int seed)
    {
        var random = new Random(seed);
        var model = new Model { Response = PeakEwma.Never };
        for (var now = 0L; now < Steps; now++)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    worker.Begin(loop);
                    model.InFlight++;
                    model.Requests++;
                    break;
                case 2 when model.InFlight > 0:
                    var isFailed = random.Next(4) == 0;
                    worker.End(loop, isFailed);
                    model.InFlight--;
                    model.Failures += isFailed ? 1 : 0;
                    break;
                case 3:
                    var (nanoseconds, isError) = (random.Next(1_000_000), random.Next(4) == 0);
                    worker.NoteAnswer(loop, now, nanoseconds, isError);
                    model.Answers++;
                    model.Nanoseconds += nanoseconds;
                    model.Errors += isError ? 1 : 0;
                    model.Response = isError ? model.Response.AfterFailure(nanoseconds, now) : model.Response.After(nanoseconds, now);
                    break;
                case 4:
                    worker.NoteFailure(loop, now);
                    model.Response = model.Response.AfterFailure(0, now);
                    model.Turn = worker.MoveTurn(loop, 1, long.MaxValue);
                    break;
            }

            if (worker.InFlightSeenBy(loop, now) < model.InFlight)
            {
                model.Mistake ??= $"loop {loop} sees fewer than its own at {now}";
            }
        }

        return model;
    }

    private static void Read(Worker worker, List<string> seen, ref bool isOver)
    {
        long requests = 0, answers = 0;
        while (!Volatile.Read(ref isOver) && seen.Count == 0)
        {
            var (nextRequests, nextAnswers) = (worker.Requests, worker.Answers);
            if (worker.InFlight < 0 || worker.Failures < 0 || worker.AnswerNanoseconds < 0 || nextRequests < requests || nextAnswers < answers)
            {
                seen.Add($"{worker.InFlight} in flight, {nextRequests} requests after {requests}, {nextAnswers} answers after {answers}");
            }

            (requests, answers) = (nextRequests, nextAnswers);
        }
    }

    private sealed class Model
    {
        public long InFlight;
        public long Requests;
        public long Failures;
        public long Answers;
        public long Nanoseconds;
        public long Errors;
        public long Turn;
        public PeakEwma Response;
        public string? Mistake;
    }
}
