using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using FastLB.Commands;
using FastLB.Core.Loop;

namespace FastLB.Tests.Programs;

public class PortUseTests
{
    [Fact]
    public async Task Another_process_that_listens_is_named_and_a_free_port_is_not()
    {
        await using var other = await ProgramProcess.StartDemoWorkerAsync();

        Assert.Equal($"process {other.Id} (dotnet)", PortUse.WhoListens(Endpoint.Ip(IPAddress.Loopback, other.Port)));
        Assert.Equal($"process {other.Id} (dotnet)", PortUse.WhoListens(Endpoint.Ip(IPAddress.Any, other.Port)));
        Assert.Null(PortUse.WhoListens(Endpoint.Ip(IPAddress.Loopback, ProgramProcess.FreePort())));
        Assert.Null(PortUse.WhoListens(Endpoint.Unix("/tmp/nobody.sock")));
    }

    [Fact]
    public void This_process_is_not_somebody_else()
    {
        using var own = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp);
        own.Bind(new IPEndPoint(IPAddress.IPv6Loopback, 0));
        own.Listen();

        Assert.Null(PortUse.WhoListens(Endpoint.Ip(IPAddress.IPv6Loopback, ((IPEndPoint)own.LocalEndPoint!).Port)));
    }
}
