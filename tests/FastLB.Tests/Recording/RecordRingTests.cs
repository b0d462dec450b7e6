using FastLB.Core.Recording;
using FsCheck;
using FsCheck.Fluent;

namespace FastLB.Tests.Recording;

/// <summary>The ring against a queue: in one thread step by step, and between two threads by what came out.</summary>
public sealed class RecordRingTests
{
    [Fact]
    public void It_is_a_queue_that_refuses_what_does_not_fit()
    {
        // Steps: a length to write, or -1 to read.
        var steps = Gen.Choose(-20, 40).Select(n => Math.Max(-1, n)).ListOf().Select(l => l.ToArray());
        Prop.ForAll(steps.ToArbitrary(), IsQueue).QuickCheckThrowOnFailure();
    }

    [Theory]
    [InlineData(new[] { 40, -1, 40, -1, 40, -1, 40, -1 })]
    [InlineData(new[] { 52, 52, -1, 52, -1, 52, -1, -1, 0, -1 })]
    public void It_goes_round(int[] steps) => Assert.True(IsQueue(steps));

    [Fact]
    public void What_is_refused_is_counted_and_what_is_there_stays()
    {
        var ring = new RecordRing(64);
        Assert.True(TryWrite(ring, 8, 1));
        var written = 1;
        while (TryWrite(ring, 8, (byte)(written + 1)))
        {
            written++;
        }

        Assert.Equal(4, written);
        Assert.Equal(1, ring.Dropped);
        for (var i = 1; i <= written; i++)
        {
            Assert.True(ring.TryRead(out var record));
            Assert.Equal(i, record[0]);
            ring.Release();
        }

        Assert.True(TryWrite(ring, 8, 9));
        Assert.Equal(1, ring.Dropped);
    }

    [Fact]
    public void Between_two_threads_nothing_is_lost_torn_or_out_of_order_but_what_was_counted_as_dropped()
    {
        const int Records = 400_000;
        var ring = new RecordRing(4096);
        var isDone = false;
        var attempts = 0L;
        var writer = new Thread(() =>
        {
            for (var i = 0; i < Records; i++)
            {
                var length = 8 + (i % 97);
                Span<byte> record;
                attempts++;
                while (!ring.TryReserve(length, out record) && i / 1_000 % 2 == 0)
                {
                    // Every second thousand waits for room, so that both sides are seen at full and at empty rings.
                    attempts++;
                    Thread.Yield();
                }

                if (!record.IsEmpty)
                {
                    BitConverter.TryWriteBytes(record, (long)i);
                    record[8..].Fill((byte)i);
                    ring.Commit();
                }
            }

            Volatile.Write(ref isDone, true);
        });
        writer.Start();
        var read = 0L;
        var last = -1L;
        while (true)
        {
            var wasDone = Volatile.Read(ref isDone);
            while (ring.TryRead(out var record))
            {
                var number = BitConverter.ToInt64(record);
                Assert.True(number > last, $"{number} came behind {last}");
                Assert.Equal(8 + (int)(number % 97), record.Length);
                Assert.Equal(-1, record[8..].IndexOfAnyExcept((byte)number));
                last = number;
                read++;
                ring.Release();
            }

            if (wasDone)
            {
                break;
            }
        }

        writer.Join();
        Assert.Equal(attempts, read + ring.Dropped);
        Assert.InRange(read, Records / 2, Records);
    }

    private static bool TryWrite(RecordRing ring, int length, byte fill)
    {
        if (!ring.TryReserve(length, out var record))
        {
            return false;
        }

        record.Fill(fill);
        ring.Commit();
        return true;
    }

    /// <summary>A record of 40 bytes with its length and what rounds it up.</summary>
    private const int LongestBytes = 51;

    private static bool IsQueue(int[] steps)
    {
        var ring = new RecordRing(256);
        var model = new Queue<(int Length, byte Fill)>();
        var dropped = 0L;
        byte fill = 0;
        foreach (var step in steps)
        {
            if (step >= 0)
            {
                fill++;
                if (TryWrite(ring, step, fill))
                {
                    model.Enqueue((step, fill));
                }
                else
                {
                    // It may only refuse when it holds so much that there is no room, with what is wasted at its end for this record and was for one before.
                    dropped++;
                    Assert.True(model.Sum(m => m.Length + 11) + (2 * (step + 11)) + LongestBytes > 256, $"{model.Count} records were too many");
                }
            }
            else if (ring.TryRead(out var record))
            {
                var (length, expected) = model.Dequeue();
                Assert.Equal(length, record.Length);
                Assert.Equal(-1, record.IndexOfAnyExcept(expected));
                ring.Release();
            }
            else
            {
                Assert.Empty(model);
            }
        }

        return ring.Dropped == dropped;
    }
}
