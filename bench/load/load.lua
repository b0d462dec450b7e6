-- What wrk does for the benchmarks: an argument after "--" makes it send that many requests at once (pipelining), and in the
-- end the figures are printed as one line of JSON, exactly, where wrk's own report rounds the bytes.

function init(args)
  local depth = tonumber(args[1] or "1")
  if depth > 1 then
    local batch = string.rep(wrk.format(), depth)
    request = function() return batch end
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "bytes": %d, "seconds": %f, "failed": %d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
