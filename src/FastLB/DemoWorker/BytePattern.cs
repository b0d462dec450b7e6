namespace FastLB.DemoWorker;

/// <summary>
/// The bytes of <c>/bytes/N</c>: a block of 64 KB over and over. The byte at offset <c>i</c> of the answer, with
/// <c>j = i mod 65536</c>, is <c>(j xor (j >> 8)) mod 256</c>, so every run of 256 bytes differs from the next and a lost, doubled
/// or moved piece shows.
/// </summary>
internal static class BytePattern
{
    public const int BlockBytes = 64 * 1024;

    public static ReadOnlyMemory<byte> Block { get; } = MakeBlock();

    public static byte At(long offset) => (byte)((offset % BlockBytes) ^ ((offset % BlockBytes) >> 8));

    private static byte[] MakeBlock()
    {
        var block = new byte[BlockBytes];
        for (var i = 0; i < block.Length; i++)
        {
            block[i] = At(i);
        }

        return block;
    }
}
