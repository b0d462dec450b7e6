// A minimal API that knows nothing of FastLB: ASP.NET Core itself listens where ASPNETCORE_URLS says, finishes running requests on
// SIGTERM, and exits 0.

var builder = WebApplication.CreateSlimBuilder(args);
var app = builder.Build();

// What this process has counted. It is this process's alone, which is what the sticky cookie is good for.
var visits = 0;

app.MapGet("/", () => $"Hello from process {Environment.ProcessId}: visit {Interlocked.Increment(ref visits)}\n");
app.MapGet("/healthz", () => "ok\n");

app.Run();
