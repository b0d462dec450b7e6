using System.Net;
using System.Net.Sockets;
using FastLB.Core.Loop;
using FastLB.Linux;
using FastLB.Simulation.Contract;

namespace FastLB.SystemTests.Loop;

/// <summary>A loop on the kernel, with TCP or unix sockets at the other ends of its connections.</summary>
internal sealed class KernelLoopBench : LoopBench
{
    private readonly KernelLoop _loop;
    private readonly bool _unix;
    private readonly string _directory = Directory.CreateTempSubdirectory("fastlb-loop-").FullName;
    private readonly Socket _listening;
    private Endpoint? _endpoint;

    internal KernelLoopBench(KernelLoop loop, bool unix)
    {
        _loop = loop;
        _unix = unix;
        _listening = NewSocket();
        _listening.Bind(unix ? new UnixDomainSocketEndPoint($"{_directory}/remote") : new IPEndPoint(IPAddress.Loopback, 0));
        _listening.Listen(16);
        if (unix)
        {
            // A socket that was bound and closed: its path is there, and nobody listens.
            using var gone = NewSocket();
            gone.Bind(new UnixDomainSocketEndPoint($"{_directory}/gone"));
            Nowhere = Endpoint.Unix($"{_directory}/nowhere");
            using var left = NewSocket();
            left.Bind(new UnixDomainSocketEndPoint($"{_directory}/left"));
            File.Move($"{_directory}/left", $"{_directory}/nowhere");
        }
        else
        {
            using var probe = NewSocket();
            probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            Nowhere = Endpoint.Ip(IPAddress.Loopback, ((IPEndPoint)probe.LocalEndPoint!).Port);
        }
    }

    public override EventLoop Loop => _loop;

    public override Endpoint Nowhere { get; }

    public override void Listen(Listener listener)
    {
        var endpoint = _unix ? Endpoint.Unix($"{_directory}/loop") : Endpoint.Ip(IPAddress.Loopback, 0);
        Assert.Equal(0, ListenSockets.Open(endpoint, 1, clientSpeaksFirst: false, out var sockets));
        _endpoint = sockets!.Endpoint;
        _loop.Listen(listener, sockets.Descriptors[0]);
    }

    public override RemoteEnd? Connect()
    {
        var socket = NewSocket();
        try
        {
            socket.Connect(_unix ? new UnixDomainSocketEndPoint(_endpoint!.UnixPath!) : new IPEndPoint(_endpoint!.Address!, _endpoint.Port));
            return new Remote(socket);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    public override Endpoint OpenRemote() =>
        _unix ? Endpoint.Unix($"{_directory}/remote") : Endpoint.Ip(IPAddress.Loopback, ((IPEndPoint)_listening.LocalEndPoint!).Port);

    public override RemoteEnd Accept() => new Remote(_listening.Accept());

    public override bool KnowsReset => !_unix;

    public override void Turn(bool sleeps) => _loop.RunTurn(maxWaitMs: sleeps ? -1 : 10);

    public override void Dispose()
    {
        _loop.Dispose();
        _listening.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private Socket NewSocket() => _unix
        ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
        : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

    private sealed class Remote(Socket socket) : RemoteEnd
    {
        public override void Send(ReadOnlySpan<byte> bytes) => Assert.Equal(bytes.Length, socket.Send(bytes));

        public override int TrySend(ReadOnlySpan<byte> bytes)
        {
            socket.Blocking = false;
            return socket.Send(bytes, SocketFlags.None, out _);
        }

        public override void ShutdownSend() => socket.Shutdown(SocketShutdown.Send);

        public override void Close(bool reset = false)
        {
            socket.LingerState = new LingerOption(reset, 0);
            socket.Dispose();
        }

        public override void Dispose() => socket.Dispose();

        protected override int TryRead(Span<byte> target)
        {
            socket.Blocking = false;
            var count = socket.Receive(target, SocketFlags.None, out var error);
            return error switch
            {
                SocketError.Success => count,
                SocketError.WouldBlock => -IoError.TryAgain,
                SocketError.ConnectionReset => -IoError.ConnectionReset,
                _ => -IoError.BrokenPipe,
            };
        }
    }
}
