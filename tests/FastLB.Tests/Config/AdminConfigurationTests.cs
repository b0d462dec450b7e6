using System.Runtime.Versioning;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary><c>admin</c> in the configuration: nobody serves it to the world without a token.</summary>
public sealed class AdminConfigurationTests
{
    private const string Rest = "\nlisteners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { workers: [127.0.0.1:9001] } }\n";

    [Theory]
    [InlineData("admin: { bind: 127.0.0.1:8001 }", "127.0.0.1:8001", false)]
    [InlineData("admin: { bind: \"[::1]:8001\" }", "[::1]:8001", false)]
    [InlineData("admin: { token: 0123456789abcdef }", "127.0.0.1:8001", true)]
    [InlineData("admin: { bind: 0.0.0.0:8001, token: 0123456789abcdef }", "0.0.0.0:8001", true)]
    [InlineData("admin: { bind: unix:/run/admin.sock, mode: \"0660\" }", "unix:/run/admin.sock", false)]
    public void What_is_safe_is_taken(string admin, string bind, bool hasToken)
    {
        var result = ConfigurationSample.Read(admin + Rest);
        Assert.Empty(result.Errors);
        Assert.Equal((bind, hasToken), (result.Settings!.Admin!.Bind.ToString(), result.Settings.Admin.Token is not null));
        Assert.Equal(result.Settings.Admin, ConfigurationSample.Read(admin + Rest).Settings!.Admin);
    }

    [Theory]
    [InlineData("admin: { bind: 0.0.0.0:8001 }",
        "fastlb.yaml:1:16: bind: other machines can reach 0.0.0.0:8001, and the admin API can change everything; add 'tokenFile: /path' (or 'token') to admin, or bind it to 127.0.0.1:8001")]
    [InlineData("admin: { bind: \"[::]:8001\" }",
        "fastlb.yaml:1:16: bind: other machines can reach [::]:8001, and the admin API can change everything; add 'tokenFile: /path' (or 'token') to admin, or bind it to 127.0.0.1:8001")]
    [InlineData("admin: { token: short }", "fastlb.yaml:1:17: token: a token has 16 to 512 characters, found 5; 'openssl rand -hex 24' makes one")]
    [InlineData("admin: { token: \"0123456789 abcdef\" }", "fastlb.yaml:1:17: token: a token consists of letters, digits and -._~+/=; 'openssl rand -hex 24' makes one")]
    [InlineData("admin: { bind: unix:/run/admin.sock, token: 0123456789abcdef }",
        "fastlb.yaml:1:38: token: who may use a unix socket is a matter of its permissions; write 'mode' instead")]
    [InlineData("admin: { mode: 600 }", "fastlb.yaml:1:10: mode: 127.0.0.1:8001 is no unix socket; write 'token' or 'tokenFile' instead")]
    [InlineData("admin: { bind: unix:/run/admin.sock, mode: \"0666\" }",
        "fastlb.yaml:1:44: mode: 0666 lets every user of this machine use the admin API, which can change everything and starts programs; write 0660 for FastLB's user and group, or 0600 for its user alone")]
    [InlineData("admin: { bind: unix:/run/admin.sock, mode: 602 }",
        "fastlb.yaml:1:44: mode: 602 lets every user of this machine use the admin API, which can change everything and starts programs; write 0660 for FastLB's user and group, or 0600 for its user alone")]
    [InlineData("admin: { bind: unix:/run/admin.sock, mode: rw }", "fastlb.yaml:1:44: mode: 'rw' is not a set of permissions; write three octal digits like 660")]
    public void What_is_not_is_refused_with_its_place_and_what_to_do(string admin, string mistake) =>
        Assert.Equal([mistake], ConfigurationSample.Read(admin + Rest).Errors.Select(e => e.ToString()));

    [Theory]
    [InlineData("admin: none\n")]
    [InlineData("")]
    public void A_file_may_have_no_admin_API(string admin)
    {
        var result = ConfigurationSample.Read(admin + Rest);
        Assert.Empty(result.Errors);
        Assert.Null(result.Settings!.Admin);
    }

    [Fact]
    [SupportedOSPlatform("linux")]
    public void A_token_may_stand_in_a_file_of_its_own()
    {
        var file = Path.GetTempFileName();
        File.WriteAllText(file, "0123456789abcdef\n");
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var result = ConfigurationSample.Read($"admin: {{ bind: 0.0.0.0:8001, tokenFile: {file} }}{Rest}");
        Assert.Empty(result.Errors);
        Assert.Empty(result.Warnings);
        Assert.True(result.Settings!.Admin!.Token!.Is("0123456789abcdef"));
        Assert.False(result.Settings.Admin.Token.Is("0123456789abcdeg"));
        Assert.DoesNotContain("0123456789abcdef", result.Settings.ToString(), StringComparison.Ordinal);

        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.OtherRead);
        Assert.Equal(
            [$"fastlb.yaml:1:41: tokenFile: everybody on this machine can read or write {file}; chmod 600 keeps it to its owner"],
            ConfigurationSample.Read($"admin: {{ bind: 0.0.0.0:8001, tokenFile: {file} }}{Rest}").Warnings.Select(w => w.ToString()));
        File.Delete(file);
        Assert.StartsWith(
            $"fastlb.yaml:1:41: tokenFile: {file} cannot be read: ",
            Assert.Single(ConfigurationSample.Read($"admin: {{ bind: 0.0.0.0:8001, tokenFile: {file} }}{Rest}").Errors).ToString(),
            StringComparison.Ordinal);
    }
}
