using System.Security.Cryptography;
using FastLB.Linux;
using Microsoft.Extensions.Logging;

namespace FastLB.Fleet;

/// <summary>
/// Sees to it that workers do not outlive FastLB, even when FastLB is killed with SIGKILL: a small shell in a session of its own, which
/// waits for the end of a pipe that only FastLB holds. The kernel closes the pipe whatever FastLB dies of. The shell then kills
/// every process that has this run's mark in its environment, so that also grandchildren die that left their process group, and
/// removes the directory of the unix sockets. A guardian that dies itself is replaced.
/// <para>
/// What escapes it: a process that was started without the mark (<c>env -i</c>) or wrote over its environment, and everything when
/// somebody kills the guardian and FastLB at once. Only the fleet's thread touches it.
/// </para>
/// </summary>
internal sealed class Guardian(ProcessPoller poller, string mark, string? socketDirectory, ILogger log)
{
    private const string Shell = "/bin/sh";
    private const string Subject = "the guardian";
    private const int FirstRetryMs = 1_000;
    private const int LongestRetryMs = 60_000;

    /// <summary>
    /// Only what POSIX promises, because /bin/sh is dash or busybox on many machines. $1 is the mark, $2 the directory or nothing. The
    /// mark stands in the arguments, not in the environment, so the guardian and its own commands are never found. A process is looked
    /// at only when its executable can be seen: kernel threads, zombies and other users' processes have none to show. Two rounds in
    /// a row must find nothing, because a process may fork while it is looked for; they are bounded, because one may hang in the kernel.
    /// </summary>
    private const string Script = """
        trap '' HUP INT QUIT TERM PIPE
        while read -r line; do :; done
        round=0
        clean=0
        while [ "$clean" -lt 2 ] && [ "$round" -lt 60 ]; do
            clean=$((clean + 1))
            for process in /proc/[0-9]*; do
                if [ -e "$process/exe" ] && tr '\0' '\n' < "$process/environ" | grep -q -x -F -e "$1"; then
                    clean=0
                    kill -s KILL "${process#/proc/}"
                fi
            done
            round=$((round + 1))
            [ "$round" -lt 10 ] || sleep 1
        done
        if [ -n "$2" ]; then
            rm -f -- "$2"/*.sock
            rmdir -- "$2"
        fi
        """;

    private ChildProcess? _process;
    private int _retryMs = FirstRetryMs;

    /// <summary>When <see cref="Tick"/> is due.</summary>
    public long NextDeadlineMs { get; private set; } = long.MaxValue;

    /// <summary>0 when none runs.</summary>
    public int Pid => _process?.Pid ?? 0;

    /// <summary>A mark that no other run has.</summary>
    public static string NewMark() => RandomNumberGenerator.GetHexString(32, lowercase: true);

    /// <summary>Starts the shell, or answers null and a clause that says why not.</summary>
    public static ChildProcess? TryStart(string mark, string? socketDirectory, out string problem)
    {
        // Nothing else of FastLB's environment, which holds a mark when FastLB is itself a worker of another FastLB.
        var path = Environment.GetEnvironmentVariable("PATH");
        var command = new ChildCommand
        {
            Program = Shell,
            Arguments = [Shell, "-c", Script, "fastlb-guardian", $"{WorkerEnvironment.MarkName}={mark}", socketDirectory ?? ""],
            Environment = [string.IsNullOrEmpty(path) ? "PATH=/usr/local/bin:/usr/bin:/bin" : $"PATH={path}"],
            Directory = "/",
            OwnSession = true,
            PipeInput = true,
        };
        return ChildProcess.TryStart(command, out problem);
    }

    public void Start(long nowMs)
    {
        _process = TryStart(mark, socketDirectory, out var problem);
        if (_process is null)
        {
            FleetLog.Error(log, Subject, $"cannot be started: {problem}. Until it can, workers would outlive a FastLB that is killed; trying again in {RestartBackoff.Text(_retryMs)}");
            Retry(nowMs);
            return;
        }

        NextDeadlineMs = long.MaxValue;
        _process.Owner = this;
        poller.Watch(_process);
    }

    public void OnExited(long nowMs)
    {
        if (_process is not { } process || !process.Reap())
        {
            return;
        }

        FleetLog.Warning(log, Subject, $"{process.Exit}; starting another in {RestartBackoff.Text(_retryMs)}");
        Discard();
        Retry(nowMs);
    }

    public void Tick(long nowMs)
    {
        if (NextDeadlineMs <= nowMs)
        {
            Start(nowMs);
        }
    }

    /// <summary>There is nothing left to guard. Waits until the shell is gone, which takes a moment.</summary>
    /// <param name="sweepFirst">The shell, which has descriptors of its own, first kills what FastLB could not look for.</param>
    public void Stop(bool sweepFirst)
    {
        NextDeadlineMs = long.MaxValue;
        if (_process is not { } process)
        {
            return;
        }

        if (sweepFirst)
        {
            process.CloseInput();
        }
        else
        {
            process.Kill();
        }

        while (!process.Reap())
        {
            poller.Wait(-1);
        }

        Discard();
    }

    private void Retry(long nowMs)
    {
        NextDeadlineMs = nowMs + _retryMs;
        _retryMs = Math.Min(_retryMs * 2, LongestRetryMs);
    }

    private void Discard()
    {
        poller.Forget(_process!);
        _process!.Close();
        _process = null;
    }
}
