namespace FastLB.Commands;

/// <summary>
/// What the signals to stop mean so far: the first asks to finish, a later one to stop at once. Those that come with the first do not
/// count, because timeout(1), shells and terminals signal a group and one of its processes in the same moment. Any thread.
/// </summary>
internal sealed class StopWish(TimeProvider time)
{
    /// <summary>Nobody asks again so soon after the first.</summary>
    public const int SameWishMs = 500;

    private readonly Lock _lock = new();
    private long? _first;
    private bool _atOnce;

    public enum Meaning
    {
        Finish,
        StopAtOnce,

        /// <summary>It says nothing new.</summary>
        Nothing,
    }

    /// <summary>A signal to stop has come.</summary>
    public Meaning Signalled()
    {
        lock (_lock)
        {
            if (_first is not { } first)
            {
                _first = time.GetTimestamp();
                return Meaning.Finish;
            }

            if (_atOnce || time.GetElapsedTime(first).TotalMilliseconds < SameWishMs)
            {
                return Meaning.Nothing;
            }

            _atOnce = true;
            return Meaning.StopAtOnce;
        }
    }
}
