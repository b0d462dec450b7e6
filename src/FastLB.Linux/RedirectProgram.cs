using System.Buffers.Binary;

namespace FastLB.Linux;

/// <summary>
/// The BPF program that the kernel runs for each piece of data that arrives at a joined socket. It looks up the socket's own cookie in a
/// sockhash, where the socket that the data goes to stands, and sends it there. Fifteen instructions of eight bytes (bpf.h, struct bpf_insn):
/// opcode, registers (source in the upper half), offset, immediate value.
/// </summary>
internal static class RedirectProgram
{
    private const byte MoveRegister = 0xBF;
    private const byte MoveImmediate = 0xB7;
    private const byte AddImmediate = 0x07;
    private const byte StoreWord64 = 0x7B;
    private const byte LoadImmediate64 = 0x18;
    private const byte LoadWord32 = 0x61;
    private const byte JumpIfNotEqual = 0x55;
    private const byte Call = 0x85;
    private const byte Exit = 0x95;

    /// <summary>In a <see cref="LoadImmediate64"/>: the value is the descriptor of a map (BPF_PSEUDO_MAP_FD).</summary>
    private const int MapDescriptor = 1;

    internal const int GetSocketCookie = 46;
    internal const int RedirectToHash = 72;

    /// <summary>Where struct __sk_buff has the length of the data.</summary>
    internal const short LengthOffset = 0;

    /// <summary>SK_DROP.</summary>
    internal const int Drop = 0;

    private const int InstructionLength = 8;

    /// <summary>The kernel lends its redirecting helpers to programs under its own licence only.</summary>
    internal static ReadOnlySpan<byte> License => "GPL\0"u8;

    internal static byte[] Assemble(int targets)
    {
        var code = new List<byte>();

        // The end of a stream comes as a piece without data. Sent on it would count as a broken pipe at the other socket, so it is dropped;
        // the loop passes ends on. r2 = the length; when it is not 0, go on behind the exit.
        Emit(code, LoadWord32, target: 2, source: 1, offset: LengthOffset);
        Emit(code, JumpIfNotEqual, target: 2, offset: 2, immediate: 0);
        Emit(code, MoveImmediate, target: 0, immediate: Drop);
        Emit(code, Exit);

        // The piece of data is in r1; it is kept in r6, because calls leave r1 to r5 undefined.
        Emit(code, MoveRegister, target: 6, source: 1);

        // r0 = the cookie of the socket at which it arrived, and from there onto the stack, where the lookup wants its key.
        Emit(code, Call, immediate: GetSocketCookie);
        Emit(code, StoreWord64, target: 10, source: 0, offset: -8);

        // redirect(data, map, &cookie, 0): to the socket that stands under the cookie, for sending. It answers SK_PASS, or SK_DROP where
        // none stands there: then that one was closed, and the bytes can go nowhere.
        Emit(code, MoveRegister, target: 1, source: 6);
        Emit(code, LoadImmediate64, target: 2, source: MapDescriptor, immediate: targets);
        Emit(code, 0);
        Emit(code, MoveRegister, target: 3, source: 10);
        Emit(code, AddImmediate, target: 3, immediate: -8);
        Emit(code, MoveImmediate, target: 4, immediate: 0);
        Emit(code, Call, immediate: RedirectToHash);

        // What it answered is the verdict.
        Emit(code, Exit);
        return [.. code];
    }

    internal static int CountOf(byte[] code) => code.Length / InstructionLength;

    private static void Emit(List<byte> code, byte opcode, int target = 0, int source = 0, short offset = 0, int immediate = 0)
    {
        Span<byte> instruction = stackalloc byte[InstructionLength];
        instruction[0] = opcode;
        instruction[1] = (byte)(target | (source << 4));
        BinaryPrimitives.WriteInt16LittleEndian(instruction[2..], offset);
        BinaryPrimitives.WriteInt32LittleEndian(instruction[4..], immediate);
        code.AddRange(instruction);
    }
}
