namespace FastLB;

/// <summary>What a look at the configuration file has shown.</summary>
internal enum FileNews
{
    Nothing,

    /// <summary>It cannot be read any more.</summary>
    Gone,

    /// <summary>It can be read again.</summary>
    Back,

    /// <summary>It says something else than what was read last, and has said so twice.</summary>
    Changed,

    /// <summary>It says what was refused some time ago, perhaps for a reason outside of it, like an address in use: that may be over.</summary>
    TryAgain,
}

/// <summary>
/// Judges what is seen of a file that is looked at again and again. Goes by the bytes, because times and inodes say little about a file that a symbolic link
/// points to, as orchestrators swap them. What is written in pieces is news when it was the same twice, and so is a file that is gone: who replaces it may remove
/// it for a moment. Pure.
/// </summary>
/// <param name="digest">Of the bytes that were read at the start; null when they cannot be read any more.</param>
internal sealed class WatchedFile(string? digest)
{
    /// <summary>What was refused is tried again after so many looks.</summary>
    public const int LooksBeforeRetry = 10;

    private string? _read = digest;
    private string? _seen = digest;
    private bool _isGone;
    private int _looksSinceRead;

    /// <param name="digest">Of the bytes of now; null when they cannot be read.</param>
    /// <param name="wasRefused">Whether what was read last is not served because it was refused.</param>
    public FileNews Look(string? digest, bool wasRefused)
    {
        var hasSettled = digest == _seen;
        _seen = digest;
        _looksSinceRead++;
        if (!hasSettled)
        {
            return FileNews.Nothing;
        }

        if ((digest is null) != _isGone)
        {
            _isGone = digest is null;
            return _isGone ? FileNews.Gone : FileNews.Back;
        }

        if (digest is null || (digest == _read && !(wasRefused && _looksSinceRead >= LooksBeforeRetry)))
        {
            return FileNews.Nothing;
        }

        var news = digest == _read ? FileNews.TryAgain : FileNews.Changed;
        _read = digest;
        _looksSinceRead = 0;
        return news;
    }
}
