using FastLB.Core.Loop;

namespace FastLB.Simulation.Contract;

/// <summary>A peer that writes down what happens to it and does what a test says. It checks on the way that no callback runs inside a submit.</summary>
public sealed class ContractPeer(EventLoop loop) : Peer
{
    private readonly List<string> _events = [];
    private readonly List<byte> _bytes = [];
    private bool _isSubmitting;
    private bool _receivesAll;

    /// <summary>The callbacks in their order, as <c>name result</c>.</summary>
    public IReadOnlyList<string> Events => _events;

    public IReadOnlyList<byte> Bytes => _bytes;

    /// <summary>What to do in a callback, by its name.</summary>
    public Dictionary<string, Action<ContractPeer>> On { get; } = [];

    /// <summary>Buffers that it was given and keeps, when <see cref="KeepsBuffers"/>.</summary>
    public List<LoopBuffer> Kept { get; } = [];

    public bool KeepsBuffers { get; init; }

    /// <summary>When false, what is received stands in <see cref="LastBuffer"/>, whose reference is that of the "received" action.</summary>
    public bool KeepsBytes { get; set; } = true;

    public LoopBuffer? LastBuffer { get; private set; }

    public int LastLength { get; private set; }

    /// <summary>How many callbacks begin with these words.</summary>
    public int Count(string name) => _events.Count(e => e.StartsWith(name, StringComparison.Ordinal));

    /// <summary>Receives again and again, until the end.</summary>
    public void ReceiveAll()
    {
        _receivesAll = true;
        Receive();
    }

    public void Receive() => Submit(() => loop.Receive(this));

    public void Send(ReadOnlySpan<byte> bytes)
    {
        var buffer = loop.Buffers.TryRent(bytes.Length);
        Assert.NotNull(buffer);
        bytes.CopyTo(buffer.Memory.AsSpan(LoopBuffer.DataOffset));
        Send(buffer, bytes.Length);
    }

    public void Send(LoopBuffer buffer, int length) =>
        Submit(() => loop.Send(this, buffer, LoopBuffer.DataOffset, LoopBuffer.DataOffset + length));

    public void Close(bool reset = false) => Submit(() => loop.Close(this, reset));

    public void MoveTo(ContractPeer target, long limit) => Submit(() => target.Submit(() => loop.Move(this, target, limit)));

    public void ShutdownSend() => Submit(() => loop.ShutdownSend(this));

    public void Connect(Endpoint endpoint) => Submit(() => loop.Connect(this, endpoint));

    public override void OnAccepted() => Note("accepted", 0);

    public override void OnConnected(int result) => Note("connected", result);

    public override void OnReceived(LoopBuffer? buffer, int result)
    {
        (LastBuffer, LastLength) = (buffer, result);
        if (!KeepsBytes)
        {
            Note("received", result);
            return;
        }

        if (result > 0)
        {
            Assert.NotNull(buffer);
            _bytes.AddRange(buffer.Span(LoopBuffer.DataOffset, LoopBuffer.DataOffset + result));
            if (KeepsBuffers)
            {
                Kept.Add(buffer);
            }
            else
            {
                buffer.Release();
            }
        }
        else
        {
            Assert.Null(buffer);
        }

        Note("received", result);
        if (_receivesAll && result > 0 && IsOpen && !IsReceiving)
        {
            Receive();
        }
    }

    public override void OnSent(int result) => Note("sent", result);

    /// <summary>The end of the last move.</summary>
    public MoveResult MoveResult { get; private set; }

    public override void OnMoved(in MoveResult result)
    {
        MoveResult = result;
        Note($"moved {result.End} {result.Bytes}", result.Error);
    }

    public override void OnClosed()
    {
        _receivesAll = false;
        Note("closed", 0);
    }

    public override void OnTimer() => Note("timer", 0);

    private void Submit(Action submit)
    {
        _isSubmitting = true;
        submit();
        _isSubmitting = false;
    }

    private void Note(string name, int result)
    {
        Assert.False(_isSubmitting, $"'{name}' was called inside a submit");
        Assert.True(_events.Count == 0 || _events[^1] != "closed 0" || name == "accepted", $"'{name}' came after 'closed'");
        _events.Add($"{name} {result}");
        if (On.TryGetValue(name.Split(' ')[0], out var action))
        {
            action(this);
        }
    }
}

/// <summary>Accepts with the peer that a test wants.</summary>
public sealed class ContractListener(Func<ContractPeer?> next) : Listener
{
    public int Accepting { get; private set; }

    /// <summary>Never has room.</summary>
    public bool IsFull { get; init; }

    /// <summary>How often it was asked for room.</summary>
    public int Asked { get; private set; }

    /// <summary>How often it was told that it listens no more.</summary>
    public int Stopped { get; private set; }

    /// <summary>What to do then.</summary>
    public Action? Stopping { get; set; }

    public override bool MayBeFull => IsFull;

    public override bool TryAdmit()
    {
        Asked++;
        return !IsFull;
    }

    public override void OnStopped()
    {
        Stopped++;
        Stopping?.Invoke();
    }

    public override Peer? OnAccepting(in ClientAddress address)
    {
        Accepting++;
        return next();
    }
}
