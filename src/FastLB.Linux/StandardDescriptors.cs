namespace FastLB.Linux;

/// <summary>
/// Descriptors 0, 1 and 2, which a parent may have closed (<c>2&gt;&amp;-</c>). The next pipe or socket would take their numbers, and
/// what is printed would go into it.
/// </summary>
public static unsafe class StandardDescriptors
{
    private const int Last = 2;

    /// <summary>
    /// Opens /dev/null for each of the three that is not open. To be called before anything else opens a file. Where /dev/null cannot
    /// be opened nothing is changed. A runtime that took such a number before the program began (CoreCLR does, the native program has
    /// no such runtime) keeps it.
    /// </summary>
    public static void EnsureOpen()
    {
        using var devNull = new CStrings(["/dev/null"]);
        int opened;
        do
        {
            // The lowest number that is free (open(2)), so the first above the standard ones says that those are all taken.
            opened = Libc.OpenInheritable(devNull.First);
        }
        while (opened is >= 0 and <= Last);

        if (opened > Last)
        {
            _ = Libc.Close(opened);
        }
    }
}
