using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using FastLB.Fleet;
using FastLB.Linux;

namespace FastLB.SystemTests.Fleet;

/// <summary>
/// The other processes of these tests are this test assembly too, started with a role in the environment: that needs nothing but the
/// .NET SDK. A module initializer runs before the test program's own entry point, which knows nothing of roles and ends at once;
/// the role goes on in a foreground thread, because other threads may not use this module until its initializer has returned.
/// </summary>
internal static class TestRoles
{
    public const string Variable = "FASTLB_TEST_ROLE";

    /// <summary>The command that starts this assembly in the role that the environment names.</summary>
    public static IReadOnlyList<string> Command { get; } =
        [Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet", Path.Combine(AppContext.BaseDirectory, "FastLB.SystemTests.dll")];

#pragma warning disable CA2255 // A test assembly is a program here, not a library.
    [ModuleInitializer]
#pragma warning restore CA2255
    public static void Play()
    {
        ThreadStart? role = Environment.GetEnvironmentVariable(Variable) switch
        {
            "worker" => Serve,
            "closed-descriptors" => OpenStandardDescriptors,
            "fleet-host" => HostUntilKilled,
            _ => null,
        };
        if (role is not null)
        {
            new Thread(role).Start();
        }
    }

    /// <summary>A worker: takes connections where it is told to, and says so.</summary>
    private static void Serve()
    {
        var port = Environment.GetEnvironmentVariable("PORT")!;
        EndPoint address = port.StartsWith('/')
            ? new UnixDomainSocketEndPoint(port)
            : new IPEndPoint(IPAddress.Parse(Environment.GetEnvironmentVariable("HOST")!), int.Parse(port, System.Globalization.CultureInfo.InvariantCulture));
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(address);
        socket.Listen();
        Console.WriteLine($"listening on {port}");
        while (true)
        {
            socket.Accept().Dispose();
        }
    }

    /// <summary>Closes the standard descriptors, has them opened, and ends with status 0 when all of them are /dev/null then.</summary>
    private static void OpenStandardDescriptors()
    {
        // Once before, because loading the code for the first time opens files.
        StandardDescriptors.EnsureOpen();
        int[] standard = [0, 1, 2];
        foreach (var descriptor in standard)
        {
            _ = Libc.Close(descriptor);
        }

        StandardDescriptors.EnsureOpen();
        Environment.Exit(standard.All(descriptor => new FileInfo($"/proc/self/fd/{descriptor}").LinkTarget == "/dev/null") ? 0 : 1);
    }

    /// <summary>A FastLB without its data path: two workers on unix sockets, and their pids on standard output.</summary>
    private static void HostUntilKilled()
    {
        var run = FleetFixture.Workers(2) with { Transport = WorkerTransport.Unix };
        using var fleet = new FleetFixture(run);
        fleet.Host.Start();
        fleet.ReadyAsync(2).GetAwaiter().GetResult();
        foreach (var process in fleet.Host.Processes)
        {
            Console.WriteLine($"process {process.Pid} {process.Endpoint["unix:".Length..]}");
        }

        Console.WriteLine($"guardian {fleet.Host.GuardianPid}");
        Thread.Sleep(Timeout.Infinite);
    }
}
