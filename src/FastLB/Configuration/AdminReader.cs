using System.Globalization;
using FastLB.Admin;
using FastLB.Commands;

namespace FastLB.Configuration;

/// <summary>Reads <c>admin</c>: where it listens, and who may use it.</summary>
internal sealed class AdminReader(Mistakes mistakes, string baseDirectory)
{
    private const int MaxTokenFileBytes = 4096;

    /// <summary>Says that there is none, as on the command line; so does a file that says nothing.</summary>
    private const string Nowhere = "none";

    private static readonly string[] Keys = ["bind", "token", "tokenFile", "mode"];

    /// <summary>Where the address stands; null without an admin API, or after a mistake.</summary>
    public PlacedEndpoint? Place { get; private set; }

    /// <summary>Null without an admin API, or after a mistake.</summary>
    public AdminSettings? Read(Section top)
    {
        if (top.Find("admin") is not { } node || node is ScalarNode { Text: Nowhere } || Section.Open(node, "admin", Keys, mistakes) is not { } admin)
        {
            return null;
        }

        var token = ReadToken(admin);
        var mode = ReadMode(admin);
        if (ReadBind(top, admin) is not { } place)
        {
            return null;
        }

        Place = place;
        var hasToken = admin.FindKey("token") is not null || admin.FindKey("tokenFile") is not null;
        if (AdminSettings.IsReachable(place.Endpoint) && !hasToken)
        {
            mistakes.Error(
                place.At,
                $"bind: other machines can reach {place.Endpoint}, and the admin API can change everything; add 'tokenFile: /path' (or 'token') to admin, or bind it to 127.0.0.1:{place.Endpoint.Port}");
        }

        if (place.Endpoint.IsUnix && (admin.FindKey("token") ?? admin.FindKey("tokenFile")) is { } pointless)
        {
            mistakes.Error(pointless, $"{pointless.Text}: who may use a unix socket is a matter of its permissions; write 'mode' instead");
        }
        else if (place.Endpoint.IsUnix && mode is { } permissions && (permissions & UnixFileMode.OtherWrite) != 0)
        {
            // Whoever may write to a socket may connect to it (unix(7)), and there is no token to ask for.
            var text = (ScalarNode)admin.Find("mode")!;
            mistakes.Error(
                text,
                $"mode: {text.Text} lets every user of this machine use the admin API, which can change everything and starts programs; write 0660 for FastLB's user and group, or 0600 for its user alone");
        }
        else if (!place.Endpoint.IsUnix && admin.FindKey("mode") is { } misplaced)
        {
            mistakes.Error(misplaced, $"mode: {place.Endpoint} is no unix socket; write 'token' or 'tokenFile' instead");
        }

        return new AdminSettings(place.Endpoint, token, mode ?? AdminSettings.DefaultSocketMode);
    }

    private PlacedEndpoint? ReadBind(Section top, Section admin)
    {
        if (admin.Find("bind") is null)
        {
            return new PlacedEndpoint(Endpoint.TryParse(ServeOptions.DefaultAdmin, out var usual, out _) ? usual : null!, top.FindKey("admin")!);
        }

        if (admin.Text("bind", "an address like 127.0.0.1:8001") is not { } text)
        {
            return null;
        }

        if (!Address.TryParseBind(text.Text, out var endpoint, out var problem))
        {
            mistakes.Error(text, $"bind: {problem}");
            return null;
        }

        return new PlacedEndpoint(endpoint, text);
    }

    private AdminToken? ReadToken(Section admin)
    {
        var token = admin.Text("token", "a token") is { } text ? Checked(text, "token", text.Text) : null;
        if (admin.Text("tokenFile", "the path of a file with a token") is not { } path)
        {
            return token;
        }

        if (admin.FindKey("token") is not null)
        {
            mistakes.Error(admin.FindKey("tokenFile")!, "admin has both 'token' and 'tokenFile'; write one of them");
            return null;
        }

        var file = Path.GetFullPath(path.Text.Replace("\0", "", StringComparison.Ordinal), baseDirectory);
        try
        {
            using var stream = File.OpenRead(file);
            var bytes = new byte[MaxTokenFileBytes];
            var length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(file) & (UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) != 0)
            {
                mistakes.Warning(path, $"tokenFile: everybody on this machine can read or write {file}; chmod 600 keeps it to its owner");
            }

            return Checked(path, "tokenFile", System.Text.Encoding.UTF8.GetString(bytes, 0, length).Trim());
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            mistakes.Error(path, $"tokenFile: {file} cannot be read: {failure.Message}");
            return null;
        }
    }

    private AdminToken? Checked(YamlNode at, string key, string text)
    {
        if (!AdminToken.TryMake(text, out var token, out var problem))
        {
            mistakes.Error(at, $"{key}: {problem}");
        }

        return token;
    }

    private UnixFileMode? ReadMode(Section admin)
    {
        if (admin.Text("mode", "permissions like \"0660\"") is not { } text)
        {
            return null;
        }

        if (text.Text.Length is 3 or 4 && text.Text.All(c => c is >= '0' and <= '7') && (text.Text.Length == 3 || text.Text[0] == '0'))
        {
            return (UnixFileMode)text.Text.Aggregate(0, (mode, digit) => (mode * 8) + (digit - '0'));
        }

        mistakes.Error(text, string.Create(CultureInfo.InvariantCulture, $"mode: '{text.Text}' is not a set of permissions; write three octal digits like 660"));
        return null;
    }
}
