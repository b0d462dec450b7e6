using System.Runtime.InteropServices;
using FastLB.Linux;

namespace FastLB.Commands;

/// <summary>
/// What the process is told by signals while it serves. SIGTERM and SIGINT ask to stop, one that comes
/// at least half a second later to stop at once; SIGUSR2 asks
/// for a rolling restart, SIGHUP for another look at the configuration, SIGUSR1 to open the access log anew. Handlers run on a thread of the runtime, one at a time per signal.
/// </summary>
internal sealed class Signals : IDisposable
{
    /// <summary>SIGUSR2 on Linux (signal(7), x86 and ARM); the runtime names only some signals and takes raw numbers for others.</summary>
    private const PosixSignal SigUsr2 = (PosixSignal)12;

    /// <summary>SIGUSR1, likewise.</summary>
    private const PosixSignal SigUsr1 = (PosixSignal)10;

    private readonly TaskCompletionSource _stopWanted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stopAtOnce = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly ILogger _log;
    private volatile Action? _restartWanted;
    private volatile Action? _reopenWanted;
    private volatile Action? _reloadWanted;
    private readonly StopWish _stopWish;

    public Signals(ILogger log, TimeProvider time)
    {
        _stopWish = new StopWish(time);
        _log = log;
        HangUpSignal.Heed();
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnStop),
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnStop),
            PosixSignalRegistration.Create(PosixSignal.SIGHUP, OnHangUp),
            PosixSignalRegistration.Create(SigUsr2, OnRestart),
            PosixSignalRegistration.Create(SigUsr1, OnReopen),
        ];
    }

    /// <summary>Completes at the first wish to stop.</summary>
    public Task StopWanted => _stopWanted.Task;

    /// <summary>Cancelled at the second that counts.</summary>
    public CancellationToken StopAtOnce => _stopAtOnce.Token;

    /// <summary>Called on SIGHUP, once the server runs.</summary>
    public Action? ReloadWanted { get => _reloadWanted; set => _reloadWanted = value; }

    /// <summary>Called on SIGUSR2, once the server runs.</summary>
    public Action? RestartWanted { get => _restartWanted; set => _restartWanted = value; }

    /// <summary>Called on SIGUSR1, once the server runs.</summary>
    public Action? ReopenWanted { get => _reopenWanted; set => _reopenWanted = value; }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _stopAtOnce.Dispose();
    }

    private void OnStop(PosixSignalContext context)
    {
        context.Cancel = true;
        switch (_stopWish.Signalled())
        {
            case StopWish.Meaning.Finish:
                _log.LogInformation(
                    "{Signal}: what runs is finished, then FastLB stops; once more stops at once",
                    NameOf(context));
                _stopWanted.TrySetResult();
                break;
            case StopWish.Meaning.StopAtOnce:
                _log.LogWarning("{Signal} again: stopping at once", NameOf(context));
                _stopAtOnce.Cancel();
                break;
        }
    }

    private void OnHangUp(PosixSignalContext context)
    {
        context.Cancel = true;
        if (ReloadWanted is { } reload && !_stopWanted.Task.IsCompleted)
        {
            _log.LogInformation("SIGHUP: the configuration is read again");
            reload();
        }
    }

    private void OnRestart(PosixSignalContext context)
    {
        context.Cancel = true;
        if (RestartWanted is { } restart && !_stopWanted.Task.IsCompleted)
        {
            _log.LogInformation("SIGUSR2: the workers are restarted one after the other");
            restart();
        }
    }

    private void OnReopen(PosixSignalContext context)
    {
        context.Cancel = true;
        ReopenWanted?.Invoke();
    }

    private static string NameOf(PosixSignalContext context) => context.Signal == PosixSignal.SIGINT ? "SIGINT" : "SIGTERM";
}
