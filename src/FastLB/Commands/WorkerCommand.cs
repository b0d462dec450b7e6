using System.CommandLine;
using System.Globalization;

namespace FastLB.Commands;

/// <summary><c>fastlb worker</c>: takes workers out of service and back, gives them other weights, adds and removes them.</summary>
internal static class WorkerCommand
{
    public const string Examples =
        """
        Examples:
          fastlb worker drain app/2                 it keeps the sessions that it has and gets no new ones
          fastlb worker off app/2                   it gets nothing
          fastlb worker on app/2
          fastlb worker weight app/2 5
          fastlb worker add legacy 127.0.0.1:9003   one more address for a pool that FastLB only reaches
          fastlb worker remove legacy/2
          fastlb worker scale app 8                 how many processes FastLB runs; 'configured' goes back

        It lasts until FastLB stops, or 'fastlb reload --reset'; write it into the configuration to keep it.
        Exit codes: 0 done, 1 nobody answered, 2 a mistake in the options or refused.
        """;

    public static Command Create()
    {
        var command = new Command("worker", "Change workers while requests flow.");
        command.Add(OfWorker("on", "It takes requests again.", HttpMethod.Put, slot => $"{slot}/state", _ => "on"));
        command.Add(OfWorker("drain", "It keeps the sessions that it has and gets no new ones.", HttpMethod.Put, slot => $"{slot}/state", _ => "drain"));
        command.Add(OfWorker("off", "It gets nothing.", HttpMethod.Put, slot => $"{slot}/state", _ => "off"));
        command.Add(OfWorker("remove", "Forget an address that is only reached.", HttpMethod.Delete, slot => slot, _ => ""));
        command.Add(OfWorker("weight", "Give it another share.", HttpMethod.Put, slot => $"{slot}/weight", weight => weight!, "a number from 1 to 1000"));
        command.Add(OfPool("add", "Reach one more address.", HttpMethod.Post, "workers", "address"));
        command.Add(OfPool("scale", "Run another number of processes.", HttpMethod.Put, "instances", "number"));
        return command;
    }

    private static Command OfWorker(string name, string description, HttpMethod method, Func<string, string> path, Func<string?, string> body, string? value = null)
    {
        var command = new Command(name, description);
        var worker = new Argument<string>("worker") { Description = "POOL/SLOT, as in 'fastlb status'." };
        var argument = value is null ? null : new Argument<string>("value") { Description = value };
        var admin = new AdminTarget.Options(command);
        command.Add(worker);
        if (argument is not null)
        {
            command.Add(argument);
        }

        command.SetAction(parsed =>
        {
            var text = parsed.GetRequiredValue(worker);
            var slash = text.LastIndexOf('/');
            if (slash <= 0 || !int.TryParse(text.AsSpan(slash + 1), NumberStyles.None, CultureInfo.InvariantCulture, out _))
            {
                parsed.InvocationConfiguration.Error.WriteLine($"'{text}' is not a worker; write POOL/SLOT, like app/0, as 'fastlb status' shows them");
                return ExitCode.Mistake;
            }

            return AdminClient.Change(
                admin,
                parsed,
                method,
                $"/pools/{Uri.EscapeDataString(text[..slash])}/workers/{path(text[(slash + 1)..])}",
                body(argument is null ? null : parsed.GetRequiredValue(argument)),
                $"worker {name}");
        });
        return command;
    }

    private static Command OfPool(string name, string description, HttpMethod method, string path, string value)
    {
        var command = new Command(name, description);
        var pool = new Argument<string>("pool") { Description = "The pool." };
        var argument = new Argument<string>(value);
        var admin = new AdminTarget.Options(command);
        command.Add(pool);
        command.Add(argument);
        command.SetAction(parsed => AdminClient.Change(
            admin,
            parsed,
            method,
            $"/pools/{Uri.EscapeDataString(parsed.GetRequiredValue(pool))}/{path}",
            parsed.GetRequiredValue(argument),
            $"worker {name}"));
        return command;
    }
}
