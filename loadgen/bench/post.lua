-- Posts the lines of a file in turn: wrk -s post.lua URL -- FILE KEY
-- Every request is formatted once, before the load begins.

local requests, sent = {}, 0

function init(args)
  local headers = {["Content-Type"] = "application/json", ["x-api-key"] = args[2]}
  for body in io.lines(args[1]) do
    requests[#requests + 1] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

-- wrk keeps times in microseconds, and counts replies with a status over 399 as errors.
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "p50_us": %d, "p99_us": %d,' ..
    ' "statuses": %d, "sockets": %d, "timeouts": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.status, e.connect + e.read + e.write, e.timeout))
end
