namespace FastLB.Core.Loop;

/// <summary>How an <see cref="EventLoop.Move"/> ended.</summary>
public enum MoveEnd : byte
{
    /// <summary>As many bytes as the limit says are with the target's kernel.</summary>
    Complete,

    /// <summary>The source ended its stream, and all that it had sent is with the target's kernel.</summary>
    SourceEnded,

    /// <summary>The source broke. What was on its way inside the move is lost.</summary>
    SourceFailed,

    /// <summary>The target broke. What was on its way inside the move is lost.</summary>
    TargetFailed,

    /// <summary>
    /// The loop would rather copy from here on: the source brings little at a time, or there is no pipe left. Everything that was read is
    /// with the target's kernel, so the caller simply goes on with <see cref="EventLoop.Receive"/>.
    /// </summary>
    Yielded,
}

/// <summary>The end of a move, told to its source.</summary>
/// <param name="End">What ended it.</param>
/// <param name="Bytes">How many bytes the target's kernel took in all, from 0 to the limit.</param>
/// <param name="Error">0, or -errno where a side failed.</param>
public readonly record struct MoveResult(MoveEnd End, long Bytes, int Error);
