using System.Security.Cryptography;
using FastLB.Configuration;

namespace FastLB;

/// <summary>
/// Reads the configuration anew and has it served, whoever asks: a signal, the admin API, or the file itself when it has changed. What is wrong with it is told in the
/// log and to who asked, and changes nothing. Any thread; one at a time.
/// </summary>
internal sealed partial class Reloader : IDisposable
{
    private const int WatchMs = 1_000;

    private readonly Server _server;
    private readonly string? _path;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watching;

    /// <summary>What the latest reading warned of, which is not told again while it stays the same.</summary>
    private IReadOnlySet<string> _told;

    /// <summary>Why what the file says was refused when it was read last; null when it was not, when something else is served since, or when that is not to be tried again.</summary>
    private volatile string? _refusal;

    /// <param name="server">Who serves.</param>
    /// <param name="path">The file that was read at the start; null when everything came from the command line.</param>
    /// <param name="watches">Whether the file is looked at once a second.</param>
    /// <param name="log">Warnings and mistakes go there.</param>
    /// <param name="told">The warnings that were told at the start.</param>
    public Reloader(Server server, string? path, bool watches, ILogger log, IReadOnlyList<Mistake>? told = null)
    {
        _told = TextsOf(told ?? []);
        _server = server;
        _path = path;
        _log = log;
        _watching = watches && path is not null ? Task.Run(WatchAsync) : Task.CompletedTask;
    }

    /// <summary>Reads the file again.</summary>
    public Task<ReloadResult> ReloadFileAsync(bool forgetsChanges)
    {
        if (_path is null)
        {
            const string nothing = "FastLB was started without a file, so there is nothing to read again; start it with 'fastlb run -c FILE'";
            LogRefused(nothing);
            return Task.FromResult(new ReloadResult(false, nothing));
        }

        return UseAsync(ConfigurationFile.Load(_path), forgetsChanges, Reading.File);
    }

    /// <summary>Serves this text until the file is read again. Relative paths in it start where the file is.</summary>
    public Task<ReloadResult> ReloadTextAsync(string yaml, bool forgetsChanges)
    {
        var directory = _path is null ? Directory.GetCurrentDirectory() : Path.GetDirectoryName(Path.GetFullPath(_path)) ?? "/";
        return UseAsync(ConfigurationFile.Parse(yaml, "configuration", directory), forgetsChanges, Reading.Text);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _watching.GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private async Task<ReloadResult> UseAsync(ConfigurationResult read, bool forgetsChanges, Reading reading)
    {
        var result = await TryAsync(read, forgetsChanges).ConfigureAwait(false);
        var before = _refusal;
        if (result.IsDone)
        {
            // Whatever is served now, nobody waits for the file that was refused before.
            _refusal = null;
        }
        else if (reading != Reading.Text)
        {
            _refusal = result.IsCheapToTry && !forgetsChanges ? result.Text : null;
        }

        if (!result.IsDone && !(reading == Reading.SameFile && result.Text == before))
        {
            foreach (var problem in result.Text.Split('\n'))
            {
                LogRefused(problem);
            }
        }

        var told = Interlocked.Exchange(ref _told, TextsOf(read.Warnings));
        foreach (var warning in read.Warnings.Where(w => !told.Contains(w.Text)))
        {
            LogWarning(warning.ToString());
        }

        return result;
    }

    private async Task<ReloadResult> TryAsync(ConfigurationResult read, bool forgetsChanges)
    {
        if (read.Settings is not { } settings || read.Errors.Count > 0)
        {
            return new ReloadResult(false, string.Join('\n', read.Errors));
        }

        try
        {
            return await _server.ReloadAsync(settings, forgetsChanges).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is not OutOfMemoryException)
        {
            // Nobody waits for the one who asked by a signal, and the next one shall be heard as well.
            LogFailed(failure.ToString());
            return new ReloadResult(false, $"this must not happen, please report it: {failure.Message}");
        }
    }

    /// <summary>Without their places, which move with every line that is written above them.</summary>
    private static HashSet<string> TextsOf(IReadOnlyList<Mistake> warnings) => [.. warnings.Select(w => w.Text)];

    /// <summary>Looks at the file until FastLB stops; <see cref="WatchedFile"/> judges what is seen.</summary>
    private async Task WatchAsync()
    {
        var file = new WatchedFile(Digest());
        try
        {
            while (true)
            {
                await Task.Delay(WatchMs, _stop.Token).ConfigureAwait(false);
                switch (file.Look(Digest(), wasRefused: _refusal is not null))
                {
                    case FileNews.Gone:
                        LogGone(_path!);
                        break;
                    case FileNews.Back:
                        LogBack(_path!);
                        break;
                    case FileNews.Changed:
                        LogChanged(_path!);
                        await ReloadFileAsync(forgetsChanges: false).ConfigureAwait(false);
                        break;
                    case FileNews.TryAgain:
                        await UseAsync(ConfigurationFile.Load(_path!), forgetsChanges: false, Reading.SameFile).ConfigureAwait(false);
                        break;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // FastLB stops.
        }
    }

    /// <summary>Null while the file cannot be read.</summary>
    private string? Digest()
    {
        try
        {
            var bytes = ConfigurationFile.ReadBounded(_path!);
            return Convert.ToHexString(SHA256.HashData(bytes));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private enum Reading
    {
        File,

        /// <summary>What was refused before is tried again, so why it is refused is told only when that is news.</summary>
        SameFile,

        /// <summary>Not from the file.</summary>
        Text,
    }

    [LoggerMessage(LogLevel.Error, "a reload failed in the middle, please report this: {failure}")]
    private partial void LogFailed(string failure);

    [LoggerMessage(LogLevel.Warning, "{path} cannot be read any more; what was read before is served on")]
    private partial void LogGone(string path);

    [LoggerMessage(LogLevel.Information, "{path} can be read again")]
    private partial void LogBack(string path);

    [LoggerMessage(LogLevel.Information, "{path} has changed")]
    private partial void LogChanged(string path);

    [LoggerMessage(LogLevel.Warning, "{warning}")]
    private partial void LogWarning(string warning);

    [LoggerMessage(LogLevel.Error, "not reloaded, and nothing has changed: {problem}")]
    private partial void LogRefused(string problem);
}
