using FastLB.Core.Loop;

namespace FastLB.Tests.Loop;

public class BufferPoolTests
{
    [Fact]
    public void A_limit_is_reached_and_not_passed_and_each_size_has_its_own()
    {
        var pool = new BufferPool(largeLimit: 2, smallLimit: 1);
        var large = pool.TryRent(BufferPool.LargeCapacity)!;
        Assert.NotNull(pool.TryRent(BufferPool.SmallCapacity + 1));
        Assert.False(pool.HasForReceive);
        Assert.Null(pool.TryRent(BufferPool.LargeCapacity));
        Assert.NotNull(pool.TryRent(1));
        Assert.Null(pool.TryRent(1));
        Assert.Equal(2, pool.Refusals);
        Assert.Equal(3, pool.Rented);
        large.Release();
        Assert.True(pool.HasForReceive);
        Assert.Same(large, pool.TryRent(BufferPool.LargeCapacity));
    }

    [Fact]
    public void A_buffer_comes_back_with_its_last_reference_only()
    {
        var pool = new BufferPool(1, 1);
        var buffer = pool.TryRent(1)!;
        buffer.Retain();
        buffer.Release();
        Assert.Null(pool.TryRent(1));
        buffer.Release();
        Assert.Equal(0, pool.Rented);
        Assert.NotNull(pool.TryRent(1));
    }

    [Fact]
    public void A_reference_too_many_in_either_direction_stops_the_process()
    {
        var pool = new BufferPool(1, 1);
        var buffer = pool.TryRent(1)!;
        buffer.Release();
        Assert.Throws<InvariantViolatedException>(buffer.Release);
        Assert.Throws<InvariantViolatedException>(buffer.Retain);
    }

    [Fact]
    public void More_than_a_large_buffer_cannot_be_asked_for()
    {
        var pool = new BufferPool();
        Assert.Throws<InvariantViolatedException>(() => pool.TryRent(BufferPool.LargeCapacity + 1));
        var largest = pool.TryRent(BufferPool.LargeCapacity)!;
        Assert.Equal(BufferPool.LargeCapacity, largest.DataCapacity);
        Assert.Equal(largest.DataEnd + LoopBuffer.TailRoom, largest.Memory.Length);
    }
}
