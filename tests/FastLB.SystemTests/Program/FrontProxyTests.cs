namespace FastLB.SystemTests.Program;

/// <summary>FastLB behind the load balancers that others have in front: the worker sees the client and not the one in front.</summary>
/// <remarks>The client connects from 127.0.0.2, so that its address is not that of who stands between.</remarks>
public abstract class FrontProxyTests(string engine) : TestsOfAnEngine(engine)
{
    private const string StreamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";
    private const string Configuration = """
        loops: 1
        admin: { bind: ADMIN }
        listeners:
          - { bind: LISTEN0, pool: app, proxyProtocol: required }
          - { bind: LISTEN1, pool: app, forwarding: { trustedProxies: [127.0.0.1] } }
        pools: { app: { run: { command: DEMO, instances: 1 } } }
        """;

    // Towards HTTP upstreams nginx has headers only; its stream module sends PROXY headers, and of version 1 alone.
    [NeedsToolsFact("nginx", StreamModule, "curl")]
    public async Task Nginx_in_front_tells_the_client_by_PROXY_v1_and_by_X_Forwarded_For()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration);
        var (stream, http) = (FastLbUnderTest.FreePort(), FastLbUnderTest.FreePort());
        using var nginx = new Front($$"""
            load_module {{StreamModule}};
            daemon off; pid DIRECTORY/pid; error_log stderr;
            events {}
            stream { server { listen 127.0.0.1:{{stream}}; proxy_protocol on; proxy_pass 127.0.0.1:{{fastlb.PortOf("LISTEN0")}}; } }
            http {
              access_log off; client_body_temp_path DIRECTORY/a; proxy_temp_path DIRECTORY/b; fastcgi_temp_path DIRECTORY/c; uwsgi_temp_path DIRECTORY/d; scgi_temp_path DIRECTORY/e;
              server {
                listen 127.0.0.1:{{http}};
                location / { proxy_pass http://127.0.0.1:{{fastlb.PortOf("LISTEN1")}}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }
              }
            }
            """, "nginx", "-p", "DIRECTORY", "-e", "stderr", "-c", "FILE");
        await nginx.TellsTheClient(stream, forwardedFor: "127.0.0.2");
        await nginx.TellsTheClient(http, forwardedFor: "203.0.113.7, 127.0.0.2, 127.0.0.1");
    }

    [NeedsToolsFact("haproxy", "curl")]
    public async Task Haproxy_in_front_tells_the_client_by_PROXY_v2()
    {
        await using var fastlb = await FastLbUnderTest.Start(Configuration);
        var (tcp, http) = (FastLbUnderTest.FreePort(), FastLbUnderTest.FreePort());
        using var haproxy = new Front($$"""
            defaults
              timeout connect 5s
              timeout client 20s
              timeout server 20s
            listen connections
              mode tcp
              bind 127.0.0.1:{{tcp}}
              server fastlb 127.0.0.1:{{fastlb.PortOf("LISTEN0")}} send-proxy-v2
            listen requests
              mode http
              bind 127.0.0.1:{{http}}
              server fastlb 127.0.0.1:{{fastlb.PortOf("LISTEN0")}} send-proxy-v2

            """, "haproxy", "-db", "-f", "FILE");
        await haproxy.TellsTheClient(tcp, forwardedFor: "127.0.0.2");
        await haproxy.TellsTheClient(http, forwardedFor: "127.0.0.2");
    }

    /// <summary>The program in front, with its configuration in a directory of its own.</summary>
    private sealed class Front : IDisposable
    {
        private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("fastlb-front-");
        private readonly RunningProgram _program;

        public Front(string configuration, string program, params string[] arguments)
        {
            var file = Path.Combine(_directory.FullName, "configuration");
            File.WriteAllText(file, InDirectory(configuration));
            _program = RunningProgram.Start(program, arguments.Select(a => InDirectory(a).Replace("FILE", file, StringComparison.Ordinal)));
        }

        /// <summary>Several requests by one connection and several connections, with an address that the client claims and one that it has.</summary>
        public async Task TellsTheClient(int port, string forwardedFor)
        {
            await Eventually.True(async () => (await Curl(port, "/pid")).Length > 0, "the proxy in front answers", () => _program.Errors);
            for (var i = 0; i < 3; i++)
            {
                var heads = await Curl(port, "/headers?[1-3]");
                Assert.Equal(3, heads.Split($"\nX-Forwarded-For: {forwardedFor}\n").Length - 1);
                Assert.Equal(3, heads.Split("\nX-Forwarded-For: ").Length - 1);
            }
        }

        public void Dispose()
        {
            _program.Dispose();
            _directory.Delete(recursive: true);
        }

        private string InDirectory(string text) => text.Replace("DIRECTORY", _directory.FullName, StringComparison.Ordinal);

        private static async Task<string> Curl(int port, string target)
        {
            using var curl = RunningProgram.Start(
                "curl", ["-sS", "--max-time", "20", "--interface", "127.0.0.2", "-H", "X-Forwarded-For: 203.0.113.7", $"http://127.0.0.1:{port}{target}"]);
            await curl.Exit(TimeSpan.FromSeconds(30));
            return curl.Output;
        }
    }
}

public sealed class FrontProxyOnEpollTests() : FrontProxyTests("epoll");

public sealed class FrontProxyOnAutoTests() : FrontProxyTests("auto");
