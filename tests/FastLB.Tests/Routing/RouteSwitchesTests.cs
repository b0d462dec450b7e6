using FastLB.Core.Routing;

namespace FastLB.Tests.Routing;

public sealed class RouteSwitchesTests
{
    [Fact]
    public void Names_that_come_and_go_do_not_add_up_and_those_that_stay_keep_what_was_said()
    {
        var switches = new RouteSwitches();
        for (var i = 0; i < 100; i++)
        {
            RouteRule[] rules = [new RouteRule("kept", "/kept", "app") { Name = "kept" }, new RouteRule(null, null, "app") { Name = $"route{i}" }];
            _ = new RouteTable(rules, switches);
            switches.KeepOnly(rules.Select(r => r.Name!));
            Assert.Equal(2, switches.All.Count);
            Assert.True(i > 0 || switches.TrySet("kept", MaintenanceWord.On));
            Assert.True(switches.TrySet($"route{i}", MaintenanceWord.On));
            Assert.False(switches.TrySet($"route{i - 1}", MaintenanceWord.On));
        }

        Assert.Equal(MaintenanceWord.On, switches.All.Single(s => s.Name == "kept").Word);
    }
}
