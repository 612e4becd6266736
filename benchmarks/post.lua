-- Posts the bodies of a file, one JSON a line, over and over; @NUMBER@ becomes a running number of 12 digits.
-- BODIES: the file. API_KEY: the key to show. Prints one line of JSON at the end.

local mark = "@NUMBER@"
local bodies, turn, count = {}, 0, 0

local function split(text)
   local pieces, from = {}, 1
   while true do
      local at, last = text:find(mark, from, true)
      if not at then break end
      pieces[#pieces + 1] = text:sub(from, at - 1)
      from = last + 1
   end
   pieces[#pieces + 1] = text:sub(from)
   return pieces
end

function init(args)
   for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = split(line) end
   wrk.headers["Content-Type"] = "application/json"
   wrk.headers["X-API-Key"] = os.getenv("API_KEY")
end

function request()
   turn, count = turn % #bodies + 1, count + 1
   return wrk.format("POST", nil, nil, table.concat(bodies[turn], string.format("%012d", count)))
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "p50_ms": %f, "p99_ms": %f}\n',
      summary.requests, summary.duration / 1e6, errors.status,
      errors.connect + errors.read + errors.write + errors.timeout,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
