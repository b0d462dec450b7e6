using System.Globalization;

namespace FastLB.Configuration;

/// <summary>Numbers with a decimal point, and shares of a hundred, as people write them: <c>1.25</c>, <c>50%</c>.</summary>
internal static class DecimalNumber
{
    /// <summary>Answers a number in the range, or a clause that says what is wrong.</summary>
    public static bool TryParse(string text, double min, double max, out double number, out string problem)
    {
        var range = string.Create(CultureInfo.InvariantCulture, $"a number from {min} to {max}");
        problem = "";
        if (!double.TryParse(text, NumberStyles.AllowDecimalPoint | NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number) || !double.IsFinite(number))
        {
            problem = $"'{text}' is not a number; write {range}";
            return false;
        }

        if (number < min || number > max)
        {
            problem = $"{text} is out of range; write {range}";
            return false;
        }

        return true;
    }

    /// <summary>Answers a share from <paramref name="min"/> to 1 of a text like <c>50%</c>, or a clause that says what is wrong.</summary>
    public static bool TryParseShare(string text, double min, out double share, out string problem)
    {
        share = 0;
        var range = string.Create(CultureInfo.InvariantCulture, $"a share from {min * 100}% to 100%");
        if (!text.EndsWith('%'))
        {
            problem = $"'{text}' is not a share; write {range}";
            return false;
        }

        if (!TryParse(text[..^1], min * 100, 100, out var percent, out problem))
        {
            problem = $"'{text}' is not possible; write {range}";
            return false;
        }

        share = percent / 100;
        return true;
    }
}
