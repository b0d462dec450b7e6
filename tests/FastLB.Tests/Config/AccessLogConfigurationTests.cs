using FastLB.AccessLog;
using FastLB.Core.Recording;

namespace FastLB.Tests.ConfigurationFiles;

/// <summary><c>accessLog</c> in the configuration.</summary>
public sealed class AccessLogConfigurationTests
{
    private const string Rest = "listeners: [{ bind: 127.0.0.1:8000, pool: app }]\npools: { app: { workers: [127.0.0.1:9001] } }\n";

    [Theory]
    [InlineData("", null)]
    [InlineData("accessLog: false\n", null)]
    [InlineData("accessLog: { to: stderr }\n", 1.0)]
    [InlineData("accessLog: { to: stderr, sample: 1% }\n", 0.01)]
    public void A_listener_writes_what_the_file_says(string log, double? share)
    {
        var settings = ConfigurationSample.Read(log + Rest).Settings!;
        Assert.Equal(share, settings.Listeners[0].AccessLog?.Share);
        Assert.Equal(share is not null, settings.AccessLog is not null);
    }

    [Fact]
    public void A_listener_may_have_it_otherwise()
    {
        var settings = ConfigurationSample.Read(
            """
            accessLog: { format: combined, to: ./access.log, sample: 10% }
            listeners:
              - { bind: 127.0.0.1:8000, pool: app, accessLog: false }
              - { bind: 127.0.0.1:8001, pool: app, accessLog: { only: errors } }
              - { bind: 127.0.0.1:8002, pool: app, accessLog: { sample: 100% } }
              - { bind: 127.0.0.1:8003, pool: app }
            pools: { app: { workers: [127.0.0.1:9001] } }
            """).Settings!;
        Assert.Equal([null, new AccessLogFilter(1, OnlyErrors: true), new AccessLogFilter(1), new AccessLogFilter(0.1)], settings.Listeners.Select(l => l.AccessLog));
        Assert.Equal(new AccessLogSettings(AccessLogFormat.Combined, "/access.log", new SourcePlace("elsewhere")), settings.AccessLog);
        Assert.Equal("fastlb.yaml:1:36", settings.AccessLog!.Place.Text);
    }

    [Theory]
    [InlineData("accessLog: { format: json }\n" + Rest, "fastlb.yaml:1:1: accessLog: 'to' is missing; write to: stderr, or the path of a file")]
    [InlineData("accessLog: { to: acess.log }\n" + Rest, "fastlb.yaml:1:18: to: expected stderr or a path with a '/', found 'acess.log'; for a file in this directory write ./acess.log")]
    [InlineData("accessLog: { to: /tmp }\n" + Rest, "fastlb.yaml:1:18: to: '/tmp' is a directory; name the file in it, like /tmp/access.log")]
    [InlineData("accessLog: { to: stderr, sample: 1%, only: errors }\n" + Rest, "fastlb.yaml:1:38: accessLog has both 'sample' and 'only'; which requests fail is not known when chance decides, so write one of them")]
    [InlineData("accessLog: { to: stderr, fromat: json }\n" + Rest, "fastlb.yaml:1:26: unknown key 'fromat' in accessLog; did you mean 'format'?")]
    [InlineData(
        "listeners: [{ bind: 127.0.0.1:8000, pool: app, accessLog: { only: errors } }]\npools: { app: { workers: [127.0.0.1:9001] } }\n",
        "fastlb.yaml:1:59: accessLog: listener 127.0.0.1:8000 has none to change; write 'accessLog: { to: stderr }' at the top of the file")]
    [InlineData(
        "accessLog: { to: stderr }\nlisteners: [{ bind: 127.0.0.1:8000, pool: app, accessLog: { to: stderr } }]\npools: { app: { workers: [127.0.0.1:9001] } }\n",
        "fastlb.yaml:2:61: 'to' has no meaning in accessLog of listener 127.0.0.1:8000; there is one log, which 'accessLog' at the top of the file describes")]
    public void A_mistake_is_told_with_its_place_and_what_to_do(string text, string mistake) =>
        Assert.Equal([mistake], ConfigurationSample.Read(text).Errors.Select(e => e.ToString()));
}
