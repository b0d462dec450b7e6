using System.Collections;
using System.Globalization;

namespace FastLB.DemoWorker;

/// <summary>Who a demo worker is, from the environment that FastLB gives to each worker.</summary>
internal sealed record DemoWorkerIdentity(string Name, int Slot, int Generation, Endpoint Listen)
{
    /// <summary>
    /// Reads PORT (a port number, or the path of a unix socket), FASTLB_WORKER, FASTLB_SLOT and FASTLB_GENERATION. Null when PORT
    /// is missing or neither; the others have defaults, so that the worker can also be started by hand.
    /// </summary>
    public static DemoWorkerIdentity? FromEnvironment(IDictionary environment)
    {
        var port = environment["PORT"] as string ?? "";
        return Endpoint.TryParse(port.StartsWith('/') ? $"unix:{port}" : $"127.0.0.1:{port}", out var listen, out _)
            ? new DemoWorkerIdentity(
                environment["FASTLB_WORKER"] as string ?? "demo/0",
                Number(environment["FASTLB_SLOT"]),
                Number(environment["FASTLB_GENERATION"]),
                listen)
            : null;
    }

    private static int Number(object? text) =>
        int.TryParse(text as string, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;
}
