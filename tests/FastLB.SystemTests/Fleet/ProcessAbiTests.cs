using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using FastLB.Linux;

namespace FastLB.SystemTests.Fleet;

public class ProcessAbiTests
{
    [NeedsToolsFact("cc")]
    public async Task What_is_declared_about_processes_is_what_the_headers_say()
    {
        var c = await CompileAndRunAsync(Path.Combine(Repository.Root, "native", "abi_check_process.c"));

        Assert.True(c["sizeof.posix_spawnattr_t"] <= Libc.SpawnAttributesBytes);
        Assert.True(c["sizeof.posix_spawn_file_actions_t"] <= Libc.SpawnActionsBytes);
        var declared = new Dictionary<string, long>
        {
            ["sizeof.sigset_t"] = Libc.SignalSetBytes,
            ["sizeof.siginfo_t"] = Marshal.SizeOf<Libc.ChildInfo>(),
            ["offsetof.siginfo_t.si_signo"] = OffsetOf<Libc.ChildInfo>(nameof(Libc.ChildInfo.Signal)),
            ["offsetof.siginfo_t.si_code"] = OffsetOf<Libc.ChildInfo>(nameof(Libc.ChildInfo.Code)),
            ["offsetof.siginfo_t.si_pid"] = OffsetOf<Libc.ChildInfo>(nameof(Libc.ChildInfo.Pid)),
            ["offsetof.siginfo_t.si_status"] = OffsetOf<Libc.ChildInfo>(nameof(Libc.ChildInfo.Status)),
            ["sizeof.pollfd"] = Marshal.SizeOf<Libc.PollDescriptor>(),
            ["offsetof.pollfd.fd"] = OffsetOf<Libc.PollDescriptor>(nameof(Libc.PollDescriptor.Descriptor)),
            ["offsetof.pollfd.events"] = OffsetOf<Libc.PollDescriptor>(nameof(Libc.PollDescriptor.Events)),
            ["offsetof.pollfd.revents"] = OffsetOf<Libc.PollDescriptor>(nameof(Libc.PollDescriptor.Returned)),
            ["SIGKILL"] = Libc.SIGKILL,
            ["SIGTERM"] = Libc.SIGTERM,
            ["ESRCH"] = Libc.ESRCH,
            ["EIO"] = Libc.EIO,
            ["ECHILD"] = Libc.ECHILD,
            ["ENOMEM"] = Libc.ENOMEM,
            ["ENFILE"] = Libc.ENFILE,
            ["EMFILE"] = Libc.EMFILE,
            ["RLIMIT_NOFILE"] = Libc.RLIMIT_NOFILE,
            ["POLLIN"] = Libc.POLLIN,
            ["O_RDONLY"] = Libc.O_RDONLY,
            ["O_WRONLY"] = Libc.O_WRONLY,
            ["O_RDWR"] = Libc.O_RDWR,
            ["O_CLOEXEC"] = Libc.O_CLOEXEC,
            ["POSIX_SPAWN_SETPGROUP"] = Libc.POSIX_SPAWN_SETPGROUP,
            ["POSIX_SPAWN_SETSIGDEF"] = Libc.POSIX_SPAWN_SETSIGDEF,
            ["POSIX_SPAWN_SETSIGMASK"] = Libc.POSIX_SPAWN_SETSIGMASK,
            ["POSIX_SPAWN_SETSID"] = Libc.POSIX_SPAWN_SETSID,
            ["CLD_EXITED"] = Libc.CLD_EXITED,
            ["CLD_KILLED"] = Libc.CLD_KILLED,
            ["CLD_DUMPED"] = Libc.CLD_DUMPED,
            ["P_PID"] = Libc.P_PID,
            ["P_PGID"] = Libc.P_PGID,
            ["P_PIDFD"] = Libc.P_PIDFD,
            ["WNOHANG"] = Libc.WNOHANG,
            ["WEXITED"] = Libc.WEXITED,
            ["X_OK"] = Libc.X_OK,
            ["SYS_pidfd_send_signal"] = Libc.SYS_pidfd_send_signal,
            ["SYS_pidfd_open"] = Libc.SYS_pidfd_open,
            ["SYS_close_range"] = Libc.SYS_close_range,
            ["CLOSE_RANGE_CLOEXEC"] = Libc.CLOSE_RANGE_CLOEXEC,
        };

        foreach (var (name, value) in declared)
        {
            Assert.True(c.TryGetValue(name, out var real), $"abi_check_process.c prints {name}");
            Assert.True(real == value, $"{name} is declared as {value}, and the headers say {real}");
        }

        Assert.Equal(declared.Count + 2, c.Count);
    }

    private static long OffsetOf<T>(string field) => (long)Marshal.OffsetOf<T>(field);

    private static async Task<Dictionary<string, long>> CompileAndRunAsync(string source)
    {
        var program = Path.Combine(Path.GetTempPath(), $"fastlb-abi-{Guid.NewGuid():N}");
        try
        {
            await RunAsync("cc", ["-Wall", "-Werror", "-o", program, source]);
            var lines = await RunAsync(program, []);
            return lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' '))
                .ToDictionary(words => words[0], words => long.Parse(words[1], CultureInfo.InvariantCulture));
        }
        finally
        {
            File.Delete(program);
        }
    }

    private static async Task<string> RunAsync(string program, string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{program}: {await errors}");
        return await output;
    }
}
