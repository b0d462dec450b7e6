using System.Runtime.InteropServices;

namespace FastLB.Linux;

/// <summary>
/// Lets a TCP listening socket ignore new connections while those that have begun come through. Closing the socket resets whatever is between the last accept and
/// the close; with the filter nothing new can get there. A client whose first packet is ignored sends it again after a second, and is then refused by the machine, or
/// taken by whoever listens there now, but never cut off. A classic packet filter (socket(7), SO_ATTACH_FILTER): for TCP it sees the segment from its header on.
/// </summary>
internal static unsafe class SynFilter
{
    internal const ushort LoadByte = 0x30;
    internal const ushort JumpIfSet = 0x45;
    internal const ushort Return = 0x06;

    /// <summary>The flags in a TCP header (RFC 9293 3.1), and the one that a connection begins with; it comes together with ACK only in answers.</summary>
    private const uint FlagsOffset = 13;
    private const uint Syn = 0x02;

    /// <summary>0, or -errno; then the socket works as before.</summary>
    public static int Attach(int listener)
    {
        var program = stackalloc Instruction[]
        {
            new Instruction { Code = LoadByte, Value = FlagsOffset },
            new Instruction { Code = JumpIfSet, IfTrue = 0, IfFalse = 1, Value = Syn },
            new Instruction { Code = Return, Value = 0 },
            new Instruction { Code = Return, Value = uint.MaxValue },
        };
        var filter = new Program { Length = 4, Instructions = program };
        return Libc.SetOption(listener, Libc.SOL_SOCKET, Libc.SO_ATTACH_FILTER, new ReadOnlySpan<byte>(&filter, sizeof(Program)));
    }

    /// <summary>struct sock_filter of linux/filter.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Instruction
    {
        public ushort Code;
        public byte IfTrue;
        public byte IfFalse;
        public uint Value;
    }

    /// <summary>struct sock_fprog.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Program
    {
        public ushort Length;
        public Instruction* Instructions;
    }
}
