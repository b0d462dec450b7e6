using FastLB.Core.Loop;
using FastLB.Core.Resilience;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Resilience;

public sealed class WaitingLineTests
{
    [Fact]
    public void The_highest_priority_leaves_first_and_equals_in_the_order_in_which_they_came()
    {
        var line = new WaitingLine<Request>(10);
        Request[] requests = [new(3), new(7), new(0), new(3), new(7), new(3)];
        Assert.All(requests, request => Assert.True(line.TryEnter(request, out _)));
        Assert.Equal([requests[1], requests[4], requests[0], requests[3], requests[5], requests[2]], Drain(line));
    }

    [Fact]
    public void A_full_line_takes_a_newcomer_only_instead_of_the_newest_of_the_lowest_priority()
    {
        var line = new WaitingLine<Request>(3);
        Request[] first = [new(2), new(2), new(5)];
        Assert.All(first, request => Assert.True(line.TryEnter(request, out _)));
        Assert.False(line.TryEnter(new Request(2), out var displaced));
        Assert.Null(displaced);
        Assert.False(line.TryEnter(new Request(0), out _));
        var important = new Request(3);
        Assert.True(line.TryEnter(important, out displaced));
        Assert.Same(first[1], displaced);
        Assert.False(displaced!.IsWaiting);
        Assert.Equal([first[2], important, first[0]], Drain(line));
    }

    [Fact]
    public void A_line_without_room_takes_nobody()
    {
        var line = new WaitingLine<Request>(0);
        Assert.False(line.TryEnter(new Request(7), out var displaced));
        Assert.Null(displaced);
        Assert.Null(line.TryLeave());
    }

    [Fact]
    public void Who_waits_already_or_waits_elsewhere_or_changed_its_priority_violates_an_invariant()
    {
        var line = new WaitingLine<Request>(5);
        var request = new Request(1);
        line.TryEnter(request, out _);
        Assert.Throws<InvariantViolatedException>(() => line.TryEnter(request, out _));
        Assert.Throws<InvariantViolatedException>(() => new WaitingLine<Request>(5).Remove(request));
        request.Priority = 2;
        Assert.Throws<InvariantViolatedException>(() => line.Remove(request));
        request.Priority = 1;
        line.Remove(request);
        Assert.Equal(0, line.Length);
        Assert.Throws<InvariantViolatedException>(() => line.TryEnter(new Request(8), out _));
    }

    [Fact]
    public void It_does_what_a_sorted_list_would_do() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var capacity = chance.Next(12);
        var line = new WaitingLine<Request>(capacity);
        List<Request> model = [];
        for (var i = 0; i < 300; i++)
        {
            switch (chance.Next(8))
            {
                case < 5:
                    var request = new Request(chance.Next(8));
                    var least = model.Count == 0 ? null : model.Last(waiting => waiting.Priority == model.Min(other => other.Priority));
                    var displaces = model.Count >= capacity && least is not null && request.Priority > least.Priority;
                    Assert.Equal(model.Count < capacity || displaces, line.TryEnter(request, out var displaced));
                    Assert.Same(displaces ? least : null, displaced);
                    if (displaced is not null)
                    {
                        model.Remove(displaced);
                    }

                    if (request.IsWaiting)
                    {
                        model.Add(request);
                    }

                    break;
                case < 7:
                    var next = model.MaxBy(waiting => waiting.Priority);
                    Assert.Same(next, line.TryLeave());
                    model.Remove(next!);
                    break;
                default:
                    if (model.Count > 0)
                    {
                        var left = model[chance.Next(model.Count)];
                        line.Remove(left);
                        model.Remove(left);
                    }

                    break;
            }

            Assert.Equal(model.Count, line.Length);
            Assert.InRange(line.Length, 0, capacity);
        }

        Assert.Equal(model.OrderByDescending(waiting => waiting.Priority), Drain(line));
        Assert.All(model, waiting => Assert.True(waiting is { IsWaiting: false, WaitingBefore: null, WaitingBehind: null }));
    }).QuickCheckThrowOnFailure();

    private static List<Request> Drain(WaitingLine<Request> line)
    {
        List<Request> left = [];
        while (line.TryLeave() is { } next)
        {
            left.Add(next);
        }

        return left;
    }

    private sealed class Request(int priority) : IWaiting<Request>
    {
        public int Priority { get; set; } = priority;

        public bool IsWaiting { get; set; }

        public Request? WaitingBefore { get; set; }

        public Request? WaitingBehind { get; set; }
    }
}
