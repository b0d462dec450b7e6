using System.Globalization;
using System.Net;
using FastLB.Core.Balancing;
using FastLB.Core.Loop;
using FastLB.Linux;

namespace FastLB.Fleet;

/// <summary>
/// Starts one pool's processes: an address where the worker shall listen, the environment that tells it so, the program. Knows nothing
/// of what becomes of them. Only the fleet's thread calls it.
/// </summary>
/// <param name="number">Tells the pool's sockets from those of other pools.</param>
internal sealed class WorkerLauncher(string poolName, RunSettings run, FleetResources fleet, int number)
{
    /// <summary>What processes are started by from now on.</summary>
    public RunSettings Run { get; set; } = run;

    /// <summary>
    /// Starts a worker's process. Null when that is not possible; <paramref name="problem"/> is then a clause that says why, and nothing
    /// is taken. The address is given back by <see cref="Release"/> when the process is gone.
    /// </summary>
    public (ChildProcess Child, Endpoint Endpoint)? TryLaunch(WorkerKey key, out string problem)
    {
        if (NewEndpoint(key, out problem) is not { } endpoint)
        {
            return null;
        }

        if (StartChild(key, endpoint, out problem) is { } child)
        {
            return (child, endpoint);
        }

        Release(endpoint);
        return null;
    }

    /// <summary>The worker that listened there is gone.</summary>
    public void Release(Endpoint endpoint)
    {
        if (!endpoint.IsUnix)
        {
            fleet.Ports.Return(endpoint.Port);
            return;
        }

        try
        {
            File.Delete(endpoint.UnixPath);
        }
        catch (DirectoryNotFoundException)
        {
            // Gone with its directory, which the next launch will tell.
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            FleetLog.Warning(fleet.Log, poolName, $"cannot remove the socket {endpoint.UnixPath}: {e.Message}");
        }
    }

    private ChildProcess? StartChild(WorkerKey key, Endpoint endpoint, out string problem)
    {
        var environment = WorkerEnvironment.Build(fleet.Environment, Run, key.Slot, key.Generation, endpoint, fleet.Mark);
        var program = WorkerProgram.Find(Run, fleet.Environment, out problem);
        if (program is not null && Run.Directory is null && !OwnDirectory.Exists)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{poolName}/{key.Slot}");
            FleetLog.Warning(fleet.Log, name, $"starts in a directory without a name: {OwnDirectory.Vanished}");
        }

        return program is null ? null : ChildProcess.TryStart(
            new ChildCommand
            {
                Program = program,
                Arguments = Run.Command,
                Environment = environment,
                Directory = Run.Directory,
                PipeOutput = true,
            },
            out problem);
    }

    private Endpoint? NewEndpoint(WorkerKey key, out string problem)
    {
        problem = "";
        if (Run.Transport == WorkerTransport.Unix)
        {
            if (Directory.Exists(fleet.SocketDirectory))
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"{number}-{key.Slot}-{key.Generation}.sock");
                return Endpoint.Unix(Path.Combine(fleet.SocketDirectory, name));
            }

            problem = $"{fleet.SocketDirectory}, where the workers' unix sockets were, has been removed; start FastLB again, or create it with mode 700";
            return null;
        }

        try
        {
            if (fleet.Ports.TryTake() is { } port)
            {
                return Endpoint.Ip(IPAddress.Loopback, port);
            }

            problem = "no port is free for it on 127.0.0.1";
        }
        catch (IOException e)
        {
            problem = e.Message;
        }

        return null;
    }
}
