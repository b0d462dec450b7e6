namespace FastLB.Core.Routing;

/// <summary>
/// The rules of one host by their paths, as a radix tree (Morrison's PATRICIA, JACM 1968, over bytes). Each node knows the rules that a path
/// which comes that far may be for, in order and up to the first that asks for nothing else, so one walk down finds all of
/// them. Immutable once built.
/// </summary>
internal sealed class PathTrie
{
    private readonly Node _root = new([]);

    /// <param name="rules">By number, in order: the path, whether it is the whole of it, and whether the rule asks for more than host and path.</param>
    public PathTrie(IEnumerable<(int Number, byte[] Path, bool IsExact, bool HasMore)> rules)
    {
        foreach (var rule in rules)
        {
            var node = NodeOf(rule.Path);
            (rule.IsExact ? node.OwnExact : node.Own).Add((rule.Number, rule.HasMore));
        }

        _root.Finish([]);
    }

    /// <summary>The numbers of the rules that the path may be for, ascending. The last of them may be for everything.</summary>
    public ReadOnlySpan<int> Find(ReadOnlySpan<byte> path)
    {
        for (var node = _root; ;)
        {
            if (path.IsEmpty)
            {
                return node.Exact;
            }

            var child = node.FirstBytes.AsSpan().IndexOf(path[0]);
            if (child < 0 || !path.StartsWith(node.Children[child].Label))
            {
                return node.Below;
            }

            node = node.Children[child];
            path = path[node.Label.Length..];
        }
    }

    private Node NodeOf(ReadOnlySpan<byte> path)
    {
        var node = _root;
        while (!path.IsEmpty)
        {
            var index = Array.IndexOf(node.FirstBytes, path[0]);
            if (index < 0)
            {
                return node.Grow(path.ToArray());
            }

            var child = node.Children[index];
            var common = path.CommonPrefixLength(child.Label);
            if (common < child.Label.Length)
            {
                child = node.Split(index, common);
            }

            node = child;
            path = path[common..];
        }

        return node;
    }

    private sealed class Node(byte[] label)
    {
        public byte[] Label { get; private set; } = label;

        /// <summary>The first byte of each child's label.</summary>
        public byte[] FirstBytes { get; private set; } = [];

        public Node[] Children { get; private set; } = [];

        /// <summary>Rules for a path that goes on from here.</summary>
        public int[] Below { get; private set; } = [];

        /// <summary>Rules for a path that ends here.</summary>
        public int[] Exact { get; private set; } = [];

        public List<(int Number, bool HasMore)> Own { get; } = [];

        public List<(int Number, bool HasMore)> OwnExact { get; } = [];

        public Node Grow(byte[] label)
        {
            var child = new Node(label);
            FirstBytes = [.. FirstBytes, label[0]];
            Children = [.. Children, child];
            return child;
        }

        /// <summary>Puts a node in the middle of a child's label, and answers it.</summary>
        public Node Split(int index, int length)
        {
            var child = Children[index];
            var middle = new Node(child.Label[..length]) { FirstBytes = [child.Label[length]], Children = [child] };
            child.Label = child.Label[length..];
            Children[index] = middle;
            return middle;
        }

        public void Finish(List<(int Number, bool HasMore)> above)
        {
            var below = UpToTheFirstThatTakesAll([.. above, .. Own]);
            Below = [.. below.Select(r => r.Number)];
            Exact = [.. UpToTheFirstThatTakesAll([.. below, .. OwnExact]).Select(r => r.Number)];
            foreach (var child in Children)
            {
                child.Finish(below);
            }
        }

        private static List<(int Number, bool HasMore)> UpToTheFirstThatTakesAll(List<(int Number, bool HasMore)> rules)
        {
            rules.Sort();
            var takesAll = rules.FindIndex(r => !r.HasMore);
            return takesAll < 0 ? rules : rules[..(takesAll + 1)];
        }
    }
}
