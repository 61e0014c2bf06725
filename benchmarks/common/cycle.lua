-- wrk: asks for the targets of a file in turn, again and again. Lines are a path, a tab, and a Range or nothing.
local requests, at = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local path, range = line:match("^([^\t]*)\t(.*)$")
    local headers = {}
    if range ~= "" then headers["Range"] = range end
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"seconds": %.6f, "requests": %d, "bytes": %d, "refused": %d, "broken": %d, "p50": %.6f, "p95": %.6f, "p99": %.6f, "p999": %.6f}\n',
    summary.duration / 1e6, summary.requests, summary.bytes, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(95) / 1e6, latency:percentile(99) / 1e6,
    latency:percentile(99.9) / 1e6))
end
