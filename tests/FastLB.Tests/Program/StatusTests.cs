using System.Text.Json;
using System.Text.RegularExpressions;
using FastLB.Admin;

namespace FastLB.Tests.Programs;

public partial class StatusTests
{
    [Fact]
    public void Metrics_have_help_and_type_once_and_every_series_once()
    {
        var lines = MetricsText.Render(StatusSample.Create()).Split('\n');

        Assert.Equal("", lines[^1]);
        var series = new HashSet<string>();
        string? metric = null;
        var announced = new HashSet<string>();
        for (var i = 0; i < lines.Length - 1; i++)
        {
            if (lines[i].StartsWith("# HELP ", StringComparison.Ordinal))
            {
                metric = lines[i].Split(' ')[2];
                Assert.True(announced.Add(metric), $"{metric} is announced once");
                var type = lines[i + 1].Split(' ');
                Assert.Equal(["#", "TYPE", metric], type[..3]);
                Assert.Equal(metric.EndsWith("_total", StringComparison.Ordinal) ? "counter" : metric.EndsWith("_duration_seconds", StringComparison.Ordinal) ? "histogram" : "gauge", type[3]);
                i++;
                continue;
            }

            Assert.Matches(Sample(), lines[i]);
            Assert.StartsWith(metric!, lines[i], StringComparison.Ordinal);
            Assert.True(series.Add(lines[i][..lines[i].LastIndexOf(' ')]), $"{lines[i]} is there once");
        }
    }

    [Theory]
    [InlineData("fastlb_build_info{version=\"1.2.3\",engine=\"epoll\"} 1")]
    [InlineData("fastlb_start_time_seconds 1700000000.5")]
    [InlineData("fastlb_received_bytes_total 123456789012")]
    [InlineData("fastlb_moved_bytes_total 4")]
    [InlineData("fastlb_request_duration_seconds_bucket{le=\"0.001\"} 900")]
    [InlineData("fastlb_request_duration_seconds_bucket{le=\"+Inf\"} 997")]
    [InlineData("fastlb_request_duration_seconds_sum 1.5")]
    [InlineData("fastlb_request_duration_seconds_count 997")]
    [InlineData("fastlb_responses_total{class=\"2xx\"} 998")]
    [InlineData("fastlb_errors_total{cause=\"bad-request\"} 3")]
    [InlineData("fastlb_loop_requests_total{loop=\"0\"} 1000")]
    [InlineData("fastlb_loop_accept_pauses_total{loop=\"0\"} 6")]
    [InlineData("fastlb_listener_connections{bind=\"127.0.0.1:8000\",protocol=\"http\"} 3")]
    [InlineData("fastlb_pool_errors_total{pool=\"app\",cause=\"connect-failed\"} 2")]
    [InlineData("fastlb_pool_workers{pool=\"app\",state=\"starting\"} 1")]
    [InlineData("fastlb_worker_requests_total{pool=\"app\",slot=\"0\"} 999")]
    [InlineData("fastlb_worker_ready{pool=\"app\",slot=\"0\"} 1")]
    [InlineData("fastlb_worker_ready{pool=\"legacy\",slot=\"0\"} 0")]
    public void A_figure_of_the_status_is_a_sample(string line) =>
        Assert.Contains($"\n{line}\n", MetricsText.Render(StatusSample.Create()), StringComparison.Ordinal);

    [Fact]
    public void The_help_of_refused_connections_says_all_that_is_counted() =>
        Assert.Contains(
            "# HELP fastlb_connections_refused_total Client connections that were not taken: their client had as many as it may, their PROXY header was missing, wrong or not to be believed, or there were too many to be told.\n",
            MetricsText.Render(StatusSample.Create()),
            StringComparison.Ordinal);

    [Fact]
    public void Label_values_are_escaped()
    {
        var status = StatusSample.Create() with { Listeners = [new ListenerStatus("unix:/run/\"a\\b\"\n", "tcp", 1)] };

        Assert.Contains("{bind=\"unix:/run/\\\"a\\\\b\\\"\\n\",protocol=\"tcp\"} 1\n", MetricsText.Render(status), StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_shows_workers_in_columns()
    {
        var table = StatusTable.Render(StatusSample.Create()).ReplaceLineEndings("\n");

        Assert.StartsWith("FastLB 1.2.3, pid 42, up 1h 2m, engine epoll (io-uring is not built in)\n", table, StringComparison.Ordinal);
        Assert.Contains(
            "pool app: two-choices, sticky by FASTLB, 1000 requests\n" +
            "errors: connect-failed 2\n" +
            "WORKER  STATE     GENERATION  PID   ADDRESS          IN FLIGHT  REQUESTS  FAILURES  RESTARTS  LAST EXIT\n" +
            "app/0   ready     2           4711  127.0.0.1:40001  3          999       2         1         signal 9\n" +
            "app/0   starting  3           4713  127.0.0.1:40003  0          0         0         1         signal 9\n",
            table,
            StringComparison.Ordinal);
        Assert.Contains(
            "LOOP  CORE  CONNECTIONS  TO WORKERS  REQUESTS  ALLOCATED  BUFFERS  ACCEPT PAUSES\n" +
            "0     1     3            2           1000      4096 B     5        6\n",
            table,
            StringComparison.Ordinal);
        Assert.Contains(", 114 GB in, 5 B out\na request took 250 us (median), 50.0 ms (99 %), 2.0 s (longest)\n", table, StringComparison.Ordinal);
    }

    [Fact]
    public void The_table_shows_the_routes_that_the_operator_closed()
    {
        var status = StatusSample.Create() with { Listeners = [new ListenerStatus("127.0.0.1:8000", "http", 3) { Maintenance = ["shop: on"] }] };
        var table = StatusTable.Render(status).ReplaceLineEndings("\n");

        Assert.Contains("\n127.0.0.1:8000  http      3\n  127.0.0.1:8000: the operator switched maintenance of route shop: on\n", table, StringComparison.Ordinal);
        Assert.DoesNotContain("maintenance", StatusTable.Render(StatusSample.Create()), StringComparison.Ordinal);
    }

    [Fact]
    public void The_json_of_the_status_reads_back_as_it_was()
    {
        var json = JsonSerializer.Serialize(StatusSample.Create(), StatusJson.Default.ServerStatus);

        Assert.Contains("\"inFlight\": 3", json, StringComparison.Ordinal);
        var read = JsonSerializer.Deserialize(json, StatusJson.Default.ServerStatus);
        Assert.Equal(json, JsonSerializer.Serialize(read, StatusJson.Default.ServerStatus));
    }

    [GeneratedRegex("""^[a-z_]+(\{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="([^"\\\n]|\\["\\n])*")*\})? [0-9.E+]+$""")]
    private static partial Regex Sample();
}
