using System.Globalization;
using System.Text;
using FastLB.Core.Balancing;
using FastLB.Core.Forwarding;

namespace FastLB.Simulation;

/// <summary>
/// The PROXY header at the beginning of a worker's connection, read byte by byte and apart from the product's parser. It says whose connection it is, as text; what is no header is a failure.
/// </summary>
internal sealed class SimProxyHeader(ProxyVersion version)
{
    private readonly List<byte> _bytes = [];

    internal bool IsComplete { get; private set; }

    /// <summary>The client's address without its port.</summary>
    internal string Source { get; private set; } = "";

    /// <summary>Takes bytes off as long as the header is not complete, and answers the rest.</summary>
    internal ReadOnlySpan<byte> Take(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !IsComplete)
        {
            _bytes.Add(bytes[0]);
            bytes = bytes[1..];
            IsComplete = version == ProxyVersion.V1 ? TakeLine() : TakeBinary();
        }

        return bytes;
    }

    private bool TakeLine()
    {
        if (_bytes is not [.., (byte)'\r', (byte)'\n'])
        {
            Require(_bytes.Count < 107);
            return false;
        }

        var words = Encoding.Latin1.GetString([.. _bytes]).TrimEnd('\r', '\n').Split(' ');
        Require(words is ["PROXY", "TCP4", _, _, _, "8000"]);
        Source = words[2];
        return true;
    }

    private bool TakeBinary()
    {
        if (_bytes.Count < 28)
        {
            return false;
        }

        Require(Encoding.Latin1.GetString([.. _bytes.Take(16)]) == "\r\n\r\n\0\r\nQUIT\n\u0021\u0011\0\u000c" && (_bytes[26] * 256) + _bytes[27] == 8000);
        Source = string.Join('.', _bytes.Skip(16).Take(4).Select(b => b.ToString(CultureInfo.InvariantCulture)));
        return true;
    }

    private void Require(bool holds)
    {
        if (!holds)
        {
            throw new SimulationFailedException($"a worker got {Convert.ToHexString([.. _bytes])} where a PROXY header has to be");
        }
    }
}
