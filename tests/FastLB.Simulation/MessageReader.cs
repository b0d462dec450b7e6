using System.Globalization;
using System.Text;

namespace FastLB.Simulation;

/// <summary>
/// Reads HTTP/1.1 messages off a connection in the plainest way, byte by byte, apart from the product's parsers. What it cannot
/// read is a failure: whatever the balancer passes on has to be well-formed.
/// </summary>
internal abstract class MessageReader
{
    private enum State
    {
        Head,
        Length,
        ChunkSize,
        ChunkData,
        ChunkEnd,
        LastLine,
        UntilEnd,
        Raw,
    }

    private readonly List<byte> _line = [];
    private readonly List<string> _head = [];
    private State _state;
    private long _remaining;

    protected enum BodyShape
    {
        None,
        Framed,
        UntilEnd,
        Raw,
    }

    /// <summary>True between two messages.</summary>
    internal bool IsBetweenMessages => _state == State.Head && _head.Count == 0 && _line.Count == 0;

    /// <summary>True while only the end of the connection ends the body.</summary>
    internal bool ReadsUntilEnd => _state == State.UntilEnd;

    internal bool IsRaw => _state == State.Raw;

    protected string StartLine => _head[0];

    protected abstract BodyShape OnHead();

    protected abstract void OnBody(ReadOnlySpan<byte> bytes);

    protected abstract void OnMessageEnd();

    protected abstract void OnRaw(ReadOnlySpan<byte> bytes);

    /// <summary>Told with the first line of a message as soon as that is there.</summary>
    protected virtual void OnStartLine(string line)
    {
    }

    internal void EndWithConnection()
    {
        if (_state == State.UntilEnd)
        {
            Finish();
        }
    }

    /// <summary>Asked before each message: true while the next one has to wait.</summary>
    protected virtual bool IsHolding => false;

    /// <summary>Reads what is there; how many bytes it took is fewer than all only when a message has to wait.</summary>
    internal int Feed(ReadOnlySpan<byte> bytes)
    {
        var total = bytes.Length;
        while (!bytes.IsEmpty && !(IsBetweenMessages && IsHolding))
        {
            if (_state == State.Raw)
            {
                OnRaw(bytes);
                return total;
            }

            if (_state is State.Length or State.ChunkData or State.UntilEnd)
            {
                var taken = _state == State.UntilEnd ? bytes.Length : (int)Math.Min(_remaining, bytes.Length);
                OnBody(bytes[..taken]);
                bytes = bytes[taken..];
                _remaining -= taken;
                if (_state != State.UntilEnd && _remaining == 0)
                {
                    if (_state == State.Length)
                    {
                        Finish();
                    }
                    else
                    {
                        _state = State.ChunkEnd;
                    }
                }

                continue;
            }

            _line.Add(bytes[0]);
            bytes = bytes[1..];
            if (_line is [.., (byte)'\r', (byte)'\n'])
            {
                var line = Encoding.Latin1.GetString([.. _line.Take(_line.Count - 2)]);
                _line.Clear();
                OnLine(line);
            }
            else if (_line.Count > 70_000)
            {
                throw new SimulationFailedException("a line without an end was passed on");
            }
        }

        return total - bytes.Length;
    }

    protected string? Header(string name)
    {
        foreach (var line in _head.Skip(1))
        {
            if (line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
            {
                return line[(name.Length + 1)..].Trim();
            }
        }

        return null;
    }

    private void OnLine(string line)
    {
        switch (_state)
        {
            case State.Head when line.Length > 0:
                _head.Add(line);
                if (_head.Count == 1)
                {
                    OnStartLine(line);
                }

                break;
            case State.Head:
                BeginBody();
                break;
            case State.ChunkSize:
                _remaining = long.Parse(line, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                _state = _remaining == 0 ? State.LastLine : State.ChunkData;
                break;
            case State.ChunkEnd when line.Length == 0:
                _state = State.ChunkSize;
                break;
            case State.LastLine when line.Length == 0:
                Finish();
                break;
            default:
                throw new SimulationFailedException($"'{line}' was passed on where chunk framing has to be");
        }
    }

    private void BeginBody()
    {
        if (_head.Count == 0)
        {
            throw new SimulationFailedException("an empty line was passed on where a message begins");
        }

        foreach (var line in _head.Skip(1))
        {
            if (line.IndexOf(':', StringComparison.Ordinal) <= 0 || line.Contains('\n', StringComparison.Ordinal))
            {
                throw new SimulationFailedException($"'{line}' was passed on as a header");
            }
        }

        var length = Header("Content-Length");
        var coding = Header("Transfer-Encoding");
        switch (OnHead())
        {
            case BodyShape.Raw:
                _state = State.Raw;
                break;
            case BodyShape.UntilEnd when length is null && coding is null:
                _state = State.UntilEnd;
                break;
            case BodyShape.None:
                Finish();
                break;
            default:
                if (coding is not null && length is not null)
                {
                    throw new SimulationFailedException("two framings were passed on");
                }

                _remaining = length is null ? 0 : long.Parse(length, CultureInfo.InvariantCulture);
                _state = coding is not null ? State.ChunkSize : State.Length;
                if (_state == State.Length && _remaining == 0)
                {
                    Finish();
                }

                break;
        }
    }

    private void Finish()
    {
        _state = State.Head;
        OnMessageEnd();
        _head.Clear();
    }
}
