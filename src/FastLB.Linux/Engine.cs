using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// Which kernel interface the loops use. A container runtime often forbids io_uring (its seccomp profile answers -EPERM), a kernel may
/// have it switched off or be too old for what the loop needs; all of that is found out by opening a loop and closing it again.
/// </summary>
public sealed class Engine
{
    private readonly bool _usesUring;

    private Engine(bool usesUring, string reason)
    {
        _usesUring = usesUring;
        Reason = reason;
    }

    /// <summary>Why it is this one, for the log and the status page.</summary>
    public string Reason { get; }

    public static Engine Epoll(string reason) => new(usesUring: false, reason);

    /// <summary>io_uring when it can be used here; otherwise epoll, and the reason says what was in the way.</summary>
    public static Engine Auto() => TryUring("auto: works here", out var engine, out var obstacle)
        ? engine!
        : Epoll($"auto: no io_uring here, {obstacle}");

    /// <summary>False with the obstacle, as a part of a sentence, when io_uring cannot be used here.</summary>
    public static bool TryUring(string reason, out Engine? engine, out string obstacle)
    {
        var result = UringLoop.TryOpen(0, new BufferPool(), 1, default, out var loop, out var step);
        loop?.Dispose();
        engine = result == 0 ? new Engine(usesUring: true, reason) : null;
        obstacle = result == 0 ? "" : Describe(result, step);
        return result == 0;
    }

    /// <summary>A loop on this engine.</summary>
    /// <exception cref="InvalidOperationException">io_uring was there at the probe and refuses one more ring.</exception>
    public KernelLoop Open(int index, BufferPool buffers, SpinPolicy spin = default)
    {
        // For choices and jitter, where nothing secret is drawn; the cryptographic generator would load OpenSSL into every start.
        var seed = (ulong)Random.Shared.NextInt64(long.MinValue, long.MaxValue);
        if (!_usesUring)
        {
            return new EpollLoop(index, buffers, seed) { Spin = spin };
        }

        var result = UringLoop.TryOpen(index, buffers, seed, spin, out var loop, out var step);
        return loop ?? throw new InvalidOperationException($"loop {index} cannot be opened on io_uring: {Describe(result, step)}");
    }

    private static string Describe(int result, string step) => -result switch
    {
        Libc.EPERM => "the kernel or a seccomp filter forbids it (kernel.io_uring_disabled, or the container runtime's profile)",
        Libc.ENOSYS => "the kernel does not have it, or a seccomp filter hides it",
        Libc.EINVAL => $"kernel {Environment.OSVersion.Version} is too old for it (6.11 has all that is needed; missing: {step})",
        IoError.OutOfMemory => $"no memory may be locked for it ({step}; see RLIMIT_MEMLOCK)",
        var error => $"{step} failed: {SystemError.Describe(error)}",
    };
}
