using System.CommandLine;

namespace FastLB.Commands;

/// <summary><c>fastlb route</c>: closes a named route for maintenance, and opens it again.</summary>
internal static class RouteCommand
{
    public const string Examples =
        """
        Examples:
          fastlb route maintenance shop on            what comes by the route 'shop' is answered with 503 and its text
          fastlb route maintenance shop off           it is passed on, whatever the file says
          fastlb route maintenance shop configured    as the file says

        It lasts until FastLB stops, or 'fastlb reload --reset'; write 'maintenance: true' into the route to keep it.
        Exit codes: 0 done, 1 nobody answered, 2 a mistake in the options or refused.
        """;

    public static Command Create()
    {
        var command = new Command("route", "Change routes while requests flow.");
        var maintenance = new Command("maintenance", "Close a route, or open it.");
        var name = new Argument<string>("route") { Description = "The route's name in the file." };
        var state = new Argument<string>("state") { Description = "on, off or configured" };
        maintenance.Add(name);
        maintenance.Add(state);
        var admin = new AdminTarget.Options(maintenance);
        maintenance.SetAction(parsed => AdminClient.Change(
            admin,
            parsed,
            HttpMethod.Put,
            $"/routes/{Uri.EscapeDataString(parsed.GetRequiredValue(name))}/maintenance",
            parsed.GetRequiredValue(state),
            "route maintenance"));
        command.Add(maintenance);
        return command;
    }
}
