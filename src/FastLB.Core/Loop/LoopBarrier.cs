namespace FastLB.Core.Loop;

/// <summary>
/// Tells when every loop has passed the point between two peers since the call. After a snapshot was swapped, that is when no
/// loop can still be acting on the old one, so what it counted (requests in flight on a removed worker) is complete.
/// </summary>
public static class LoopBarrier
{
    /// <summary>Calls <paramref name="passed"/> once, on the thread of the last loop to get there, which it must not block.</summary>
    public static void Pass(IReadOnlyList<EventLoop> loops, Action passed)
    {
        var state = new State(loops.Count, passed);
        foreach (var loop in loops)
        {
            loop.Post(new Mark(state));
        }
    }

    private sealed class State(int outstanding, Action passed)
    {
        private int _outstanding = outstanding;

        public void Arrive()
        {
            if (Interlocked.Decrement(ref _outstanding) == 0)
            {
                passed();
            }
        }
    }

    private sealed class Mark(State state) : PostedWork
    {
        public override void Run(EventLoop loop) => state.Arrive();
    }
}
