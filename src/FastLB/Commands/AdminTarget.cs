using System.CommandLine;
using FastLB.Admin;
using FastLB.Configuration;

namespace FastLB.Commands;

/// <summary>Which running FastLB a command talks to, and the token that it shows there: options, then the environment, then the file.</summary>
/// <param name="Token">Null: none.</param>
internal sealed record AdminTarget(Endpoint Endpoint, string? Token)
{
    public const string TokenVariable = "FASTLB_ADMIN_TOKEN";

    /// <summary>The options that say it; a command adds them and asks them.</summary>
    public sealed class Options
    {
        private readonly Option<string> _admin = AdminClient.AddressOption();
        private readonly Option<string?> _token = new("--token") { HelpName = "token", Description = $"The admin API's token. Default: {TokenVariable} of the environment, or what the file says." };
        private readonly Option<string?> _file = new("--config", "-c") { HelpName = "file", Description = "Take the admin address and the token from this file." };

        public Options(Command command)
        {
            command.Add(_admin);
            command.Add(_token);
            command.Add(_file);
        }

        /// <summary>The target; otherwise what is wrong was written.</summary>
        public bool TryRead(ParseResult parsed, out AdminTarget target)
        {
            var error = parsed.InvocationConfiguration.Error;
            target = null!;
            AdminSettings? admin = null;
            if (parsed.GetValue(_file) is { } file)
            {
                if (!Plan.Of(ConfigurationFile.Load(file), Logging.LogFormat.Text).TryReport(error, out var settings))
                {
                    return false;
                }

                admin = settings.Admin;
                if (admin is null)
                {
                    error.WriteLine($"{file} has no admin API; write 'admin: {{ bind: {ServeOptions.DefaultAdmin} }}' into it");
                    return false;
                }
            }

            var endpoint = admin?.Bind;
            if (endpoint is null || parsed.GetResult(_admin) is { Implicit: false })
            {
                if (!Address.TryParseBind(parsed.GetRequiredValue(_admin), out endpoint, out var problem))
                {
                    error.WriteLine($"--admin: {problem}");
                    return false;
                }
            }

            var token = parsed.GetValue(_token) ?? Environment.GetEnvironmentVariable(TokenVariable);
            target = new AdminTarget(Reached(endpoint), string.IsNullOrEmpty(token) ? admin?.Token?.Text : token);
            return true;
        }

        /// <summary>Who listens everywhere is reached on this machine.</summary>
        private static Endpoint Reached(Endpoint bind) =>
            bind.Address is { } address && address.Equals(System.Net.IPAddress.Any) ? Endpoint.Ip(System.Net.IPAddress.Loopback, bind.Port)
            : bind.Address is { } v6 && v6.Equals(System.Net.IPAddress.IPv6Any) ? Endpoint.Ip(System.Net.IPAddress.IPv6Loopback, bind.Port)
            : bind;
    }
}
