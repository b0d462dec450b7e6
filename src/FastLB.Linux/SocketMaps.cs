using FastLB.Core.Loop;

namespace FastLB.Linux;

/// <summary>
/// The kernel's tables by which it passes bytes from one TCP socket to another without waking anybody: bpf(2), sockmap. There are two,
/// because a socket must be there to be sent to before the first byte of its counterpart is: <c>targets</c> says where the bytes of a cookie
/// go, <c>sources</c> is the table whose members are read. A loop has its own. Closing a socket takes it out of both.
/// </summary>
internal sealed unsafe class SocketMaps : IDisposable
{
    /// <summary>Sockets that one loop may join; past that tunnels are copied and spliced.</summary>
    private const int Capacity = 64 * 1024;

    private readonly int _targets;
    private readonly int _sources;
    private readonly int _program;

    private SocketMaps(int targets, int sources, int program)
    {
        _targets = targets;
        _sources = sources;
        _program = program;
    }

    /// <summary>0, or -errno with the step that failed: -EPERM without CAP_BPF and CAP_NET_ADMIN or in most containers.</summary>
    internal static int TryOpen(out SocketMaps? maps, out string step)
    {
        maps = null;
        step = "BPF_MAP_CREATE of a sockhash";
        var targets = CreateMap();
        if (targets < 0)
        {
            return targets;
        }

        var sources = CreateMap();
        step = "BPF_PROG_LOAD";
        var program = sources < 0 ? sources : Load(targets);
        var made = new SocketMaps(targets, sources, program);
        if (program >= 0)
        {
            step = "BPF_PROG_ATTACH";
            var attach = new BpfAttachAttributes { Target = sources, Program = program, AttachType = Libc.BPF_SK_SKB_STREAM_VERDICT };
            program = Libc.Bpf(Libc.BPF_PROG_ATTACH, ref attach);
        }

        if (program < 0)
        {
            made.Dispose();
            return program;
        }

        step = "";
        maps = made;
        return 0;
    }

    /// <summary>
    /// From now on what arrives at <paramref name="socket"/>, and what waits there, goes to where <see cref="SetTarget"/> said. Only an established
    /// connection can be read, of which nothing was received by hand: the kernel goes through its queue in whole pieces.
    /// </summary>
    internal int StartReading(int socket, ulong cookie)
    {
        var result = Update(_sources, cookie, socket);
        if (result >= 0)
        {
            Prompt(socket);
        }

        return result;
    }

    /// <summary>What arrives at the socket stays there, and its sender is held back as usual, until it is read again.</summary>
    internal void StopReading(ulong cookie) => Delete(_sources, cookie);

    /// <summary>What arrives at the socket of <paramref name="cookie"/> goes to <paramref name="target"/>.</summary>
    internal int SetTarget(ulong cookie, int target) => Update(_targets, cookie, target);

    internal void RemoveTarget(ulong cookie) => Delete(_targets, cookie);

    public void Dispose()
    {
        Libc.Close(_program);
        Libc.Close(_sources);
        Libc.Close(_targets);
    }

    /// <summary>
    /// Bytes that were in the queue before its socket got into the map wait for the next ones to arrive. Setting SO_RCVLOWAT makes the kernel
    /// look at the queue now, by the same way that arriving bytes take (tcp_set_rcvlowat), so their order is kept.
    /// </summary>
    private static void Prompt(int socket) => Libc.SetOption(socket, Libc.SOL_SOCKET, Libc.SO_RCVLOWAT, 1);

    private static int CreateMap()
    {
        var attributes = new BpfMapAttributes
        {
            Type = Libc.BPF_MAP_TYPE_SOCKHASH,
            KeySize = sizeof(ulong),
            ValueSize = sizeof(int),
            MaxEntries = Capacity,
        };
        return Libc.Bpf(Libc.BPF_MAP_CREATE, ref attributes);
    }

    private static int Load(int targets)
    {
        var code = RedirectProgram.Assemble(targets);
        fixed (byte* instructions = code)
        fixed (byte* license = RedirectProgram.License)
        {
            var attributes = new BpfLoadAttributes
            {
                Type = Libc.BPF_PROG_TYPE_SK_SKB,
                InstructionCount = RedirectProgram.CountOf(code),
                Instructions = (ulong)instructions,
                License = (ulong)license,
                ExpectedAttachType = Libc.BPF_SK_SKB_STREAM_VERDICT,
            };
            return Libc.Bpf(Libc.BPF_PROG_LOAD, ref attributes);
        }
    }

    private static int Update(int map, ulong cookie, int socket)
    {
        var attributes = new BpfElementAttributes { Map = map, Key = (ulong)&cookie, Value = (ulong)&socket };
        return Libc.Bpf(Libc.BPF_MAP_UPDATE_ELEM, ref attributes);
    }

    private static void Delete(int map, ulong cookie)
    {
        var attributes = new BpfElementAttributes { Map = map, Key = (ulong)&cookie };
        Libc.Bpf(Libc.BPF_MAP_DELETE_ELEM, ref attributes);
    }
}
