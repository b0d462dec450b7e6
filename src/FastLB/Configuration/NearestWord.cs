namespace FastLB.Configuration;

/// <summary>Finds the word that a person probably meant.</summary>
internal static class NearestWord
{
    /// <summary>
    /// The candidate with the smallest edit distance (Damerau 1964, optimal string alignment), when that is small for the
    /// length of the word; null otherwise. Case, dashes and underscores do not count, so <c>keep-alive</c> finds <c>keepAlive</c>.
    /// </summary>
    public static string? Of(string word, IEnumerable<string> candidates)
    {
        if (word.Length is 0 or > 64)
        {
            return null;
        }

        var plain = Plain(word);
        string? nearest = null;
        var smallest = Math.Clamp(plain.Length / 3, 1, 3) + 1;
        foreach (var candidate in candidates)
        {
            var distance = Distance(plain, Plain(candidate));
            if (distance < smallest)
            {
                (nearest, smallest) = (candidate, distance);
            }
        }

        return nearest;
    }

    /// <summary>Insertions, deletions, substitutions and swaps of neighbours from one word to the other.</summary>
    public static int Distance(string from, string to)
    {
        var rows = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++)
        {
            rows[i, 0] = i;
        }

        for (var j = 0; j <= to.Length; j++)
        {
            rows[0, j] = j;
        }

        for (var i = 1; i <= from.Length; i++)
        {
            for (var j = 1; j <= to.Length; j++)
            {
                var substitution = rows[i - 1, j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1);
                rows[i, j] = Math.Min(substitution, Math.Min(rows[i - 1, j], rows[i, j - 1]) + 1);
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                {
                    rows[i, j] = Math.Min(rows[i, j], rows[i - 2, j - 2] + 1);
                }
            }
        }

        return rows[from.Length, to.Length];
    }

    private static string Plain(string word) => string.Concat(word.Where(c => c is not ('-' or '_'))).ToLowerInvariant();
}
