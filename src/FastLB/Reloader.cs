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

    /// <param name="server">Who serves.</param>
    /// <param name="path">The file that was read at the start; null when everything came from the command line.</param>
    /// <param name="watches">Whether the file is looked at once a second.</param>
    /// <param name="log">Warnings and mistakes go there.</param>
    public Reloader(Server server, string? path, bool watches, ILogger log)
    {
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

        return UseAsync(ConfigurationFile.Load(_path), forgetsChanges);
    }

    /// <summary>Serves this text until the file is read again. Relative paths in it start where the file is.</summary>
    public Task<ReloadResult> ReloadTextAsync(string yaml, bool forgetsChanges)
    {
        var directory = _path is null ? Directory.GetCurrentDirectory() : Path.GetDirectoryName(Path.GetFullPath(_path)) ?? "/";
        return UseAsync(ConfigurationFile.Parse(yaml, "configuration", directory), forgetsChanges);
    }

    public void Dispose()
    {
        _stop.Cancel();
        _watching.GetAwaiter().GetResult();
        _stop.Dispose();
    }

    private async Task<ReloadResult> UseAsync(ConfigurationResult read, bool forgetsChanges)
    {
        foreach (var warning in read.Warnings)
        {
            LogWarning(warning.ToString());
        }

        if (read.Settings is { } settings && read.Errors.Count == 0)
        {
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

        foreach (var mistake in read.Errors)
        {
            LogRefused(mistake.ToString());
        }

        return new ReloadResult(false, string.Join('\n', read.Errors));
    }

    /// <summary>
    /// Looks at the bytes themselves, because times and inodes say little about a file that a symbolic link points to, as orchestrators swap them. What is written in
    /// pieces is read when it was the same twice.
    /// </summary>
    private async Task WatchAsync()
    {
        var served = Digest();
        var seen = served;
        try
        {
            while (true)
            {
                await Task.Delay(WatchMs, _stop.Token).ConfigureAwait(false);
                var now = Digest();
                var hasSettled = now is not null && now == seen;
                seen = now;
                if (hasSettled && now != served)
                {
                    served = now;
                    LogChanged(_path!);
                    await ReloadFileAsync(forgetsChanges: false).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // FastLB stops.
        }
    }

    /// <summary>Null while the file cannot be read, which is no reason to do anything.</summary>
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

    [LoggerMessage(LogLevel.Error, "a reload failed in the middle, please report this: {failure}")]
    private partial void LogFailed(string failure);

    [LoggerMessage(LogLevel.Information, "{path} has changed")]
    private partial void LogChanged(string path);

    [LoggerMessage(LogLevel.Warning, "{warning}")]
    private partial void LogWarning(string warning);

    [LoggerMessage(LogLevel.Error, "not reloaded, and nothing has changed: {problem}")]
    private partial void LogRefused(string problem);
}
