-- wrk's script: sends the requests of a file in turn, and checks every answer's status and length.
-- Arguments: the file, then STATUS:SHORTEST:LONGEST for each status that may come.

function setup(thread)
  checker = thread
end

function init(arguments)
  requests, bounds, wrong, sent = {}, {}, 0, 0
  local file = assert(io.open(arguments[1], "rb"))
  while true do
    local length = file:read("*n", "*l")
    if not length then break end
    requests[#requests + 1] = file:read(length)
  end
  file:close()
  for i = 2, #arguments do
    local status, shortest, longest = arguments[i]:match("(%d+):(%d+):(%d+)")
    bounds[tonumber(status)] = { tonumber(shortest), tonumber(longest) }
  end
end

function request()
  sent = sent + 1
  return requests[(sent - 1) % #requests + 1]
end

function response(status, _, body)
  local bound = bounds[status]
  if not bound or #body < bound[1] or #body > bound[2] then wrong = wrong + 1 end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\nresult {"answers":%d,"microseconds":%d,"p50_us":%d,"p99_us":%d,"wrong":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    checker:get("wrong"), errors.connect + errors.read + errors.write + errors.timeout
  ))
end
