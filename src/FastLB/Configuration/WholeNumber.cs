using System.Globalization;

namespace FastLB.Configuration;

/// <summary>Whole numbers as people write them, and the one word that some keys take instead (<c>max</c>, <c>auto</c>).</summary>
internal static class WholeNumber
{
    /// <summary>Answers a number in the range, or a clause that says what is wrong.</summary>
    public static bool TryParse(
        string text,
        int min,
        int max,
        string? word,
        int wordValue,
        out int number,
        out string problem)
    {
        problem = "";
        number = wordValue;
        if (word is not null && text == word)
        {
            return true;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number >= min && number <= max)
        {
            return true;
        }

        problem = $"expected {(word is null ? "" : $"{word} or ")}a number from {min} to {max}, found '{text}'";
        return false;
    }
}
