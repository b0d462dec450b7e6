using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>bpf(2) as far as sockets are joined with it, and what a socket says about its streams: tcp(7), socket(7).</summary>
internal static unsafe partial class Libc
{
    internal const int BPF_MAP_CREATE = 0;
    internal const int BPF_MAP_UPDATE_ELEM = 2;
    internal const int BPF_MAP_DELETE_ELEM = 3;
    internal const int BPF_PROG_LOAD = 5;
    internal const int BPF_PROG_ATTACH = 8;
    internal const int BPF_MAP_TYPE_SOCKHASH = 18;
    internal const int BPF_PROG_TYPE_SK_SKB = 14;
    internal const int BPF_SK_SKB_STREAM_VERDICT = 5;
    internal const int SO_COOKIE = 57;
    internal const int SO_RCVLOWAT = 18;
    internal const int TCP_INFO = 11;
    internal const int EPOLL_CTL_MOD = 3;

    private static readonly nint s_bpf = IsX64 ? 321 : 280;

    /// <summary>A value of at least 0, or -errno. The kernel takes the part of its union that the structure has, the rest is 0.</summary>
    internal static int Bpf<T>(int command, ref T attributes)
        where T : unmanaged
    {
        fixed (T* pointer = &attributes)
        {
            return (int)Check(syscall(s_bpf, command, (nint)pointer, sizeof(T), 0));
        }
    }

    /// <summary>A number that no other socket has had since the machine started. -errno on failure.</summary>
    internal static int GetCookie(int fd, out ulong cookie)
    {
        ulong value = 0;
        uint length = sizeof(ulong);
        var result = Check(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &value, &length));
        cookie = value;
        return result;
    }

    /// <summary>-errno where the socket is not one of TCP.</summary>
    internal static int GetTcpInfo(int fd, out TcpInfo info)
    {
        TcpInfo value = default;
        uint length = (uint)sizeof(TcpInfo);
        var result = Check(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &value, &length));
        info = value;
        return result;
    }

    /// <summary>From now on the events of <paramref name="fd"/> are these.</summary>
    internal static int EpollModify(int epoll, int fd, uint events, ulong data)
    {
        var entry = stackalloc byte[EpollEvents.MaxEntrySize];
        EpollEvents.Write(entry, events, data);
        return Check(epoll_ctl(epoll, EPOLL_CTL_MOD, fd, entry));
    }
}

/// <summary>The first part of struct tcp_info (linux/tcp.h): what a connection has carried.</summary>
[StructLayout(LayoutKind.Explicit, Size = 136)]
internal struct TcpInfo
{
    /// <summary>One of the kernel's TCP states; 1 is established.</summary>
    [FieldOffset(0)]
    internal byte State;

    /// <summary>Bytes that the other side has acknowledged; a connection that we opened counts its SYN, one that ended its FIN.</summary>
    [FieldOffset(120)]
    internal ulong BytesAcked;

    /// <summary>Bytes that came in order, and one for the end of the stream.</summary>
    [FieldOffset(128)]
    internal ulong BytesReceived;
}

/// <summary>The part of union bpf_attr (linux/bpf.h) for BPF_MAP_CREATE.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BpfMapAttributes
{
    internal int Type;
    internal int KeySize;
    internal int ValueSize;
    internal int MaxEntries;
}

/// <summary>The part of union bpf_attr for the elements of a map.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct BpfElementAttributes
{
    [FieldOffset(0)]
    internal int Map;

    [FieldOffset(8)]
    internal ulong Key;

    [FieldOffset(16)]
    internal ulong Value;

    [FieldOffset(24)]
    internal ulong Flags;
}

/// <summary>The part of union bpf_attr for BPF_PROG_LOAD.</summary>
[StructLayout(LayoutKind.Explicit, Size = 72)]
internal struct BpfLoadAttributes
{
    [FieldOffset(0)]
    internal int Type;

    [FieldOffset(4)]
    internal int InstructionCount;

    [FieldOffset(8)]
    internal ulong Instructions;

    [FieldOffset(16)]
    internal ulong License;

    [FieldOffset(68)]
    internal int ExpectedAttachType;
}

/// <summary>The part of union bpf_attr for BPF_PROG_ATTACH.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct BpfAttachAttributes
{
    internal int Target;
    internal int Program;
    internal int AttachType;
    internal int Flags;
}
