namespace FastLB.Core.Loop;

/// <summary>Work that another thread hands to a loop. It runs once, on the loop's thread, between two peers.</summary>
public abstract class PostedWork
{
    internal PostedWork? NextPosted;

    public abstract void Run(EventLoop loop);
}

/// <summary>
/// The way into a loop from other threads: any number of producers, one consumer, no lock. Producers push onto a stack with
/// one compare-and-swap (Treiber, 1986); the loop takes the whole stack at once and reverses it, so that work runs in the
/// order in which it was pushed. Because the consumer only ever takes everything, the ABA problem cannot arise.
/// </summary>
public sealed class PostQueue
{
    private PostedWork? _head;

    /// <summary>Adds work. True when the queue was empty before, that is, when the loop has to be woken.</summary>
    public bool Push(PostedWork work)
    {
        var head = Volatile.Read(ref _head);
        while (true)
        {
            work.NextPosted = head;
            var seen = Interlocked.CompareExchange(ref _head, work, head);
            if (ReferenceEquals(seen, head))
            {
                return head is null;
            }

            head = seen;
        }
    }

    public bool IsEmpty => Volatile.Read(ref _head) is null;

    /// <summary>Runs everything that was pushed before the call, oldest first. Only the loop's thread calls this.</summary>
    public void RunAll(EventLoop loop)
    {
        if (IsEmpty)
        {
            return;
        }

        var newestFirst = Interlocked.Exchange(ref _head, null);
        PostedWork? oldestFirst = null;
        while (newestFirst is not null)
        {
            var next = newestFirst.NextPosted;
            newestFirst.NextPosted = oldestFirst;
            oldestFirst = newestFirst;
            newestFirst = next;
        }

        while (oldestFirst is not null)
        {
            var next = oldestFirst.NextPosted;
            oldestFirst.NextPosted = null;
            oldestFirst.Run(loop);
            oldestFirst = next;
        }
    }
}
