namespace FastLB.Linux;

/// <summary>FastLB's own working directory, which a deploy may remove while FastLB runs (getcwd(2): ENOENT).</summary>
public static class OwnDirectory
{
    /// <summary>A clause about what to do when <see cref="Exists"/> is false.</summary>
    public const string Vanished =
        "FastLB's working directory has been removed; name a 'directory' for the pool, or start FastLB again in a directory that exists";

    /// <summary>Whether it still has a name.</summary>
    public static bool Exists
    {
        get
        {
            try
            {
                return Directory.GetCurrentDirectory().Length > 0;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return false;
            }
        }
    }
}
