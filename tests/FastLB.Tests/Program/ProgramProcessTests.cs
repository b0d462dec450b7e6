using System.Net;
using System.Net.Sockets;
using System.Text;

namespace FastLB.Tests.Programs;

/// <summary>What only a process of its own can show: signals and exit codes.</summary>
public class ProgramProcessTests
{
    [Theory]
    [InlineData("TERM")]
    [InlineData("INT")]
    public async Task A_wish_to_stop_ends_the_foreground_with_0_and_other_signals_do_not(string signal)
    {
        var admin = ProgramProcess.FreePort();
        await using var program = ProgramProcess.Start(
            admin,
            ["run", "--listen", $"127.0.0.1:{ProgramProcess.FreePort()}", "--admin", $"127.0.0.1:{admin}", "--instances", "1", "--", "sleep", "1000"]);
        await program.WaitUntilItAnswersAsync("/healthz");

        program.Send("HUP");
        await program.WaitUntilItSaysAsync("FastLB was started without a file, so there is nothing to read again");
        program.Send("USR2");
        await program.WaitUntilItSaysAsync("rolling restart of 1 worker begins");
        await program.WaitUntilItAnswersAsync("/healthz");
        program.Send(signal);

        var (exit, _, error) = await program.EndAsync();
        Assert.True(exit == 0, error);
        Assert.Contains($"SIG{signal}: what runs is finished, then FastLB stops", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task SIGHUP_is_heard_also_where_whoever_started_the_program_ignores_it()
    {
        var admin = ProgramProcess.FreePort();
        await using var program = ProgramProcess.StartBy(
            ["nohup"], admin, ["run", "--listen", $"127.0.0.1:{ProgramProcess.FreePort()}", "--admin", $"127.0.0.1:{admin}", "--instances", "1", "--", "sleep", "1000"]);
        await program.WaitUntilItAnswersAsync("/healthz");

        program.Send("HUP");

        await program.WaitUntilItSaysAsync("SIGHUP: the configuration is read again");
    }

    [Fact]
    public async Task An_admin_address_in_use_ends_the_start_with_1_and_says_who_uses_it()
    {
        await using var worker = await ProgramProcess.StartDemoWorkerAsync();
        await using var program = ProgramProcess.Start(
            worker.Port,
            ["run", "--listen", $"127.0.0.1:{ProgramProcess.FreePort()}", "--admin", $"127.0.0.1:{worker.Port}", "--", "sleep", "1000"]);

        var (exit, _, error) = await program.EndAsync();

        Assert.Equal(1, exit);
        Assert.Contains(
            $"the admin API: cannot listen on 127.0.0.1:{worker.Port}: process {worker.Id} (dotnet) listens there already; stop it or choose another port",
            error,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_address_in_use_ends_the_start_with_1_and_says_who_uses_it()
    {
        await using var worker = await ProgramProcess.StartDemoWorkerAsync();
        await using var program = ProgramProcess.Start(
            worker.Port,
            ["run", "--listen", $"127.0.0.1:{worker.Port}", "--admin", "none", "--", "sleep", "1000"]);

        var (exit, _, error) = await program.EndAsync();

        Assert.Equal(1, exit);
        Assert.Contains(
            $"cannot listen on 127.0.0.1:{worker.Port}: process {worker.Id} (dotnet) listens there already; stop it or choose another port",
            error,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_demo_worker_finishes_its_request_after_sigterm_and_exits_0()
    {
        await using var worker = await ProgramProcess.StartDemoWorkerAsync();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, worker.Port, patience.Token);
        await using var stream = new NetworkStream(socket);

        // The body is answered piece by piece, so the request is known to run when its first piece is back.
        await stream.WriteAsync("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello"u8.ToArray(), patience.Token);
        await ReadUntilAsync(stream, "hello", patience.Token);
        worker.Send("TERM");
        await stream.WriteAsync("world"u8.ToArray(), patience.Token);
        await ReadUntilAsync(stream, "world", patience.Token);

        Assert.Equal((0, "", ""), await worker.EndAsync());
    }

    [Theory]
    [InlineData(2, "PORT is not set to a port", "demo-worker")]
    [InlineData(2, "there is no command 'rnu'", "rnu")]
    [InlineData(2, "there is no such file", "check", "-c", "/not-there/fastlb.yaml")]
    [InlineData(1, "nobody answers on 127.0.0.1:1", "status", "--admin", "127.0.0.1:1")]
    public async Task The_exit_code_tells_a_mistake_from_a_failure(int expected, string sentence, params string[] arguments)
    {
        await using var program = ProgramProcess.Start(0, arguments, ("PORT", ""));

        var (exit, output, error) = await program.EndAsync();

        Assert.Equal((expected, ""), (exit, output));
        Assert.Contains(sentence, error, StringComparison.Ordinal);
    }

    private static async Task ReadUntilAsync(Stream stream, string end, CancellationToken patience)
    {
        var text = "";
        var buffer = new byte[4096];
        while (!text.EndsWith(end, StringComparison.Ordinal))
        {
            var count = await stream.ReadAsync(buffer, patience);
            Assert.True(count > 0, $"the connection ended after: {text}");
            text += Encoding.ASCII.GetString(buffer, 0, count);
        }
    }
}
