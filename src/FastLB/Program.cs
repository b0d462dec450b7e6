using FastLB.Commands;
using FastLB.DemoWorker;
using FastLB.Linux;

StandardDescriptors.EnsureOpen();

// The demo worker is told everything by its environment and should be up at once, so it goes round the command line.
return args is ["demo-worker"]
    ? DemoWorkerProgram.Run(Environment.GetEnvironmentVariables())
    : CommandLine.Invoke(args, Console.Out, Console.Error);
