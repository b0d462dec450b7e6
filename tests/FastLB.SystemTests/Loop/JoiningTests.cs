using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>Two connections whose bytes the kernel passes on by itself, on both engines. Needs the right to load BPF programs.</summary>
public class JoiningTests
{
    public static TheoryData<string> Engines => ["epoll", "io_uring"];

    [NeedsBpfTheory]
    [MemberData(nameof(Engines))]
    public void What_was_sent_before_and_during_the_joining_arrives_once_and_in_order(string engine)
    {
        using var scene = new Scene(engine);
        for (var i = 0; i < Rounds; i++)
        {
            // Who talks first: nobody, one, the other, both; the rest is sent while the joining goes on.
            var early = i % 4;
            var (client, first, second, worker) = scene.Pair();
            var up = Pattern.Make(i, Pattern.Request, 20_000);
            var down = Pattern.Make(i, Pattern.Response, 20_000);
            var earlyUp = (early & 1) != 0 ? 1 + (i * 37 % 5_000) : 0;
            var earlyDown = (early & 2) != 0 ? 1 + (i * 53 % 5_000) : 0;
            SendAll(client, up.AsSpan(0, earlyUp));
            SendAll(worker, down.AsSpan(0, earlyDown));
            using var talking = new ManualResetEventSlim();
            var talker = new Thread(() =>
            {
                talking.Set();
                for (var at = 0; at < 20_000; at += 100)
                {
                    SendAll(client, Piece(up, earlyUp, at));
                    SendAll(worker, Piece(down, earlyDown, at));
                }
            });
            talker.Start();
            talking.Wait();
            Assert.True(scene.Loop.TryJoin(first, second));
            scene.Bench.RunUntil(
                () =>
                {
                    client.Read();
                    worker.Read();
                    return worker.Received.Count >= up.Length && client.Received.Count >= down.Length;
                },
                $"in round {i} all bytes arrive");
            talker.Join();
            Assert.Equal((up.Length, down.Length), (worker.Received.Count, client.Received.Count));
            Pattern.Check([.. worker.Received], i, Pattern.Request, 0, "the worker");
            Pattern.Check([.. client.Received], i, Pattern.Response, 0, "the client");
            Assert.Empty(first.Bytes);
            scene.Close(first, second);
            client.Dispose();
            worker.Dispose();
        }
    }

    [NeedsBpfTheory]
    [MemberData(nameof(Engines))]
    public void The_end_of_a_stream_is_told_when_all_before_it_was_handed_on_and_the_other_direction_lives(string engine)
    {
        using var scene = new Scene(engine);
        for (var i = 0; i < 50; i++)
        {
            var (client, first, second, worker) = scene.Pair();
            Assert.True(scene.Loop.TryJoin(first, second));
            var up = Pattern.Make(i, Pattern.Request, 100_000);
            first.On["moved"] = _ => second.ShutdownSend();
            second.On["moved"] = _ => first.ShutdownSend();
            SendAll(client, up);
            client.ShutdownSend();
            scene.Bench.RunUntil(() => { worker.Read(); return worker.SawEnd; }, "the end arrives");
            Assert.Equal(up.Length, worker.Received.Count);
            Assert.Equal(new MoveResult(MoveEnd.SourceEnded, up.Length, 0), first.MoveResult);
            Assert.False(first.IsReceiving);
            Assert.True(second.IsMoving, string.Join(", ", second.Events));
            SendAll(worker, "still here"u8);
            worker.ShutdownSend();
            scene.Bench.RunUntil(() => { client.Read(); return client.SawEnd; }, "the other end arrives");
            Assert.Equal("still here"u8.ToArray(), client.Received);
            Assert.Equal(new MoveResult(MoveEnd.SourceEnded, 10, 0), second.MoveResult);
            scene.Close(first, second);
            client.Dispose();
            worker.Dispose();
        }
    }

    [NeedsBpfTheory]
    [MemberData(nameof(Engines))]
    public void A_source_far_ahead_of_its_target_is_held_back_and_nothing_of_it_is_lost(string engine)
    {
        using var scene = new Scene(engine);
        var (client, first, second, worker) = scene.Pair();
        Assert.True(scene.Loop.TryJoin(first, second));

        // Copies as a relay does, once the joining has given way.
        first.KeepsBytes = false;
        first.On["moved"] = _ => first.Receive();
        first.On["received"] = p =>
        {
            if (p.LastBuffer is { } buffer)
            {
                second.Send(buffer, p.LastLength);
            }
            else
            {
                second.ShutdownSend();
            }
        };
        second.On["sent"] = _ => first.Receive();
        var sent = 0L;
        var refused = 0;
        var piece = new byte[64 * 1024];

        // Nobody reads. Without a bound this would go on for as long as there is memory.
        scene.Bench.RunUntil(
            () =>
            {
                Pattern.Fill(piece, 1, Pattern.Tunnel, sent);
                var count = client.TrySend(piece);
                sent += Math.Max(0, count);
                refused = count > 0 ? 0 : refused + 1;
                Assert.True(sent < 1L << 30, "a sender is not held back");
                return refused > 50;
            },
            "the sender is held back");
        var read = 0L;
        scene.Bench.RunUntil(
            () =>
            {
                while (worker.Read())
                {
                    // As fast as it can.
                }

                read = worker.Received.Count;
                if (first.Count("moved") == 1 && read == sent && !worker.SawEnd)
                {
                    client.ShutdownSend();
                }

                return worker.SawEnd;
            },
            $"all {sent} bytes arrive");
        Assert.Equal(MoveEnd.Yielded, first.MoveResult.End);
        Assert.Equal(sent, read);
        Pattern.Check([.. worker.Received], 1, Pattern.Tunnel, 0, "the worker");
    }

    [NeedsBpfTheory]
    [MemberData(nameof(Engines))]
    public void A_broken_side_ends_its_direction_with_an_error_and_closing_gives_both_up(string engine)
    {
        using var scene = new Scene(engine);
        var (client, first, second, worker) = scene.Pair();
        Assert.True(scene.Loop.TryJoin(first, second));
        client.Send("x"u8);
        scene.Bench.RunUntil(() => worker.Read(), "it passes");
        worker.Close(reset: true);
        scene.Bench.RunUntil(() => second.Count("moved") == 1, "the breaking is told");
        Assert.Equal((MoveEnd.SourceFailed, -IoError.ConnectionReset), (second.MoveResult.End, second.MoveResult.Error));
        Assert.Equal(0, first.Count("moved"));
        scene.Close(first, second);
        Assert.Equal(0, first.Count("moved"));
        Assert.Equal(0, scene.Loop.Timers.Count);
    }

    [NeedsBpfFact]
    public void A_unix_socket_is_not_joined_and_nothing_has_begun_then()
    {
        var loop = new EpollLoop(0, new BufferPool(), 1);
        Assert.Equal(0, loop.EnableJoining(out _));
        using var bench = new KernelLoopBench(loop, unix: true);
        var first = new ContractPeer(loop);
        var second = new ContractPeer(loop);
        first.Connect(bench.OpenRemote());
        second.Connect(bench.OpenRemote());
        bench.RunUntil(() => first.Count("connected") == 1 && second.Count("connected") == 1, "both connect");
        Assert.False(loop.TryJoin(first, second));
        Assert.False(first.IsReceiving || first.IsSending || second.IsReceiving || second.IsSending);
    }

    private static int Rounds =>
        int.TryParse(Environment.GetEnvironmentVariable("FASTLB_JOIN_ROUNDS"), out var rounds) ? rounds : 200;

    private static ReadOnlySpan<byte> Piece(byte[] bytes, int from, int at) =>
        at + 100 <= from ? default : bytes.AsSpan(Math.Max(from, at), at + 100 - Math.Max(from, at));

    private static void SendAll(RemoteEnd remote, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[Math.Max(0, remote.TrySend(bytes))..];
        }
    }

    /// <summary>A loop that joins, with connections both accepted and opened.</summary>
    private sealed class Scene : IDisposable
    {
        private ContractPeer? _next;

        internal Scene(string engine)
        {
            Loop = engine == "epoll" ? new EpollLoop(0, new BufferPool(), 1) : Uring.Open(new BufferPool());
            Assert.Equal(0, Loop.EnableJoining(out _));
            Bench = new KernelLoopBench(Loop, unix: false);
            Bench.Listen(new ContractListener(() => _next));
        }

        internal KernelLoop Loop { get; }

        internal KernelLoopBench Bench { get; }

        /// <summary>A client that was accepted, and a worker that was connected to.</summary>
        internal (RemoteEnd Client, ContractPeer First, ContractPeer Second, RemoteEnd Worker) Pair()
        {
            var first = _next = new ContractPeer(Loop);
            var client = Bench.Connect()!;
            Bench.RunUntil(() => first.Count("accepted") == 1, "the connection is accepted");
            var second = new ContractPeer(Loop);
            second.Connect(Bench.OpenRemote());
            Bench.RunUntil(() => second.Count("connected") == 1, "the connection is opened");
            return (client, first, second, Bench.Accept());
        }

        internal void Close(ContractPeer first, ContractPeer second)
        {
            first.Close();
            second.Close();
            Bench.RunUntil(() => first.Count("closed") == 1 && second.Count("closed") == 1, "both are closed");
        }

        public void Dispose() => Bench.Dispose();
    }
}

/// <summary>Runs only where this process may load BPF programs.</summary>
internal sealed class NeedsBpfFactAttribute : FactAttribute
{
    public NeedsBpfFactAttribute() => Skip = NeedsBpf.Obstacle;
}

/// <summary>See <see cref="NeedsBpfFactAttribute"/>.</summary>
internal sealed class NeedsBpfTheoryAttribute : TheoryAttribute
{
    public NeedsBpfTheoryAttribute() => Skip = NeedsBpf.Obstacle;
}

internal static class NeedsBpf
{
    internal static string? Obstacle { get; } = Probe();

    private static string? Probe()
    {
        using var loop = new EpollLoop(0, new BufferPool(), 1);
        var result = loop.EnableJoining(out var step);
        return result == 0 ? null : $"{step} is refused with errno {-result}";
    }
}
