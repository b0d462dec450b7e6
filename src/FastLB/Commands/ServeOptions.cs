using System.CommandLine;
using FastLB.Admin;
using FastLB.Configuration;
using FastLB.Core.Balancing;
using FastLB.Core.Proxy;
using FastLB.Core.Routing;
using FastLB.Fleet;
using FastLB.Logging;

namespace FastLB.Commands;

/// <summary>
/// The options that make settings without a file: one listener and one pool whose processes FastLB runs. Values are read as
/// text and checked with the same rules as the configuration's, so all mistakes are told at once and in the same words.
/// </summary>
internal sealed class ServeOptions
{
    public const string DefaultListen = "127.0.0.1:8000";
    public const string DefaultAdmin = "127.0.0.1:8001";

    private readonly Option<string> _listen = Text(
        "--listen",
        "address",
        "Where clients connect: host:port, [v6]:port or unix:/path.",
        DefaultListen);
    private readonly Option<string> _admin = Text(
        "--admin",
        "address",
        "Where status and metrics are served; 'none' switches it off.",
        DefaultAdmin);
    private readonly Option<string> _instances;
    private readonly Option<string> _transport;
    private readonly Option<string> _strategy = Text(
        "--strategy",
        "name",
        "How a worker is chosen: two-choices (the less busy of two random ones) or round-robin.",
        "two-choices");
    private readonly Option<string> _logFormat = Text(
        "--log-format",
        "format",
        "The log on stderr: text or json.",
        "text");
    private readonly Option<string> _loops = Text(
        "--loops",
        "number",
        "Threads that move the bytes, one pinned to each core: auto or 1 to 256.",
        "auto");
    private readonly Option<string> _engine = Text(
        "--engine",
        "name",
        "The kernel interface that moves the bytes: auto, epoll or io-uring.",
        "auto");
    private readonly Option<string?> _directory = new("--directory") { HelpName = "path", Description = "Where the processes start. Default: here." };
    private readonly Option<string?> _sticky = new("--sticky")
    {
        HelpName = "cookie",
        Description = $"Keep each client on its worker by a signed cookie, called {PoolReader.DefaultCookie} unless named.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    /// <param name="command">Gets the options.</param>
    /// <param name="isDemo">The demo has a fixed program, so it needs fewer.</param>
    public ServeOptions(Command command, bool isDemo)
    {
        _instances = Text(
            "--instances",
            "number",
            $"Processes: 1 to {RunReader.MaxInstances}, or max for one per core.",
            isDemo ? "cores, at least 2" : "max");
        _transport = Text(
            "--transport",
            "kind",
            "What PORT is for the workers: tcp (a port) or unix (the path of a socket; less CPU).",
            isDemo ? "unix" : "tcp");
        Option[] options = isDemo
            ? [_listen, _admin, _instances, _strategy, _sticky, _transport, _logFormat]
            : [_listen, _admin, _instances, _strategy, _sticky, _transport, _directory, _loops, _engine, _logFormat];
        foreach (var option in options)
        {
            command.Add(option);
        }
    }

    /// <summary>What people wrote of these options, the log's format excepted: it can be combined with a file.</summary>
    public IReadOnlyList<string> GivenBesidesLogFormat(ParseResult parsed)
    {
        Option[] options = [_listen, _admin, _instances, _strategy, _sticky, _transport, _directory, _loops, _engine];
        return [.. options.Where(o => parsed.GetResult(o) is { Implicit: false }).Select(o => o.Name)];
    }

    public LogFormat ReadLogFormat(ParseResult parsed, List<string> errors) =>
        Word(parsed, _logFormat, errors, ("text", LogFormat.Text), ("json", LogFormat.Json));

    /// <summary>Makes a plan for one pool called <paramref name="poolName"/> that runs <paramref name="command"/>.</summary>
    /// <param name="instancesByDefault">How many processes when nothing was said.</param>
    public Plan ToPlan(ParseResult parsed, string poolName, IReadOnlyList<string> command, int instancesByDefault)
    {
        var errors = new List<string>();
        var listen = ReadBind(parsed, _listen, errors);
        var admin = parsed.GetValue(_admin) == "none" ? null : ReadBind(parsed, _admin, errors);
        if (listen is not null && listen.Equals(admin))
        {
            errors.Add($"--admin: {admin} is where clients connect (--listen); choose another address");
        }

        var token = ReadToken(admin, errors);
        if (command[0].Length == 0)
        {
            errors.Add("the command after -- is empty; write the program and its arguments, like: fastlb run -- node server.js");
        }

        var instances = parsed.GetResult(_instances) is { Implicit: false }
            ? Number(parsed, _instances, 1, RunReader.MaxInstances, "max", RunReader.InstancesForMax, errors)
            : instancesByDefault;
        var run = new RunSettings
        {
            PoolName = poolName,
            Command = command,
            Instances = instances,
            Directory = ReadDirectory(parsed, errors),
            Transport = Word(parsed, _transport, errors, ("tcp", WorkerTransport.Tcp), ("unix", WorkerTransport.Unix)),
        };
        var pool = new PoolSettings
        {
            Name = poolName,
            Strategy = ReadStrategy(parsed, errors),
            Sticky = ReadSticky(parsed, errors),
        };
        var engine = Word(
            parsed,
            _engine,
            errors,
            ("auto", EngineChoice.Auto),
            ("epoll", EngineChoice.Epoll),
            ("io-uring", EngineChoice.IoUring));
        var loops = Number(parsed, _loops, 1, SettingsReader.MaxLoops, "auto", 0, errors);
        var logFormat = ReadLogFormat(parsed, errors);
        if (errors.Count > 0)
        {
            return Plan.Refused([.. errors]);
        }

        var settings = new Settings
        {
            Engine = engine,
            Loops = loops,
            Admin = admin is null ? null : new AdminSettings(admin, token),
            Listeners = [new ListenerSettings { Bind = listen!, Routes = [new RouteRule(null, null, poolName)] }],
            Pools = [pool],
            Runs = [run with { OpensTogether = pool.Sticky is { IsByOurCookie: true } }],
        };
        return new Plan(settings, [], [], logFormat);
    }

    /// <summary>The environment's token. Where other machines can reach the admin API there has to be one.</summary>
    private AdminToken? ReadToken(Endpoint? admin, List<string> errors)
    {
        AdminToken? token = null;
        if (Environment.GetEnvironmentVariable(AdminTarget.TokenVariable) is { Length: > 0 } text && admin is { IsUnix: false } && !AdminToken.TryMake(text, out token, out var problem))
        {
            errors.Add($"{AdminTarget.TokenVariable}: {problem}");
        }
        else if (token is null && admin is not null && AdminSettings.IsReachable(admin))
        {
            errors.Add($"{_admin.Name}: other machines can reach {admin}, and the admin API can change everything; set {AdminTarget.TokenVariable} in the environment, or choose 127.0.0.1:{admin.Port}");
        }

        return token;
    }

    private static Option<string> Text(string name, string helpName, string description, string value) =>
        new(name) { HelpName = helpName, Description = description, DefaultValueFactory = _ => value };

    private static Endpoint? ReadBind(ParseResult parsed, Option<string> option, List<string> errors)
    {
        if (Address.TryParseBind(parsed.GetRequiredValue(option), out var endpoint, out var problem))
        {
            return endpoint;
        }

        errors.Add($"{option.Name}: {problem}");
        return null;
    }

    private string? ReadDirectory(ParseResult parsed, List<string> errors)
    {
        if (parsed.GetValue(_directory) is not { } text)
        {
            return null;
        }

        if (text.Length == 0 || !Directory.Exists(text))
        {
            errors.Add($"{_directory.Name}: there is no directory '{text}'");
            return null;
        }

        return Path.GetFullPath(text);
    }

    private StrategyPlan ReadStrategy(ParseResult parsed, List<string> errors)
    {
        if (parsed.GetResult(_strategy) is null)
        {
            return StrategyPlan.Default;
        }

        if (!StrategyReader.TryMake(parsed.GetRequiredValue(_strategy), null, null, out var plan, out _, out var problem))
        {
            errors.Add($"{_strategy.Name}: {problem}");
        }

        return plan;
    }

    private StickySettings? ReadSticky(ParseResult parsed, List<string> errors)
    {
        if (parsed.GetResult(_sticky) is null)
        {
            return null;
        }

        var name = parsed.GetValue(_sticky) ?? PoolReader.DefaultCookie;
        if (CookieName.ProblemOf(name) is { } problem)
        {
            errors.Add($"{_sticky.Name}: {problem}");
        }

        return new StickySettings(name, null);
    }

    private static int Number(
        ParseResult parsed,
        Option<string> option,
        int min,
        int max,
        string word,
        int wordValue,
        List<string> errors)
    {
        // As in Word below: an option that this command does not have has its default.
        if (parsed.GetResult(option) is null)
        {
            return wordValue;
        }

        if (!WholeNumber.TryParse(parsed.GetRequiredValue(option), min, max, word, wordValue, out var number, out var problem))
        {
            errors.Add($"{option.Name}: {problem}");
        }

        return number;
    }

    private static T Word<T>(
        ParseResult parsed,
        Option<string> option,
        List<string> errors,
        params ReadOnlySpan<(string Word, T Value)> choices)
    {
        // An option that this command does not have was not given: its default is the first choice.
        var text = parsed.GetResult(option) is null ? choices[0].Word : parsed.GetRequiredValue(option);
        var words = new List<string>();
        foreach (var (word, value) in choices)
        {
            if (word == text)
            {
                return value;
            }

            words.Add(word);
        }

        var hint = NearestWord.Of(text, words) is { } nearest ? $"; did you mean '{nearest}'?" : "";
        errors.Add($"{option.Name}: expected {string.Join(" or ", words)}, found '{text}'{hint}");
        return choices[0].Value;
    }
}
