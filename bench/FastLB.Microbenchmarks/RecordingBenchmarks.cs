using BenchmarkDotNet.Attributes;
using FastLB.Core.Http;
using FastLB.Core.Recording;

namespace FastLB.Microbenchmarks;

/// <summary>What does a line of the access log cost a loop: to keep what the head says, to write it into the ring?</summary>
[MemoryDiagnoser]
public class RecordingBenchmarks
{
    private readonly RecordRing _ring = new(64 * 1024);
    private readonly RequestRecord _record = new();

    [Benchmark]
    public bool KeepAndWrite()
    {
        _record.Clear();
        _record.KeepHead("GET"u8, "/some/path?with=query"u8, "http://example.com/"u8, "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"u8);
        var written = _record.TryWrite(_ring, "127.0.0.1:8000"u8, "app"u8);
        if (_ring.TryRead(out _))
        {
            _ring.Release();
        }

        return written;
    }
}

/// <summary>What does it cost to follow the frames of a WebSocket, per buffer of small messages and of one large one?</summary>
[MemoryDiagnoser]
public class WebSocketBenchmarks
{
    private readonly byte[] _small = [.. Enumerable.Repeat<byte[]>([0x81, 5, 1, 2, 3, 4, 5], 100).SelectMany(f => f)];
    private readonly byte[] _large = [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0, .. new byte[65_536]];
    private WebSocketScanner _scanner = new(isFromClient: false);

    [Benchmark]
    public long HundredSmall() => Follow(_small);

    [Benchmark]
    public long OneLarge() => Follow(_large);

    private long Follow(ReadOnlySpan<byte> bytes)
    {
        var before = _scanner.Messages;
        for (var at = 0; at < bytes.Length;)
        {
            at += _scanner.Advance(bytes[at..]);
        }

        return _scanner.Messages - before;
    }
}
