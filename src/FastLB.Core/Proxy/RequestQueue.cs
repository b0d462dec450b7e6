using FastLB.Core.Loop;

namespace FastLB.Core.Proxy;

/// <summary>
/// Requests of one loop that wait until their pool has a worker: first in, first out, bounded, linked through the connections
/// themselves so that one whose client left is taken out at once. One loop owns it.
/// </summary>
public sealed class RequestQueue : OwnCacheLines
{
    private const int MaxLength = 1024;

    private ClientConnection? _first;
    private ClientConnection? _last;

    public int Length { get; private set; }

    /// <summary>False when the queue is full.</summary>
    internal bool TryEnqueue(ClientConnection connection)
    {
        if (Length >= MaxLength)
        {
            return false;
        }

        Invariant.That(!connection.IsQueued, "a connection waits in one queue");
        connection.IsQueued = true;
        connection.QueuePrevious = _last;
        connection.QueueNext = null;
        if (_last is { } last)
        {
            last.QueueNext = connection;
        }
        else
        {
            _first = connection;
        }

        _last = connection;
        Length++;
        return true;
    }

    internal ClientConnection? TryDequeue()
    {
        var first = _first;
        if (first is not null)
        {
            Remove(first);
        }

        return first;
    }

    /// <summary>Takes a connection out whose client left or whose time is over.</summary>
    internal void Remove(ClientConnection connection)
    {
        Invariant.That(connection.IsQueued, "only a waiting connection is taken out");
        if (connection.QueuePrevious is { } previous)
        {
            previous.QueueNext = connection.QueueNext;
        }
        else
        {
            _first = connection.QueueNext;
        }

        if (connection.QueueNext is { } next)
        {
            next.QueuePrevious = connection.QueuePrevious;
        }
        else
        {
            _last = connection.QueuePrevious;
        }

        connection.IsQueued = false;
        connection.QueueNext = null;
        connection.QueuePrevious = null;
        Length--;
    }
}
