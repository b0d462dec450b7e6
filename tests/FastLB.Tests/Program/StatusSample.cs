using FastLB.Admin;

namespace FastLB.Tests.Programs;

/// <summary>A status with something in every field.</summary>
internal static class StatusSample
{
    public static ServerStatus Create(string secondState = "backoff", bool draining = false) => new(
        "1.2.3",
        DateTimeOffset.UnixEpoch.AddSeconds(1_700_000_000.5),
        3725,
        42,
        "epoll",
        "io-uring is not built in",
        draining,
        [new LoopStatus(0, 1, 3, 2, 1000, 4096, 5, 6), new LoopStatus(1, null, 0, 0, 0, 0, 0, 0)],
        [new ListenerStatus("127.0.0.1:8000", "http", 3), new ListenerStatus("unix:/run/\"a\\b\".sock", "tcp", null)],
        [
            new PoolStatus(
                "app",
                "two-choices",
                "FASTLB",
                1000,
                new Dictionary<string, long> { ["connect-failed"] = 2, ["queue-full"] = 0 },
                [
                    new WorkerStatus("app/0", 0, 2, WorkerStatus.Ready, 4711, "127.0.0.1:40001", 3, 999, 2, 1, "signal 9", DateTimeOffset.UnixEpoch),
                    new WorkerStatus("app/0", 0, 3, "starting", 4713, "127.0.0.1:40003", 0, 0, 0, 1, "signal 9", DateTimeOffset.UnixEpoch),
                ]),
            new PoolStatus(
                "legacy",
                "round-robin",
                null,
                0,
                new Dictionary<string, long>(),
                [new WorkerStatus("legacy/0", 0, 0, secondState, null, null, 0, 0, 0, 0, null, null)]),
        ],
        new TotalsStatus(
            1003,
            20,
            3,
            123_456_789_012,
            5,
            4,
            new Dictionary<string, long> { ["2xx"] = 998, ["5xx"] = 2 },
            new Dictionary<string, long> { ["connect-failed"] = 2, ["bad-request"] = 3 },
            new LatencyStatus(997, 1.5, 0.00025, 0.0012, 0.05, 1.25, 2, [new LatencyBound(0.001, 900), new LatencyBound(2.5, 997)])));
}
