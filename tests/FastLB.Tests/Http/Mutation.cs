using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Http;

/// <summary>One small damage to a message. The numbers are folded into the message's size, so every combination means something.</summary>
internal sealed record Mutation(MutationKind Kind, int Where, int What)
{
    /// <summary>What smugglers write, and what a right message is made of.</summary>
    private static readonly byte[][] Fragments =
    [
        .. new[]
        {
            @"\r\n", @"\n", @"\r", @"\r\n\r\n", @"\r\r\n", @"\x20", @"\t", @"\0", @"\x01", @"\x7f", @"\x80", @"\xff", ":", ",", ";", "/", "*", "#", "@", "%",
            "%41", "_", "+", "-", "0", "00", "0x", "a", "F", "1;a=b", @"0\r\n\r\n", @"1\r\nx\r\n", @"X: y\r\n", @"X : y\r\n", @"\x20X: y\r\n",
            @"Host: b\r\n", @"Host:\r\n", "[::1]", ":80", @"Content-Length: 5\r\n", @"Content-Length: 6\r\n", @"content-length:\t05\r\n",
            @"Content_Length: 5\r\n", @"Transfer-Encoding: chunked\r\n", @"Transfer-Encoding: gzip\r\n", "chunked", ", chunked", "gzip,",
            @"Connection: close\r\n", @"Connection: x-a,X-B\r\n", @"Connection: keep-alive, Upgrade\r\n", @"X-A: 1\r\n", "x,x,x,x,x,x,",
            @"Expect: 100-continue\r\n", @"Expect: x\r\n", "CONNECT ", "OPTIONS * ", "POST ", "http://h", "https://u@h/", "HTTP/1.0", "HTTP/1.1", "HTTP/2.0",
            "HTTP/1.1 204 ", "HTTP/1.0 200", " 304", " 600",
        }.Select(VisibleText.Decode),
    ];

    internal static Arbitrary<Case> Cases(IReadOnlyList<Sample> bases) => (
        from sample in Gen.Elements<Sample>([.. bases])
        from count in Gen.Choose(0, 3)
        from mutations in Gen.ListOf(Mutations, count)
        from cut in Gen.Choose(0, int.MaxValue - 1)
        select new Case(sample, [.. mutations], cut)).ToArbitrary();

    private static Gen<Mutation> Mutations =>
        from kind in Gen.Elements(Enum.GetValues<MutationKind>())
        from place in Gen.Choose(0, int.MaxValue - 1)
        from what in Gen.Choose(0, int.MaxValue - 1)
        select new Mutation(kind, place, what);

    internal byte[] Apply(byte[] bytes)
    {
        if (bytes.Length == 0)
        {
            return Fragments[What % Fragments.Length];
        }

        var place = Where % bytes.Length;
        var before = bytes[..place];
        var behind = bytes[place..];
        var lineStart = Array.LastIndexOf(bytes, (byte)'\n', place == 0 ? 0 : place - 1) + 1;
        var lineFeed = Array.IndexOf(bytes, (byte)'\n', place);
        var lineEnd = lineFeed < 0 ? bytes.Length : lineFeed + 1;
        lineStart = Math.Min(lineStart, place);
        return Kind switch
        {
            MutationKind.Insert => [.. before, .. Fragments[What % Fragments.Length], .. behind],
            MutationKind.InsertLine => [.. bytes[..lineStart], .. Fragments[What % Fragments.Length], .. bytes[lineStart..]],
            MutationKind.Replace => [.. before, .. Fragments[What % Fragments.Length], .. behind[1..]],
            MutationKind.ReplaceByte => [.. before, (byte)What, .. behind[1..]],
            MutationKind.Delete => [.. before, .. behind[Math.Min(behind.Length, 1 + (What % 3))..]],
            MutationKind.ChangeCase => [.. before, (byte)(behind[0] ^ 0x20), .. behind[1..]],
            MutationKind.DuplicateLine => [.. bytes[..lineEnd], .. bytes[lineStart..]],
            MutationKind.DeleteLine => [.. bytes[..lineStart], .. bytes[lineEnd..]],
            _ => before,
        };
    }

    /// <summary>A sample, what is done to it, and where the result is cut in two.</summary>
    internal sealed record Case(Sample Sample, Mutation[] Mutations, int Cut)
    {
        internal byte[] Bytes => Mutations.Aggregate(Sample.Bytes, (bytes, mutation) => mutation.Apply(bytes));

        public override string ToString() => $"{Sample.Kind}, cut {Cut % (Bytes.Length + 1)}: {VisibleText.Encode(Bytes)}";
    }
}

internal enum MutationKind
{
    Insert,
    InsertLine,
    Replace,
    ReplaceByte,
    Delete,
    ChangeCase,
    DuplicateLine,
    DeleteLine,
    Truncate,
}
