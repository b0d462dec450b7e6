using FastLB.Core.Loop;

namespace FastLB.Simulation;

/// <summary>
/// A client of the TCP listener: it sends a byte that says who it is and then bytes of its own, which its worker sends back. It ends
/// its sending side behind them and reads to the end.
/// </summary>
internal sealed class SimTcpClient(SimNetwork network, Func<SimSocket?> connect, byte identity, int length, int breakAfterRead)
{
    private readonly byte[] _chunk = new byte[16 * 1024];
    private SimSocket? _socket;
    private bool _endSent;
    private int _helloWritten;

    internal byte Identity { get; } = identity;

    /// <summary>A PROXY header, or nothing.</summary>
    internal byte[] Hello { get; init; } = [];

    /// <summary>Who it is for its worker.</summary>
    internal string Address { get; init; } = "";

    /// <summary>It does not come in, because of what it says first or does not say.</summary>
    internal bool IsShutOut { get; init; }

    internal bool IsDone { get; private set; }

    internal long BytesRead { get; private set; }

    internal int Written { get; private set; }

    internal int Length { get; } = length;

    /// <summary>The stream ended as if nothing of it were missing.</summary>
    internal bool SawCleanEnd { get; private set; }

    internal void Act()
    {
        if (IsDone || network.IsDelayed())
        {
            return;
        }

        _socket ??= connect();
        if (_socket is null)
        {
            IsDone = true;
            return;
        }

        Write();
        if (!IsDone)
        {
            Read();
        }
    }

    private void Write()
    {
        if (Written < Length)
        {
            var bytes = _helloWritten < Hello.Length ? Hello.AsSpan(_helloWritten, network.Portion(Hello.Length - _helloWritten)).ToArray()
                : Written == 0
                ? [Identity]
                : Pattern.Make(Identity, Pattern.Tunnel, network.Portion(Math.Min(Length - Written, 8192)), Written);
            var sent = _socket!.Write(bytes);
            if (sent < 0 && sent != -IoError.TryAgain)
            {
                Close(reset: true);
                return;
            }

            if (_helloWritten < Hello.Length)
            {
                _helloWritten += Math.Max(0, sent);
                return;
            }

            Written += Math.Max(0, sent);
        }
        else if (!_endSent)
        {
            _endSent = true;
            _socket!.ShutdownWrite();
        }
    }

    private void Read()
    {
        var count = _socket!.Read(_chunk.AsSpan(0, network.Portion(_chunk.Length)));
        if (count == -IoError.TryAgain)
        {
            return;
        }

        if (count <= 0)
        {
            SawCleanEnd = count == 0;
            Close(reset: count < 0);
            return;
        }

        if (IsShutOut)
        {
            throw new SimulationFailedException($"TCP client {Identity} must not come in, and a worker answers it");
        }

        var bytes = _chunk.AsSpan(0, count);
        if (BytesRead == 0)
        {
            if (bytes[0] != Identity)
            {
                throw new SimulationFailedException($"TCP client {Identity} got a byte of {bytes[0]}");
            }

            BytesRead = 1;
            bytes = bytes[1..];
        }

        Pattern.Check(bytes, Identity, Pattern.Tunnel, BytesRead, "the TCP client");
        BytesRead += bytes.Length;
        if (breakAfterRead >= 0 && BytesRead >= breakAfterRead)
        {
            Close(reset: network.Chance.Chance(0.5));
        }
    }

    private void Close(bool reset)
    {
        _socket!.Close(reset);
        IsDone = true;
    }
}
