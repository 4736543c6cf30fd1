-- Sends the lines of a file, each a body in hexadecimal, one a request, over and over; says how
-- it went in one line of JSON. By GET each line is the end of the address.
-- wrk -s load.lua URL -- FILE METHOD [NAME VALUE]...

local requests = {}
local at = 0

function init(args)
  wrk.method = args[2]
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64) benchmark"
  for header = 3, #args, 2 do
    wrk.headers[args[header]] = args[header + 1]
  end
  for line in io.lines(args[1]) do
    local body = line:gsub("..", function(byte) return string.char(tonumber(byte, 16)) end)
    if args[2] == "GET" then
      requests[#requests + 1] = wrk.format(nil, wrk.path .. body)
    else
      requests[#requests + 1] = wrk.format(nil, nil, nil, body)
    end
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "micros": %d, "failed": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
