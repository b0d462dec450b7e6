namespace FastLB.Core.Http;

/// <summary>
/// The reason for a byte that has no place where it stands. Line ends in the wrong shape have refusals of their own wherever
/// in a head they occur, because they are the usual tool of request smuggling (RFC 9112 2.2).
/// </summary>
internal static class StrayByte
{
    /// <summary>
    /// Why the byte at <paramref name="index"/> is refused: a bare LF, a bare CR, or else <paramref name="otherwise"/>. Answers
    /// None when it is a CR whose next byte has not come yet, which cannot be judged.
    /// </summary>
    internal static Refusal Reason(ReadOnlySpan<byte> bytes, int index, Refusal otherwise)
    {
        if (bytes[index] == '\n')
        {
            return Refusal.BareLineFeed;
        }

        if (bytes[index] != '\r')
        {
            return otherwise;
        }

        if (index + 1 == bytes.Length)
        {
            return Refusal.None;
        }

        return bytes[index + 1] == '\n' ? otherwise : Refusal.BareCarriageReturn;
    }

    /// <summary>The same as an answer of a parser: Invalid with the reason, or Partial when it cannot be judged yet.</summary>
    internal static ParseStatus Refuse(ReadOnlySpan<byte> bytes, int index, Refusal otherwise, out Refusal refusal)
    {
        refusal = Reason(bytes, index, otherwise);
        return refusal == Refusal.None ? ParseStatus.Partial : ParseStatus.Invalid;
    }
}
