using System.Collections;

namespace FastLB.DemoWorker;

/// <summary>
/// <c>fastlb demo-worker</c>: the process that <c>fastlb demo</c> runs many of. It is told what every worker is told, by its
/// environment, and knows nothing else of FastLB. SIGTERM lets running requests finish and exits 0.
/// </summary>
internal static class DemoWorkerProgram
{
    public static int Run(IDictionary environment)
    {
        if (DemoWorkerIdentity.FromEnvironment(environment) is not { } identity)
        {
            Console.Error.WriteLine("fastlb demo-worker: PORT is not set to a port or the path of a socket. FastLB sets it when it runs workers; start 'fastlb demo' instead, or set PORT=9000.");
            return 2;
        }

        try
        {
            using var application = DemoWorkerApplication.Build(identity, Environment.Exit);

            // Run returns after SIGTERM or SIGINT, when the requests that were running are answered.
            application.Run();
            return 0;
        }
        catch (OperationCanceledException)
        {
            // SIGTERM came while it was still starting: there was nothing to finish.
            return 0;
        }
        catch (IOException failure)
        {
            Console.Error.WriteLine($"fastlb demo-worker: cannot listen on {identity.Listen}: {failure.Message}");
            return 1;
        }
    }
}
