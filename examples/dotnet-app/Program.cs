// An ASP.NET Core application as FastLB runs it. It does nothing for FastLB: ASPNETCORE_URLS says where it listens.
var application = WebApplication.CreateSlimBuilder(args).Build();

var slot = Environment.GetEnvironmentVariable("FASTLB_SLOT") ?? "0";
var requests = 0;

application.MapGet("/", (HttpRequest request) =>
    $"Hello from slot {slot}, pid {Environment.ProcessId}: request {Interlocked.Increment(ref requests)}, "
    + $"client {request.Headers["X-Forwarded-For"]}\n");
application.MapGet("/healthz", () => "ok\n");

application.Run();
