namespace FastLB.Tests.ConfigurationFiles;

/// <summary>
/// Every kind of mistake, made by changing one place of <see cref="ConfigurationSample"/>, with what is said about it word for word.
/// </summary>
public class ConfigurationMistakesTests
{
    [Theory]
    [InlineData("engine: epoll", "engine: epol",
        "fastlb.yaml:1:9: engine: expected auto or io-uring or epoll, found 'epol'; did you mean 'epoll'?")]
    [InlineData("engine: epoll", "engine: [epoll]",
        "fastlb.yaml:1:9: engine: expected auto or io-uring or epoll, found a list")]
    [InlineData("engine: epoll", "engines: epoll",
        "fastlb.yaml:1:1: unknown key 'engines' in the configuration; did you mean 'engine'?")]
    [InlineData("engine: epoll", "engine:",
        "fastlb.yaml:1:8: engine: expected auto or io-uring or epoll, found nothing")]
    [InlineData("engine: epoll", "spin: 50ms",
        "fastlb.yaml:1:7: spin: '50ms' is neither; write adaptive or a time like 50us")]
    [InlineData("engine: epoll", "spin: 2000us",
        "fastlb.yaml:1:7: spin: '2000us' is out of range; 0us to 1000us are allowed")]
    [InlineData("loops: 2", "loops: 0",
        "fastlb.yaml:2:8: loops: expected auto or a number from 1 to 256, found '0'")]
    [InlineData("loops: 2", "loops: 257",
        "fastlb.yaml:2:8: loops: expected auto or a number from 1 to 256, found '257'")]
    [InlineData("loops: 2", "loops: two",
        "fastlb.yaml:2:8: loops: expected auto or a number from 1 to 256, found 'two'")]
    [InlineData("loops: 2", "loops: -1",
        "fastlb.yaml:2:8: loops: expected auto or a number from 1 to 256, found '-1'")]
    [InlineData("admin: { bind: 127.0.0.1:8001 }", "admin: 127.0.0.1:8001",
        "fastlb.yaml:3:8: admin: expected keys (bind, token, tokenFile, mode), found '127.0.0.1:8001'")]
    [InlineData("admin: { bind: 127.0.0.1:8001 }", "admin: { bnd: 127.0.0.1:8001 }",
        "fastlb.yaml:3:10: unknown key 'bnd' in admin; did you mean 'bind'?")]
    [InlineData("admin: { bind: 127.0.0.1:8001 }", "admin: { bind: 8001 }",
        "fastlb.yaml:3:16: bind: '8001' is only a port; write 127.0.0.1:8001, or 0.0.0.0:8001 to be reached from other machines")]
    [InlineData("admin: { bind: 127.0.0.1:8001 }", "admin: { bind: 127.0.0.1:8000 }",
        "fastlb.yaml:3:16: bind: 127.0.0.1:8000 is the address of the listener in line 15 already")]
    [InlineData("  head: 5s", "  head: 5",
        "fastlb.yaml:5:9: head: '5' is not a duration; write one like 250ms, 10s, 5m or 1h")]
    [InlineData("  head: 5s", "  head: 0s",
        "fastlb.yaml:5:9: head: '0s' is out of range; 1ms to 24h are allowed")]
    [InlineData("  head: 5s", "  head: 25h",
        "fastlb.yaml:5:9: head: '25h' is out of range; 1ms to 24h are allowed")]
    [InlineData("  head: 5s", "  head: 99999999999999999999s",
        "fastlb.yaml:5:9: head: '99999999999999999999s' is not a duration; write one like 250ms, 10s, 5m or 1h")]
    [InlineData("  head: 5s", "  head: 1m30s",
        "fastlb.yaml:5:9: head: '1m30s' is not a duration; write one like 250ms, 10s, 5m or 1h")]
    [InlineData("  head: 5s", "  haed: 5s",
        "fastlb.yaml:5:3: unknown key 'haed' in timeouts; did you mean 'head'?")]
    [InlineData("  keepAlive: 45s", "  keep-alive: 45s",
        "fastlb.yaml:7:3: unknown key 'keep-alive' in timeouts; did you mean 'keepAlive'?")]
    [InlineData("  keepAlive: 45s", "  keepalive: 45s",
        "fastlb.yaml:7:3: unknown key 'keepalive' in timeouts; did you mean 'keepAlive'?")]
    [InlineData("target: 4KB", "target: 17KB",
        "fastlb.yaml:13:31: target: 17KB is more than the whole head may have (16KB)")]
    [InlineData("head: 16KB", "head: 512B",
        "fastlb.yaml:13:17: head: '512B' is out of range; 1KB to 60KB are allowed")]
    [InlineData("head: 16KB", "head: 61KB",
        "fastlb.yaml:13:17: head: '61KB' is out of range; 1KB to 60KB are allowed")]
    [InlineData("head: 16KB", "head: 16384",
        "fastlb.yaml:13:17: head: '16384' is not a size; write one like 512B, 64KB or 1MB")]
    [InlineData("head: 16KB", "head: 16kb",
        "fastlb.yaml:13:17: head: '16kb' is not a size; write one like 512B, 64KB or 1MB")]
    [InlineData("headers: 64", "headers: 257",
        "fastlb.yaml:13:45: headers: expected a number from 1 to 256, found '257'")]
    [InlineData("body: 1MB", "body: lots",
        "fastlb.yaml:13:55: body: 'lots' is not a size; write one like 512B, 64KB or 1MB")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: 127.0.0.1",
        "fastlb.yaml:15:11: bind: the port is missing; write host:port, [v6]:port or unix:/path")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: 127.0.0.1:0",
        "fastlb.yaml:15:11: bind: port 0 would be another one at each start; write one from 1 to 65535")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: 127.0.0.1:65536",
        "fastlb.yaml:15:11: bind: '65536' is not a port (0 to 65535)")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: :8000",
        "fastlb.yaml:15:11: bind: ':8000' has no address; write 0.0.0.0:8000 for all of this machine's")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: ::1:8000",
        "fastlb.yaml:15:11: bind: an IPv6 address stands in brackets, like [::1]:8000")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: http://127.0.0.1:8000",
        "fastlb.yaml:15:11: bind: an address has no scheme; leave out 'http://'")]
    [InlineData("- 127.0.0.1:9001", "- https://backend.test:9001/",
        "fastlb.yaml:44:9: workers: an address has no scheme; leave out 'https://'")]
    [InlineData("- bind: 127.0.0.1:8000", "- mode: 660\n    bind: unix:app.sock",
        "fastlb.yaml:16:11: bind: a unix socket needs an absolute path, like unix:/run/app.sock")]
    [InlineData("- bind: 127.0.0.1:8000", "- ipv6Only: true\n    bind: \"[::1]\"",
        "fastlb.yaml:16:11: bind: '1]' is not a port (0 to 65535)")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: *:8000",
        "fastlb.yaml:15:11: '*:8000' is a YAML alias, which FastLB does not take; a text that starts with * needs quotes")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: unix:app.sock",
        "fastlb.yaml:15:11: bind: a unix socket needs an absolute path, like unix:/run/app.sock")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: example.com:8000",
        "fastlb.yaml:15:11: bind: 'example.com' is not an IP address or localhost")]
    [InlineData("- bind: 127.0.0.1:8000", "- bind: \"[::1]:9000\"",
        "fastlb.yaml:22:11: bind: [::1]:9000 is the address of the listener in line 15 already")]
    [InlineData("- bind: 127.0.0.1:8000", "- protocol: http",
        "fastlb.yaml:15:5: 'bind' is missing in listener 1; write an address like 127.0.0.1:8000")]
    [InlineData("    timeouts: { head: 2s }", "    timeouts: { connect: 2s }",
        "fastlb.yaml:16:17: 'connect' has no meaning in timeouts of listener 127.0.0.1:8000; it belongs in a pool's timeouts")]
    [InlineData("    timeouts: { head: 2s }", "    timeouts: { drain: 2s }",
        "fastlb.yaml:16:17: 'drain' has no meaning in timeouts of listener 127.0.0.1:8000; it belongs at the top of the file")]
    [InlineData("    timeouts: { head: 2s }", "    timeouts: 2s",
        "fastlb.yaml:16:15: timeouts of listener 127.0.0.1:8000: expected keys (head, body, keepAlive, connect, response, tunnel, tunnelLifetime, queue, drain), found '2s'")]
    [InlineData("    timeouts: { head: 2s }", "    timeouts:",
        "fastlb.yaml:16:14: timeouts of listener 127.0.0.1:8000: expected keys (head, body, keepAlive, connect, response, tunnel, tunnelLifetime, queue, drain), found nothing")]
    [InlineData("    timeouts: { head: 2s }", "    pool: app",
        "fastlb.yaml:16:5: listener 127.0.0.1:8000 has both 'pool' and 'routes'; a last route without host and path is the pool for the rest")]
    [InlineData("host: api.example.com", "host: api.example.com:80",
        "fastlb.yaml:19:17: host: 'api.example.com:80' is not a host name; leave out the port: 'api.example.com'")]
    [InlineData("host: api.example.com", "host: api_example..com",
        "fastlb.yaml:19:17: host: 'api_example..com' is not a host name; write one like api.example.com, or *.example.com for all below it")]
    [InlineData("host: api.example.com", "host: \"*.\"",
        "fastlb.yaml:19:17: host: '*.' is not a host name; write one like api.example.com, or *.example.com for all below it")]
    [InlineData("host: \"*.example.com\"", "host: *.example.com",
        "fastlb.yaml:20:17: '*.example.com' is a YAML alias, which FastLB does not take; a text that starts with * needs quotes")]
    [InlineData("path: /v1/", "path: v1/",
        "fastlb.yaml:19:40: path: 'v1/' does not start with '/'")]
    [InlineData("path: /v1/", "path: /v1/?x",
        "fastlb.yaml:19:40: path: '/v1/?x' is not the start of a path; '?' ends a path")]
    [InlineData("path: /v1/", "path: /v 1/",
        "fastlb.yaml:19:40: path: '/v 1/' is not the start of a path; percent-encode what is not ASCII or is a blank")]
    [InlineData("path: /v1/", "path: /ü/",
        "fastlb.yaml:19:40: path: '/ü/' is not the start of a path; percent-encode what is not ASCII or is a blank")]
    [InlineData("path: /v1/", "paht: /v1/",
        "fastlb.yaml:19:34: unknown key 'paht' in route 1 of listener 127.0.0.1:8000; did you mean 'path'?")]
    [InlineData("pool: api }", "pool: apii }",
        "fastlb.yaml:19:52: there is no pool 'apii'; did you mean 'api'?")]
    [InlineData("pool: api }", "pool: nothing-like-it }",
        "fastlb.yaml:19:52: there is no pool 'nothing-like-it'; there are app, api, legacy")]
    [InlineData("pool: api }", "pol: api }",
        "fastlb.yaml:19:9: 'pool' is missing in route 1 of listener 127.0.0.1:8000; write the name of the pool that answers, or 'redirect', 'answer' or 'maintenance'",
        "fastlb.yaml:19:46: unknown key 'pol' in route 1 of listener 127.0.0.1:8000; did you mean 'pool'?")]
    [InlineData("- { pool: app }", "- 5",
        "fastlb.yaml:21:9: route 3 of listener 127.0.0.1:8000: expected keys (name, host, path, pathExact, pathRegex, methods, headers, query, cookies, pool, redirect, answer, maintenance, timeouts, retries, limits, requestHeaders, responseHeaders, rewrite), found '5'")]
    [InlineData("- { pool: app }", "- [app]",
        "fastlb.yaml:21:9: route 3 of listener 127.0.0.1:8000: expected keys (name, host, path, pathExact, pathRegex, methods, headers, query, cookies, pool, redirect, answer, maintenance, timeouts, retries, limits, requestHeaders, responseHeaders, rewrite), found a list")]
    [InlineData("protocol: tcp", "protocol: udp",
        "fastlb.yaml:23:15: protocol: expected http or tcp, found 'udp'")]
    [InlineData("protocol: tcp", "protocol: tcp\n    limits: { head: 1KB }",
        "fastlb.yaml:24:5: listener [::1]:9000 has protocol tcp, where there are no heads to limit; remove 'limits'")]
    [InlineData("    protocol: tcp\n    pool: legacy", "    protocol: tcp\n    routes: [{ pool: legacy }]",
        "fastlb.yaml:22:5: 'pool' is missing in listener [::1]:9000; write the name of the pool that answers",
        "fastlb.yaml:24:5: listener [::1]:9000 has protocol tcp, where there is nothing to route by; write a single 'pool'")]
    [InlineData("    protocol: tcp\n    pool: legacy", "    protocol: tcp",
        "fastlb.yaml:22:5: 'pool' is missing in listener [::1]:9000; write the name of the pool that answers")]
    [InlineData("    protocol: tcp\n    pool: legacy", "    pool: legacy\n    routes: []",
        "fastlb.yaml:23:5: listener [::1]:9000 has both 'pool' and 'routes'; a last route without host and path is the pool for the rest",
        "fastlb.yaml:24:13: routes: the list is empty; expected routes like { host: api.example.com, path: /v1/, pool: api }")]
    [InlineData("    strategy: two-choices", "    strategi: two-choices",
        "fastlb.yaml:27:5: unknown key 'strategi' in pool 'app'; did you mean 'strategy'?")]
    [InlineData("    strategy: two-choices", "    strategy: two_choices",
        "fastlb.yaml:27:15: strategy: there is no strategy 'two_choices'; did you mean 'two-choices'?")]
    [InlineData("    strategy: two-choices", "    pipelineDepth: 65",
        "fastlb.yaml:27:20: pipelineDepth: expected a number from 1 to 64, found '65'")]
    [InlineData("    strategy: two-choices", "    tcp: { acceleration: sokmap }",
        "fastlb.yaml:27:26: acceleration: expected auto or sockmap or splice or copy, found 'sokmap'; did you mean 'sockmap'?")]
    [InlineData("  app:\n", "  my app:\n",
        "fastlb.yaml:21:17: there is no pool 'app'; did you mean 'api'?",
        "fastlb.yaml:26:3: 'my app' is not a pool name; letters, digits, '-', '_' and '.' are allowed, at most 64")]
    [InlineData("cookie: SID", "cookie: \"S;D\"",
        "fastlb.yaml:28:23: cookie: 'S;D' is no cookie name; the character ';' is not allowed there (RFC 6265)")]
    [InlineData("cookie: SID", "cookie: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "fastlb.yaml:28:23: cookie: a cookie name has at most 64 characters here, this one 65")]
    [InlineData("secret: 0123456789abcdef", "secret: hunter2",
        "fastlb.yaml:28:36: secret: it has 7 characters; at least 16 are needed ('openssl rand -hex 32' makes a good one)")]
    [InlineData("strip: false", "strip: no",
        "fastlb.yaml:28:61: strip: expected true or false, found 'no'")]
    [InlineData("strip: false", "stripp: false",
        "fastlb.yaml:28:54: unknown key 'stripp' in sticky of pool 'app'; did you mean 'strip'?")]
    [InlineData("    sticky: true", "    sticky: FASTLB",
        "fastlb.yaml:40:13: sticky: expected true or keys (by, cookie, secret, strip), found 'FASTLB'")]
    [InlineData("    timeouts: { connect: 250ms }", "    timeouts: { keepAlive: 250ms }",
        "fastlb.yaml:29:17: 'keepAlive' has no meaning in timeouts of pool 'app'; it belongs in a listener's timeouts")]
    [InlineData("command: [sh, server.js, --name, \"\"]", "command: node server.js",
        "fastlb.yaml:31:16: command: expected a list; write [node, server.js]")]
    [InlineData("command: [sh, server.js, --name, \"\"]", "command: []",
        "fastlb.yaml:31:16: command: the list is empty; expected the program and its arguments, like [node, server.js]")]
    [InlineData("command: [sh, server.js, --name, \"\"]", "command: [\"\", x]",
        "fastlb.yaml:31:17: command: expected the program, found an empty text")]
    [InlineData("command: [sh, server.js, --name, \"\"]", "command: [node, [x], { a: b }]",
        "fastlb.yaml:31:23: command: expected an argument, found a list",
        "fastlb.yaml:31:28: command: expected an argument, found a set of keys")]
    [InlineData("command: [sh, server.js, --name, \"\"]", "command: [\"no\\0de\"]",
        "fastlb.yaml:31:17: a zero byte cannot be part of a value")]
    [InlineData("{ NODE_ENV: production,", "{ PATH: \"/b\\0in\",",
        "fastlb.yaml:34:28: a zero byte cannot be part of a value")]
    [InlineData("      command: [sh, server.js, --name, \"\"]\n", "",
        "fastlb.yaml:30:5: 'command' is missing in run of pool 'app'; write the program and its arguments, like [node, server.js]")]
    [InlineData("instances: 3", "instances: 0",
        "fastlb.yaml:32:18: instances: expected max or a number from 1 to 1024, found '0'")]
    [InlineData("instances: 3", "instances: 1025",
        "fastlb.yaml:32:18: instances: expected max or a number from 1 to 1024, found '1025'")]
    [InlineData("instances: 3", "instances: maximum",
        "fastlb.yaml:32:18: instances: expected max or a number from 1 to 1024, found 'maximum'")]
    [InlineData("directory: .", "directory: ./not-there",
        "fastlb.yaml:33:18: directory: there is no directory /not-there; a relative one starts where the configuration file is")]
    [InlineData("NODE_ENV: production", "PORT: 3000",
        "fastlb.yaml:34:22: environment: PORT is set by FastLB for each worker; remove it")]
    [InlineData("NODE_ENV: production", "FASTLB_SLOT: 1",
        "fastlb.yaml:34:22: environment: FASTLB_SLOT is set by FastLB for each worker; remove it")]
    [InlineData("NODE_ENV: production", "NODE_ENV: [x]",
        "fastlb.yaml:34:32: environment: expected a text for NODE_ENV, found a list")]
    [InlineData("NODE_ENV: production", "NODE_ENV:",
        "fastlb.yaml:34:31: environment: expected a text for NODE_ENV, found nothing; write \"\" for an empty one")]
    [InlineData("NODE_ENV: production", "\"A=B\": x",
        "fastlb.yaml:34:22: environment: 'A=B' is not the name of a variable")]
    [InlineData("environment: { NODE_ENV: production, WORKERS: 4, EMPTY: \"\" }", "environment: [NODE_ENV=production]",
        "fastlb.yaml:34:20: environment: expected names with values, like { NODE_ENV: production }, found a list")]
    [InlineData("transport: unix", "transport: udp",
        "fastlb.yaml:35:18: transport: expected tcp or unix, found 'udp'")]
    [InlineData("readyTimeout: 20s", "readyTimeout: soon",
        "fastlb.yaml:36:21: readyTimeout: 'soon' is not a duration; write one like 250ms, 10s, 5m or 1h")]
    [InlineData("    run:\n", "    workers: [127.0.0.1:1]\n    run:\n",
        "fastlb.yaml:31:5: pool 'app' has both 'run' and 'workers'; FastLB runs a pool's workers or only reaches them, so make two pools")]
    [InlineData("    workers: [\"unix:/run/api.sock\"]\n", "",
        "fastlb.yaml:38:3: pool 'api' has no workers; write 'run' (FastLB runs them) or 'workers' (FastLB only reaches them)")]
    [InlineData("    workers: [\"unix:/run/api.sock\"]\n", "    workers: []\n",
        "fastlb.yaml:41:14: workers: the list is empty; expected addresses like 127.0.0.1:9001 or { address: 127.0.0.1:9001, weight: 2 }")]
    [InlineData("    workers: [\"unix:/run/api.sock\"]\n", "    workers: 127.0.0.1:1\n",
        "fastlb.yaml:41:14: workers: expected a list of addresses like 127.0.0.1:9001 or { address: 127.0.0.1:9001, weight: 2 }, found '127.0.0.1:1'")]
    [InlineData("    workers: [\"unix:/run/api.sock\"]\n", "    workers: [127.0.0.1:8000]\n",
        "fastlb.yaml:41:15: workers: 127.0.0.1:8000 is FastLB's own listener (line 15); requests would go round for ever")]
    [InlineData("    workers: [\"unix:/run/api.sock\"]\n", "    workers: [0.0.0.0:8000]\n",
        "fastlb.yaml:41:15: workers: 0.0.0.0:8000 is FastLB's own listener (line 15); requests would go round for ever")]
    [InlineData("    workers: [\"unix:/run/api.sock\"]\n", "    workers: [\"[::]:9000\"]\n",
        "fastlb.yaml:41:15: workers: [::]:9000 is FastLB's own listener (line 22); requests would go round for ever")]
    [InlineData("      - 127.0.0.1:9001", "      - 127.0.0.1",
        "fastlb.yaml:44:9: workers: the port is missing; write host:port, [v6]:port or unix:/path")]
    [InlineData("      - 127.0.0.1:9001", "      - 127.0.0.1:0",
        "fastlb.yaml:44:9: workers: nobody can be reached at port 0")]
    [InlineData("      - 127.0.0.1:9001", "      - 10.0.0.7:9002",
        "fastlb.yaml:45:20: workers: 10.0.0.7:9002 stands in line 44 already; to give it more requests write { address: backend.test:9002, weight: 2 }")]
    [InlineData("      - 127.0.0.1:9001", "      - nowhere.test:80",
        "fastlb.yaml:44:9: workers: the name 'nowhere.test' cannot be resolved: Name or service not known")]
    [InlineData("      - 127.0.0.1:9001", "      - empty.test:80",
        "fastlb.yaml:44:9: workers: the name 'empty.test' has no address")]
    [InlineData("      - 127.0.0.1:9001", "      -",
        "fastlb.yaml:44:8: workers: expected an address like 127.0.0.1:9001, found nothing")]
    [InlineData("      - 127.0.0.1:9001", "      - { weight: 3 }",
        "fastlb.yaml:44:9: 'address' is missing in a worker of pool 'legacy'")]
    [InlineData("weight: 2", "weight: 0",
        "fastlb.yaml:45:47: weight: expected a number from 1 to 1000, found '0'")]
    [InlineData("weight: 2", "wieght: 2",
        "fastlb.yaml:45:39: unknown key 'wieght' in a worker of pool 'legacy'; did you mean 'weight'?")]
    [InlineData("  legacy:\n", "  api:\n",
        "fastlb.yaml:20:40: there is no pool 'legacy'; there are app, api",
        "fastlb.yaml:24:11: there is no pool 'legacy'; there are app, api",
        "fastlb.yaml:42:3: the key 'api' stands here a second time; the first is in line 38")]
    [InlineData("loops: 2", "engine: auto",
        "fastlb.yaml:2:1: the key 'engine' stands here a second time; the first is in line 1")]
    [InlineData("loops: 2", "loops: &two 2",
        "fastlb.yaml:2:8: '&two' defines a YAML anchor, which FastLB does not take; write the value where it is needed")]
    [InlineData("loops: 2", "loops: !!int 2",
        "fastlb.yaml:2:8: 'tag:yaml.org,2002:int' is a YAML tag, which FastLB does not take; remove it")]
    [InlineData("loops: 2", "? [a, b]\n: 1",
        "fastlb.yaml:2:3: a key is a word, and this is a list")]
    [InlineData("loops: 2", "\tloops: 2",
        "fastlb.yaml:2:1: there is a tab in the indentation; YAML takes only spaces")]
    [InlineData("  body: 20s", "\tbody: 20s",
        "fastlb.yaml:6:1: there is a tab in the indentation; YAML takes only spaces")]
    [InlineData("loops: 2", "loops: [2",
        "fastlb.yaml:2:8: this is not YAML from here on; is a bracket or a quote left open?")]
    [InlineData("loops: 2", "loops: 'two",
        "fastlb.yaml:2:8: this is not YAML: while scanning a quoted scalar, found unexpected end of stream")]
    [InlineData("loops: 2", "loops: a: b",
        "fastlb.yaml:2:9: this is not YAML: while scanning a plain scalar value, found invalid mapping; is this line indented like its neighbours, or does a text with a colon need quotes?")]
    [InlineData("loops: 2", "loops: 2\n---\nloops: 3",
        "fastlb.yaml:3:1: a second document starts here; the configuration is one document")]
    [InlineData("loops: 2", "loops: [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
        "fastlb.yaml:2:23: this is nested deeper than 16 levels")]
    [InlineData("loops: 2", "<<: 3",
        "fastlb.yaml:2:1: unknown key '<<' in the configuration; known are engine, loops, spin, watch, admin, timeouts, limits, forwarding, maxConnections, whenFull, accessLog, geo, zones, listeners, pools")]
    [InlineData("loops: 2", " loops: 2",
        "fastlb.yaml:2:7: this is not YAML: while scanning a plain scalar value, found invalid mapping; is this line indented like its neighbours, or does a text with a colon need quotes?")]
    [InlineData("  body: 20s", "   body: 20s",
        "fastlb.yaml:6:8: this is not YAML: while scanning a plain scalar value, found invalid mapping; is this line indented like its neighbours, or does a text with a colon need quotes?")]
    [InlineData("- { pool: app }", " - { pool: app }",
        "fastlb.yaml:21:8: this is not YAML: while parsing a block collection, did not find expected '-' indicator; is this line indented like its neighbours?")]
    [InlineData("engine: epoll", "engine: \"\\e[31m\"",
        "fastlb.yaml:1:9: engine: expected auto or io-uring or epoll, found '�[31m'")]
    [InlineData("engine: epoll", "engine: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "fastlb.yaml:1:9: engine: expected auto or io-uring or epoll, found 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...")]
    public void Every_mistake_is_told_with_its_place(string right, string wrong, params string[] expected)
    {
        Assert.Equal(1, ConfigurationSample.Text.Split(right).Length - 1);

        var result = ConfigurationSample.Read(ConfigurationSample.Text.Replace(right, wrong, StringComparison.Ordinal));

        Assert.Equal(expected, result.Errors.Select(e => e.ToString()));
        Assert.Null(result.Settings);
    }
}
