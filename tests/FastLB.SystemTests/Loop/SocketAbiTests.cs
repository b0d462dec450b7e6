using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using FastLB.Core.Loop;
using FastLB.Linux;
using SocketAddress = FastLB.Linux.SocketAddress;

namespace FastLB.SystemTests.Loop;

/// <summary>What src/FastLB.Linux says of sockets and epoll is what this machine's C headers say.</summary>
public class SocketAbiTests
{
    [NeedsToolsFact("cc")]
    public void Constants_sizes_and_offsets_are_those_of_the_C_headers()
    {
        var c = ReadFromC();
        var ours = Declared();
        Assert.Equal(c.Keys.Order(), ours.Keys.Order());
        Assert.All(ours, declared => Assert.Equal((declared.Key, c[declared.Key]), (declared.Key, declared.Value)));
    }

    [Fact]
    public void An_address_is_written_in_the_kernels_form()
    {
        // The offsets are the ones that the C headers were asked for above.
        Span<byte> bytes = stackalloc byte[SocketAddress.MaxLength];
        Assert.Equal(16, SocketAddress.Write(Endpoint.Ip(IPAddress.Parse("1.2.3.4"), 0x5060), bytes));
        Assert.Equal(Libc.AF_INET, BitConverter.ToUInt16(bytes));
        Assert.Equal(0x5060, BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]));
        Assert.Equal(new byte[] { 1, 2, 3, 4 }, bytes.Slice(4, 4).ToArray());
        Assert.Equal("1.2.3.4:20576", SocketAddress.ReadClient(bytes[..16]).ToString());

        var six = IPAddress.Parse("fe80::1%3");
        Assert.Equal(28, SocketAddress.Write(Endpoint.Ip(six, 80), bytes));
        Assert.Equal(six.GetAddressBytes(), bytes.Slice(8, 16).ToArray());
        Assert.Equal(3u, BitConverter.ToUInt32(bytes[24..]));
        Assert.Equal("[fe80::1]:80", SocketAddress.ReadClient(bytes[..28]).ToString());

        Assert.Equal(2 + 4 + 1, SocketAddress.Write(Endpoint.Unix("/a/b"), bytes));
        Assert.Equal("/a/b\0", Encoding.UTF8.GetString(bytes.Slice(2, 5)));
        Assert.True(SocketAddress.ReadClient(bytes[..2]).IsNone);
        var longest = "/" + new string('x', Endpoint.MaxUnixPathBytes - 1);
        Assert.Equal(110, SocketAddress.Write(Endpoint.Unix(longest), bytes));
        Assert.Equal(0, bytes[109]);
    }

    private static Dictionary<string, long> Declared() => new()
    {
        ["AF_UNIX"] = Libc.AF_UNIX,
        ["AF_INET"] = Libc.AF_INET,
        ["AF_INET6"] = Libc.AF_INET6,
        ["SOCK_STREAM"] = Libc.SOCK_STREAM,
        ["SOCK_NONBLOCK"] = Libc.SOCK_NONBLOCK,
        ["SOCK_CLOEXEC"] = Libc.SOCK_CLOEXEC,
        ["SOL_SOCKET"] = Libc.SOL_SOCKET,
        ["SO_REUSEADDR"] = Libc.SO_REUSEADDR,
        ["SO_ERROR"] = Libc.SO_ERROR,
        ["SO_LINGER"] = Libc.SO_LINGER,
        ["SO_REUSEPORT"] = Libc.SO_REUSEPORT,
        ["AT_FDCWD"] = Libc.AT_FDCWD,
        ["AT_SYMLINK_NOFOLLOW"] = Libc.AT_SYMLINK_NOFOLLOW,
        ["STATX_TYPE"] = Libc.STATX_TYPE,
        ["S_IFMT"] = Libc.S_IFMT,
        ["S_IFSOCK"] = Libc.S_IFSOCK,
        ["sizeof.statx"] = Libc.StatxBytes,
        ["offsetof.statx.stx_mode"] = Libc.StatxModeOffset,
        ["SO_ATTACH_FILTER"] = Libc.SO_ATTACH_FILTER,
        ["sizeof.sock_filter"] = Marshal.SizeOf<SynFilter.Instruction>(),
        ["sizeof.sock_fprog"] = Marshal.SizeOf<SynFilter.Program>(),
        ["offsetof.sock_fprog.filter"] = (long)Marshal.OffsetOf<SynFilter.Program>(nameof(SynFilter.Program.Instructions)),
        ["BPF_LOAD_BYTE"] = SynFilter.LoadByte,
        ["BPF_JUMP_IF_SET"] = SynFilter.JumpIfSet,
        ["BPF_RETURN"] = SynFilter.Return,
        ["IPPROTO_TCP"] = Libc.IPPROTO_TCP,
        ["IPPROTO_IPV6"] = Libc.IPPROTO_IPV6,
        ["IPV6_V6ONLY"] = Libc.IPV6_V6ONLY,
        ["TCP_NODELAY"] = Libc.TCP_NODELAY,
        ["TCP_DEFER_ACCEPT"] = Libc.TCP_DEFER_ACCEPT,
        ["SHUT_RD"] = Libc.SHUT_RD,
        ["SHUT_WR"] = Libc.SHUT_WR,
        ["MSG_NOSIGNAL"] = Libc.MSG_NOSIGNAL,
        ["MSG_PEEK"] = Libc.MSG_PEEK,
        ["SIOCOUTQ"] = Libc.SIOCOUTQ,
        ["F_DUPFD_CLOEXEC"] = Libc.F_DUPFD_CLOEXEC,
        ["SYS_sendto"] = Libc.SendNumber,
        ["SYS_recvfrom"] = Libc.ReceiveNumber,
        ["EPOLL_CLOEXEC"] = Libc.EPOLL_CLOEXEC,
        ["EPOLL_CTL_ADD"] = Libc.EPOLL_CTL_ADD,
        ["EPOLL_CTL_DEL"] = Libc.EPOLL_CTL_DEL,
        ["EPOLLIN"] = Libc.EPOLLIN,
        ["EPOLLOUT"] = Libc.EPOLLOUT,
        ["EPOLLERR"] = Libc.EPOLLERR,
        ["EPOLLHUP"] = Libc.EPOLLHUP,
        ["EPOLLRDHUP"] = Libc.EPOLLRDHUP,
        ["EPOLLEXCLUSIVE"] = Libc.EPOLLEXCLUSIVE,
        ["EPOLLET"] = Libc.EPOLLET,
        ["EFD_NONBLOCK"] = Libc.EFD_NONBLOCK,
        ["EFD_CLOEXEC"] = Libc.EFD_CLOEXEC,
        ["MSG_TRUNC"] = Libc.MSG_TRUNC,
        ["SO_COOKIE"] = Libc.SO_COOKIE,
        ["SO_RCVLOWAT"] = Libc.SO_RCVLOWAT,
        ["TCP_INFO"] = Libc.TCP_INFO,
        ["EPOLL_CTL_MOD"] = Libc.EPOLL_CTL_MOD,
        ["BPF_MAP_CREATE"] = Libc.BPF_MAP_CREATE,
        ["BPF_MAP_UPDATE_ELEM"] = Libc.BPF_MAP_UPDATE_ELEM,
        ["BPF_MAP_DELETE_ELEM"] = Libc.BPF_MAP_DELETE_ELEM,
        ["BPF_PROG_LOAD"] = Libc.BPF_PROG_LOAD,
        ["BPF_PROG_ATTACH"] = Libc.BPF_PROG_ATTACH,
        ["BPF_MAP_TYPE_SOCKHASH"] = Libc.BPF_MAP_TYPE_SOCKHASH,
        ["BPF_PROG_TYPE_SK_SKB"] = Libc.BPF_PROG_TYPE_SK_SKB,
        ["BPF_SK_SKB_STREAM_VERDICT"] = Libc.BPF_SK_SKB_STREAM_VERDICT,
        ["BPF_FUNC_get_socket_cookie"] = RedirectProgram.GetSocketCookie,
        ["BPF_FUNC_sk_redirect_hash"] = RedirectProgram.RedirectToHash,
        ["SK_DROP"] = RedirectProgram.Drop,
        ["bpf_attr.map_type"] = Marshal.OffsetOf<BpfMapAttributes>(nameof(BpfMapAttributes.Type)).ToInt64(),
        ["bpf_attr.key_size"] = Marshal.OffsetOf<BpfMapAttributes>(nameof(BpfMapAttributes.KeySize)).ToInt64(),
        ["bpf_attr.value_size"] = Marshal.OffsetOf<BpfMapAttributes>(nameof(BpfMapAttributes.ValueSize)).ToInt64(),
        ["bpf_attr.max_entries"] = Marshal.OffsetOf<BpfMapAttributes>(nameof(BpfMapAttributes.MaxEntries)).ToInt64(),
        ["bpf_attr.map_fd"] = Marshal.OffsetOf<BpfElementAttributes>(nameof(BpfElementAttributes.Map)).ToInt64(),
        ["bpf_attr.key"] = Marshal.OffsetOf<BpfElementAttributes>(nameof(BpfElementAttributes.Key)).ToInt64(),
        ["bpf_attr.value"] = Marshal.OffsetOf<BpfElementAttributes>(nameof(BpfElementAttributes.Value)).ToInt64(),
        ["bpf_attr.flags"] = Marshal.OffsetOf<BpfElementAttributes>(nameof(BpfElementAttributes.Flags)).ToInt64(),
        ["bpf_attr.prog_type"] = Marshal.OffsetOf<BpfLoadAttributes>(nameof(BpfLoadAttributes.Type)).ToInt64(),
        ["bpf_attr.insn_cnt"] = Marshal.OffsetOf<BpfLoadAttributes>(nameof(BpfLoadAttributes.InstructionCount)).ToInt64(),
        ["bpf_attr.insns"] = Marshal.OffsetOf<BpfLoadAttributes>(nameof(BpfLoadAttributes.Instructions)).ToInt64(),
        ["bpf_attr.license"] = Marshal.OffsetOf<BpfLoadAttributes>(nameof(BpfLoadAttributes.License)).ToInt64(),
        ["bpf_attr.expected_attach_type"] = Marshal.OffsetOf<BpfLoadAttributes>(nameof(BpfLoadAttributes.ExpectedAttachType)).ToInt64(),
        ["bpf_attr.target_fd"] = Marshal.OffsetOf<BpfAttachAttributes>(nameof(BpfAttachAttributes.Target)).ToInt64(),
        ["bpf_attr.attach_bpf_fd"] = Marshal.OffsetOf<BpfAttachAttributes>(nameof(BpfAttachAttributes.Program)).ToInt64(),
        ["bpf_attr.attach_type"] = Marshal.OffsetOf<BpfAttachAttributes>(nameof(BpfAttachAttributes.AttachType)).ToInt64(),
        ["bpf_attr.attach_flags"] = Marshal.OffsetOf<BpfAttachAttributes>(nameof(BpfAttachAttributes.Flags)).ToInt64(),
        ["__sk_buff.len"] = RedirectProgram.LengthOffset,
        ["tcp_info.state"] = Marshal.OffsetOf<TcpInfo>(nameof(TcpInfo.State)).ToInt64(),
        ["tcp_info.bytes_acked"] = Marshal.OffsetOf<TcpInfo>(nameof(TcpInfo.BytesAcked)).ToInt64(),
        ["tcp_info.bytes_received"] = Marshal.OffsetOf<TcpInfo>(nameof(TcpInfo.BytesReceived)).ToInt64(),
        ["O_NONBLOCK"] = Libc.O_NONBLOCK,
        ["F_SETPIPE_SZ"] = Libc.F_SETPIPE_SZ,
        ["F_GETPIPE_SZ"] = Libc.F_GETPIPE_SZ,
        ["SPLICE_F_MOVE"] = Libc.SPLICE_F_MOVE,
        ["SPLICE_F_NONBLOCK"] = Libc.SPLICE_F_NONBLOCK,
        ["EINTR"] = Libc.EINTR,
        ["EBADF"] = Libc.EBADF,
        ["EAGAIN"] = Libc.EAGAIN,
        ["EMFILE"] = IoError.OutOfDescriptors,
        ["EPIPE"] = IoError.BrokenPipe,
        ["ECONNRESET"] = IoError.ConnectionReset,
        ["ENOBUFS"] = IoError.NoBuffers,
        ["ETIMEDOUT"] = IoError.TimedOut,
        ["ECONNREFUSED"] = IoError.ConnectionRefused,
        ["EINPROGRESS"] = IoError.InProgress,
        ["ECANCELED"] = IoError.Canceled,
        ["epoll_event"] = EpollEvents.EntrySize,
        ["epoll_event.data"] = EpollEvents.DataOffset,
        ["linger"] = 2 * sizeof(int),
        ["sockaddr_in"] = 16,
        ["sockaddr_in.port"] = 2,
        ["sockaddr_in.address"] = 4,
        ["sockaddr_in6"] = 28,
        ["sockaddr_in6.port"] = 2,
        ["sockaddr_in6.address"] = 8,
        ["sockaddr_in6.scope"] = 24,
        ["sockaddr_un"] = 2 + Endpoint.MaxUnixPathBytes + 1,
        ["sockaddr_un.path"] = 2,
        ["cpu_set_t"] = Libc.CpuMaskWords * sizeof(ulong),
    };

    private static Dictionary<string, long> ReadFromC()
    {
        var directory = Directory.CreateTempSubdirectory("fastlb-abi-").FullName;
        try
        {
            var program = Path.Combine(directory, "abi_check");
            Run("cc", "-o", program, Path.Combine(Repository.Root, "native", "abi_check.c"));
            return Run(program).Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(line => line.Split(' '))
                .ToDictionary(parts => parts[0], parts => long.Parse(parts[1], CultureInfo.InvariantCulture));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return output;
    }
}
