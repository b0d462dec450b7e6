namespace FastLB.SystemTests.Program;

/// <summary>One FastLB with two of its demo workers, shared by the tests of a class.</summary>
public abstract class DemoFleet(string engine) : IAsyncLifetime
{
    internal FastLbUnderTest FastLb { get; private set; } = null!;

    public async Task InitializeAsync() => FastLb = await FastLbUnderTest.Start($$"""
        engine: {{engine}}
        loops: 1
        admin: { bind: ADMIN }
        timeouts: { head: 2s }
        limits: { body: 50GB }
        listeners:
          - { bind: LISTEN, pool: app }
        pools:
          app:
            strategy: round-robin
            run: { command: DEMO, instances: 2 }
        """);

    public async Task DisposeAsync()
    {
        if (FastLb is not null)
        {
            await FastLb.DisposeAsync();
        }
    }

    internal async Task<long> RequestsAtWorkers() => (await FastLb.Workers()).Sum(w => (long)w["requests"]!);
}
