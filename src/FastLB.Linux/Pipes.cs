using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// A loop's pipes, for bytes that move from socket to socket. A pipe is lent only while bytes are in it, so idle connections hold none and
/// slow targets hold at most <see cref="Limit"/> of them. Only empty pipes come back; one with bytes in it is closed, because
/// nothing may ever read what another connection left. One loop owns it; nothing here is safe from other threads.
/// </summary>
internal sealed class Pipes : IDisposable
{
    /// <summary>Bytes that a pipe takes if the kernel agrees; see perf-results for what other sizes cost.</summary>
    internal const int WantedCapacity = 512 * 1024;

    /// <summary>
    /// Less than this and moving is no gain. Past /proc/sys/fs/pipe-user-pages-soft the kernel gives an unprivileged user's new pipes
    /// two pages (pipe(7)).
    /// </summary>
    internal const int SmallestCapacity = 64 * 1024;

    /// <summary>How long no pipe is opened after the kernel had none, or only one that was too small.</summary>
    private const int PauseMs = 1_000;

    private Pipe? _free;
    private int _open;
    private long _pausedUntilMs;

    /// <param name="limit">Pipes that may be open at the same time, from 0 on.</param>
    internal Pipes(int limit) => Limit = limit;

    internal int Limit { get; }

    /// <summary>Pipes that are lent now.</summary>
    internal int Lent { get; private set; }

    /// <summary>Whether <see cref="TryTake"/> has a pipe, or may open one.</summary>
    internal bool CanLend(long nowMs) => _free is not null || (_open < Limit && nowMs >= _pausedUntilMs);

    /// <summary>An empty pipe, or null when there is none: then the caller copies.</summary>
    internal Pipe? TryTake(long nowMs)
    {
        if (_free is { } pipe)
        {
            _free = pipe.NextFree;
            pipe.NextFree = null;
            Lent++;
            return pipe;
        }

        if (!CanLend(nowMs))
        {
            return null;
        }

        pipe = Pipe.TryOpen();
        if (pipe is null)
        {
            _pausedUntilMs = nowMs + PauseMs;
            return null;
        }

        _open++;
        Lent++;
        return pipe;
    }

    /// <summary>Takes a pipe back. When it is not <paramref name="isEmpty"/> it is closed, with what is in it.</summary>
    internal void Return(Pipe pipe, bool isEmpty)
    {
        Lent--;
        if (!isEmpty)
        {
            pipe.Close();
            _open--;
            return;
        }

        pipe.NextFree = _free;
        _free = pipe;
    }

    public void Dispose()
    {
        for (; _free is { } pipe; _free = pipe.NextFree)
        {
            pipe.Close();
            _open--;
        }
    }
}

/// <summary>Two descriptors of one pipe.</summary>
internal sealed class Pipe
{
    private Pipe(int readEnd, int writeEnd, int capacity)
    {
        ReadEnd = readEnd;
        WriteEnd = writeEnd;
        Capacity = capacity;
    }

    internal int ReadEnd { get; }

    internal int WriteEnd { get; }

    /// <summary>Bytes that it takes when its pages are full; less when they are not.</summary>
    internal int Capacity { get; }

    internal Pipe? NextFree { get; set; }

    /// <summary>Null when there are no descriptors, or when the kernel gives only a small one.</summary>
    internal static Pipe? TryOpen()
    {
        if (Libc.NonBlockingPipe(out var readEnd, out var writeEnd) < 0)
        {
            return null;
        }

        var pipe = new Pipe(readEnd, writeEnd, Libc.ResizePipe(writeEnd, Pipes.WantedCapacity));
        if (pipe.Capacity >= Pipes.SmallestCapacity)
        {
            return pipe;
        }

        pipe.Close();
        return null;
    }

    internal void Close()
    {
        Libc.Close(ReadEnd);
        Libc.Close(WriteEnd);
    }
}
