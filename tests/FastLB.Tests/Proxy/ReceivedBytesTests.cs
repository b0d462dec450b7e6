using System.Text;
using FastLB.Core.Http;
using FastLB.Core.Loop;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Proxy;

public class ReceivedBytesTests
{
    [Fact]
    public void Bytes_come_out_in_the_order_in_which_they_came_and_no_buffer_is_left() => Prop.ForAll<ulong>(seed =>
    {
        var chance = new RandomSource(seed);
        var pool = new BufferPool(8, 8);
        var received = new ReceivedBytes();
        var came = 0L;
        var gone = 0L;
        for (var step = 0; step < 200; step++)
        {
            // Before more is received the second buffer is moved up behind what is left of the first, as the connections do.
            do
            {
                if (received.Length == BufferPool.LargeCapacity)
                {
                    received.Consume(Count(ref gone, 1 + chance.Next(received.Length)));
                }

                Check(received, gone);
            }
            while (received.MoveUp());

            if (chance.Next(2) == 0)
            {
                var length = chance.Next(4) switch { 0 => BufferPool.LargeCapacity, 1 => 1 + chance.Next(10), _ => 1 + chance.Next(40_000) };
                var buffer = pool.TryRent(BufferPool.LargeCapacity)!;
                for (var i = 0; i < length; i++)
                {
                    buffer.Memory[LoopBuffer.DataOffset + i] = At(came++);
                }

                Assert.True(received.Append(buffer, length, pool));
            }
            else if (!received.IsEmpty)
            {
                received.Consume(Count(ref gone, 1 + chance.Next(received.Length)));
                received.Compact(pool);
            }

            Check(received, gone);
            Assert.InRange(pool.Rented, 0, 2);
        }

        received.Release();
        Assert.Equal(0, pool.Rented);
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void Without_a_buffer_to_join_them_in_nothing_is_kept_twice()
    {
        var pool = new BufferPool(2, 2);
        var received = new ReceivedBytes();
        Assert.True(received.Append(pool.TryRent(BufferPool.LargeCapacity)!, 10, pool));
        Assert.False(received.Append(pool.TryRent(BufferPool.LargeCapacity)!, BufferPool.LargeCapacity, pool));
        received.Release();
        Assert.Equal(0, pool.Rented);
    }

    private static int Count(ref long total, int count)
    {
        total += count;
        return count;
    }

    private static void Check(in ReceivedBytes received, long from)
    {
        foreach (var value in received.Span)
        {
            if (value != At(from++))
            {
                Assert.Fail($"byte {from - 1} is not in its place");
            }
        }
    }

    private static byte At(long position) => (byte)((position * 31) ^ (position >> 8));
}
