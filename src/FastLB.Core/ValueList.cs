using System.Collections;

namespace FastLB.Core;

/// <summary>
/// A list that never changes and equals another of the same elements in the same order, so that records which hold one are compared by what they say. A
/// reload asks of every setting whether it is still the same.
/// </summary>
public sealed class ValueList<T>(IEnumerable<T> elements) : IReadOnlyList<T>, IEquatable<ValueList<T>>
{
    private readonly T[] _elements = [.. elements];

    public int Count => _elements.Length;

    public T this[int index] => _elements[index];

    public bool Equals(ValueList<T>? other) => other is not null && _elements.AsSpan().SequenceEqual(other._elements, EqualityComparer<T>.Default);

    public override bool Equals(object? obj) => Equals(obj as ValueList<T>);

    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var element in _elements)
        {
            hash.Add(element);
        }

        return hash.ToHashCode();
    }

    public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)_elements).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>Makes value lists.</summary>
public static class ValueList
{
    /// <summary>The same elements as a value; itself when it is one already.</summary>
    public static ValueList<T> Of<T>(IEnumerable<T> elements) => elements as ValueList<T> ?? new ValueList<T>(elements);
}
