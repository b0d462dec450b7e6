using System.CommandLine;

namespace FastLB.Commands;

/// <summary><c>fastlb reload</c>: lets the running FastLB read its configuration again.</summary>
internal static class ReloadCommand
{
    public const string Examples =
        """
        Examples:
          fastlb reload                   what has changed in the file is served from now on, without dropping a request
          fastlb reload --reset           and what 'fastlb worker' and 'fastlb strategy' have changed is undone

        A file with a mistake changes nothing, and every mistake is told. The workers of pools that are new in it
        start first; when none of a pool's becomes ready, nothing changes either. 'kill -HUP' does the same.
        Exit codes: 0 done, 1 nobody answered, 2 the file is refused.
        """;

    /// <summary>The workers of new pools become ready first, which is bounded by their readyTimeout.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(15);

    public static Command Create()
    {
        var command = new Command("reload", "Read the configuration again while requests flow.");
        var reset = new Option<bool>("--reset") { Description = "Undo what was changed since the start besides the file." };
        var admin = new AdminTarget.Options(command);
        command.Add(reset);
        command.SetAction(parsed => AdminClient.Change(
            admin, parsed, HttpMethod.Post, parsed.GetValue(reset) ? "/config?reset=true" : "/config", "", "reload", s_patience));
        return command;
    }
}
