-- What wrk sends: messages, each with the same payload, the event types in turn.
--
--     wrk ... -s load.lua URL -- TOKEN PAYLOAD EVENT_TYPE...
--
-- PAYLOAD is JSON. With one event type the request never changes, and wrk sends it without asking Lua. No answer is
-- looked at here (that would cost wrk much); wrk counts those that are not 2xx by itself. The last line printed is JSON.

function init(args)
  local requests = {}
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer " .. args[1]
  for i = 3, #args do
    wrk.body = '{"eventType":"' .. args[i] .. '","payload":' .. args[2] .. "}"
    requests[#requests + 1] = wrk.format()
  end
  if #requests > 1 then
    local sent = 0
    function request()
      sent = sent + 1
      return requests[sent % #requests + 1]
    end
  end
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"refused":%d,"broken":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)
  ))
end
