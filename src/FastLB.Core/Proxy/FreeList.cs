namespace FastLB.Core.Proxy;

/// <summary>
/// Objects that have served and serve again, last in first out so that the hot ones stay in the cache. It keeps a bounded number; a
/// burst's surplus is left to the garbage collector. One loop owns it.
/// </summary>
internal sealed class FreeList<T>(int limit)
    where T : class
{
    // Room for a quiet loop's objects is there from the start, so that the first of them to come back allocates nothing.
    private T?[] _items = new T?[Math.Min(limit, 64)];
    private int _count;

    public T? TryTake()
    {
        if (_count == 0)
        {
            return null;
        }

        var item = _items[--_count];
        _items[_count] = null;
        return item;
    }

    public void Keep(T item)
    {
        if (_count == limit)
        {
            return;
        }

        if (_count == _items.Length)
        {
            Array.Resize(ref _items, Math.Min(limit, _count * 2));
        }

        _items[_count++] = item;
    }
}
