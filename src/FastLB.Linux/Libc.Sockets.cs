using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>Sockets, epoll and eventfd: what the loops call. socket(7), tcp(7), epoll(7).</summary>
internal static unsafe partial class Libc
{
    internal const int AF_UNIX = 1;
    internal const int AF_INET = 2;
    internal const int AF_INET6 = 10;
    internal const int SOCK_STREAM = 1;
    internal const int SOCK_NONBLOCK = 0x800;
    internal const int SOCK_CLOEXEC = 0x80000;
    internal const int SOL_SOCKET = 1;
    internal const int SO_REUSEADDR = 2;
    internal const int SO_ERROR = 4;
    internal const int SO_SNDBUF = 7;
    internal const int SO_RCVBUF = 8;
    internal const int SO_KEEPALIVE = 9;
    internal const int SO_LINGER = 13;
    internal const int SO_REUSEPORT = 15;
    internal const int SO_ATTACH_FILTER = 26;
    internal const int SO_ACCEPTCONN = 30;
    internal const int IPPROTO_TCP = 6;
    internal const int IPPROTO_IPV6 = 41;
    internal const int IPV6_V6ONLY = 26;
    internal const int TCP_NODELAY = 1;
    internal const int TCP_KEEPIDLE = 4;
    internal const int TCP_KEEPINTVL = 5;
    internal const int TCP_KEEPCNT = 6;
    internal const int TCP_DEFER_ACCEPT = 9;
    internal const int TCP_CONGESTION = 13;
    internal const int TCP_USER_TIMEOUT = 18;
    internal const int TCP_FASTOPEN = 23;
    internal const int SHUT_RD = 0;
    internal const int SHUT_WR = 1;
    internal const int MSG_PEEK = 2;
    internal const int MSG_TRUNC = 0x20;
    internal const int MSG_DONTWAIT = 0x40;
    internal const int MSG_NOSIGNAL = 0x4000;
    internal const int F_SETFD = 2;
    internal const int FD_CLOEXEC = 1;
    internal const int F_SETFL = 4;
    internal const int F_DUPFD_CLOEXEC = 1030;
    internal const int SIOCOUTQ = 0x5411;

    internal const int EPOLL_CLOEXEC = 0x80000;
    internal const int EPOLL_CTL_ADD = 1;
    internal const int EPOLL_CTL_DEL = 2;
    internal const uint EPOLLIN = 0x1;
    internal const uint EPOLLOUT = 0x4;
    internal const uint EPOLLERR = 0x8;
    internal const uint EPOLLHUP = 0x10;
    internal const uint EPOLLRDHUP = 0x2000;
    internal const uint EPOLLEXCLUSIVE = 1u << 28;
    internal const uint EPOLLET = 1u << 31;

    internal const int EFD_NONBLOCK = 0x800;
    internal const int EFD_CLOEXEC = 0x80000;

    internal static int Socket(int family) => Check(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));

    internal static int Bind(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return Check(bind(fd, pointer, (uint)address.Length));
        }
    }

    internal static int Connect(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* pointer = address)
        {
            return Check(connect(fd, pointer, (uint)address.Length));
        }
    }

    internal static int Listen(int fd, int backlog) => Check(listen(fd, backlog));

    /// <summary>The bound address's bytes are written to <paramref name="address"/>; their count is the answer.</summary>
    internal static int GetSocketName(int fd, Span<byte> address)
    {
        var length = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            var result = Check(getsockname(fd, pointer, &length));
            return result < 0 ? result : (int)length;
        }
    }

    /// <summary>A connection that waits, non-blocking and closed on exec; its peer's address is written to the buffer.</summary>
    internal static int Accept(int fd, Span<byte> address, out int addressLength)
    {
        var length = (uint)address.Length;
        fixed (byte* pointer = address)
        {
            var result = Check(accept4(fd, pointer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
            addressLength = (int)Math.Min(length, (uint)address.Length);
            return result;
        }
    }

    internal static nint Receive(int fd, byte* buffer, nint length) =>
        Check(syscall(ReceiveNumber, fd, buffer, (nuint)length, 0, null, null));

    /// <summary>Whether a byte (1), the end (0), nothing yet (-EAGAIN) or an error waits; takes nothing away.</summary>
    internal static nint Peek(int fd)
    {
        byte one;
        return Check(syscall(ReceiveNumber, fd, &one, 1, MSG_PEEK, null, null));
    }

    internal static nint Send(int fd, byte* buffer, nint length) =>
        Check(syscall(SendNumber, fd, buffer, (nuint)length, MSG_NOSIGNAL, null, null));

    internal static int Shutdown(int fd, int how) => Check(shutdown(fd, how));

    internal static int SetOption(int fd, int level, int name, int value) => Check(setsockopt(fd, level, name, &value, sizeof(int)));

    internal static int SetOption(int fd, int level, int name, ReadOnlySpan<byte> value)
    {
        fixed (byte* bytes = value)
        {
            return Check(setsockopt(fd, level, name, bytes, (uint)value.Length));
        }
    }

    /// <summary>How many bytes the option has, which are in <paramref name="value"/>.</summary>
    internal static int GetOption(int fd, int level, int name, Span<byte> value)
    {
        var length = (uint)value.Length;
        fixed (byte* bytes = value)
        {
            var result = Check(getsockopt(fd, level, name, bytes, &length));
            return result < 0 ? result : (int)length;
        }
    }

    /// <summary>Makes close(2) send a reset and throw away what was not sent yet.</summary>
    internal static int SetResetOnClose(int fd)
    {
        var linger = stackalloc int[2] { 1, 0 };
        return Check(setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, 2 * sizeof(int)));
    }

    /// <summary>The pending error of a socket as a positive errno, 0 for none; how a connect ended.</summary>
    internal static int GetPendingError(int fd)
    {
        int error;
        uint length = sizeof(int);
        var result = Check(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length));
        return result < 0 ? -result : error;
    }

    /// <summary>Bytes that a socket has taken and its other side has not; 0 where that cannot be told. tcp(7), SIOCOUTQ.</summary>
    internal static int QueuedToSend(int fd)
    {
        int queued;
        return Check(ioctl(fd, SIOCOUTQ, &queued)) < 0 ? 0 : queued;
    }

    /// <summary>For everybody who has the same socket open, by whichever number.</summary>
    internal static int SetNonBlocking(int fd) => Check(fcntl(fd, F_SETFL, O_NONBLOCK));

    /// <summary>
    /// Bytes that have arrived at a TCP socket and were not taken; 0 where that cannot be told. Of a socket that was in a sockmap SIOCINQ
    /// tells something else, but looking at everything without copying it (tcp(7), MSG_TRUNC) tells its length.
    /// </summary>
    internal static long QueuedToReceive(int fd) =>
        Math.Max(0, Check(syscall(ReceiveNumber, fd, null, int.MaxValue, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT, null, null)));

    internal static int SetCloseOnExec(int fd) => Check(fcntl(fd, F_SETFD, FD_CLOEXEC));

    internal static int ChangeMode(string path, uint mode) => Check(chmod(path, mode));

    /// <summary>-1 leaves owner or group as it is.</summary>
    internal static int ChangeOwner(string path, int owner, int group) => Check(chown(path, owner, group));

    internal static int Duplicate(int fd) => Check(fcntl(fd, F_DUPFD_CLOEXEC, 0));

    internal static int EpollCreate() => Check(epoll_create1(EPOLL_CLOEXEC));

    internal static int EpollAdd(int epoll, int fd, uint events, ulong data)
    {
        var entry = stackalloc byte[EpollEvents.MaxEntrySize];
        EpollEvents.Write(entry, events, data);
        return Check(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, entry));
    }

    internal static int EpollRemove(int epoll, int fd) => Check(epoll_ctl(epoll, EPOLL_CTL_DEL, fd, null));

    /// <summary>Waits for events, at most <paramref name="timeoutMs"/> (-1: without limit).</summary>
    internal static int EpollWait(int epoll, byte* entries, int count, int timeoutMs) =>
        Check(epoll_wait(epoll, entries, count, timeoutMs));

    internal static int EventDescriptor() => Check(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));

    [LibraryImport("libc")]
    private static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc")]
    private static partial int bind(int fd, byte* address, uint length);

    [LibraryImport("libc")]
    private static partial int connect(int fd, byte* address, uint length);

    [LibraryImport("libc")]
    private static partial int listen(int fd, int backlog);

    [LibraryImport("libc")]
    private static partial int getsockname(int fd, byte* address, uint* length);

    [LibraryImport("libc")]
    private static partial int accept4(int fd, byte* address, uint* length, int flags);

    [LibraryImport("libc")]
    private static partial int shutdown(int fd, int how);

    [LibraryImport("libc")]
    private static partial int setsockopt(int fd, int level, int name, void* value, uint length);

    [LibraryImport("libc")]
    private static partial int getsockopt(int fd, int level, int name, void* value, uint* length);

    [LibraryImport("libc")]
    private static partial int ioctl(int fd, nuint request, void* argument);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int chmod(string path, uint mode);

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int chown(string path, int owner, int group);

    [LibraryImport("libc")]
    private static partial int fcntl(int fd, int command, int argument);

    [LibraryImport("libc")]
    private static partial int epoll_create1(int flags);

    [LibraryImport("libc")]
    private static partial int epoll_ctl(int epoll, int operation, int fd, byte* entry);

    [LibraryImport("libc")]
    private static partial int epoll_wait(int epoll, byte* entries, int count, int timeoutMs);

    [LibraryImport("libc")]
    private static partial int eventfd(uint initial, int flags);
}
