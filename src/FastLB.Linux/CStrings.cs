using System.Runtime.InteropServices;
using System.Text;
using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>A null-terminated array of C strings in native memory (argv, envp). Its owner frees it.</summary>
internal readonly unsafe ref struct CStrings
{
    private readonly byte** _pointers;

    /// <exception cref="ArgumentException">A string holds a zero byte, which C cannot carry.</exception>
    public CStrings(IReadOnlyList<string> strings)
    {
        var bytes = 0;
        foreach (var text in strings)
        {
            Invariant.That(!text.Contains('\0', StringComparison.Ordinal), "a C string holds no zero byte");
            bytes += Encoding.UTF8.GetByteCount(text) + 1;
        }

        var table = (strings.Count + 1) * sizeof(byte*);
        _pointers = (byte**)NativeMemory.Alloc((nuint)(table + bytes));
        var next = (byte*)_pointers + table;
        for (var i = 0; i < strings.Count; i++)
        {
            _pointers[i] = next;
            var written = Encoding.UTF8.GetBytes(strings[i], new Span<byte>(next, bytes));
            next[written] = 0;
            next += written + 1;
            bytes -= written + 1;
        }

        _pointers[strings.Count] = null;
    }

    public byte** Pointers => _pointers;

    public byte* First => _pointers[0];

    public void Dispose() => NativeMemory.Free(_pointers);
}
