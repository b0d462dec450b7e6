using System.Net;
using System.Net.Sockets;
using FastLB.Configuration;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary>One valid configuration that has every key, and how the tests read it.</summary>
internal static class ConfigurationSample
{
    public const string Text =
        """
        engine: epoll
        loops: 2
        admin: { bind: 127.0.0.1:8001 }
        timeouts:
          head: 5s
          body: 20s
          keepAlive: 45s
          connect: 500ms
          response: 10s
          tunnel: 2h
          queue: 3s
          drain: 15s
        limits: { head: 16KB, target: 4KB, headers: 64, body: 1MB }
        listeners:
          - bind: 127.0.0.1:8000
            timeouts: { head: 2s }
            limits: { body: unlimited }
            routes:
              - { host: api.example.com, path: /v1/, pool: api }
              - { host: "*.example.com", pool: legacy }
              - { pool: app }
          - bind: "[::1]:9000"
            protocol: tcp
            pool: legacy
        pools:
          app:
            strategy: two-choices
            sticky: { cookie: SID, secret: 0123456789abcdef, strip: false }
            timeouts: { connect: 250ms }
            run:
              command: [sh, server.js, --name, ""]
              instances: 3
              directory: .
              environment: { NODE_ENV: production, WORKERS: 4, EMPTY: "" }
              transport: unix
              readyTimeout: 20s
              killTimeout: 1s
          api:
            strategy: round-robin
            sticky: true
            workers: ["unix:/run/api.sock"]
          legacy:
            workers:
              - 127.0.0.1:9001
              - { address: backend.test:9002, weight: 2 }

        """;

    /// <summary>A resolver that knows a few names and asks nobody.</summary>
    public static IPAddress[] Resolve(string host) => host switch
    {
        "backend.test" => [IPAddress.Parse("10.0.0.7")],
        "several.test" => [IPAddress.Parse("10.0.0.7"), IPAddress.Parse("10.0.0.8"), IPAddress.Parse("fd00::1")],
        "both.test" => [IPAddress.Parse("10.0.0.7"), IPAddress.Parse("fd00::1")],
        "empty.test" => [],
        _ => throw new SocketException((int)SocketError.HostNotFound),
    };

    public static ConfigurationResult Read(string text) => ConfigurationFile.Parse(text, "fastlb.yaml", "/", Resolve);
}
