namespace FastLB.Core.Http;

/// <summary>
/// What a route changes in the head at hand, made ready before the head is written: lines to leave out, lines to add, another target,
/// another host. One per loop, filled anew for each head; a route that changes nothing has none.
/// </summary>
internal sealed class HeadEdits
{
    private readonly byte[] _memory = new byte[MessageHead.MaxBytes];
    private int _linesEnd;
    private int _targetEnd;
    private HeaderChanges? _changes;
    private byte[] _host = [];

    /// <summary>Header lines with their CRLF.</summary>
    public ReadOnlySpan<byte> Lines => _memory.AsSpan(0, _linesEnd);

    /// <summary>The target that replaces the request's; empty: that stays.</summary>
    public ReadOnlySpan<byte> Target => _memory.AsSpan(_linesEnd, _targetEnd - _linesEnd);

    /// <summary>What stands in Host; empty: that stays.</summary>
    public ReadOnlySpan<byte> Host => _host;

    /// <summary>By how many bytes a head grows at most.</summary>
    public int MaxGrowth => _targetEnd + _host.Length;

    public bool RemovesAny => _changes is { RemovesAny: true };

    public bool Removes(ReadOnlySpan<byte> name) => _changes!.Removes(name);

    /// <summary>Takes the changes of one head. False when what is added is longer than any head may be.</summary>
    public bool TryMake(HeaderChanges? changes, in TemplateValues values, PathRewrite? rewrite = null)
    {
        _changes = changes;
        _host = rewrite?.Host ?? [];
        var writer = new HeadWriter(_memory);
        changes?.WriteLines(ref writer, values);
        _linesEnd = writer.Length;
        if (rewrite is { ChangesPath: true })
        {
            rewrite.Write(values.Path, ref writer);
            writer.Write(values.Query);
        }

        _targetEnd = writer.Length;
        return !writer.Overflowed;
    }
}
