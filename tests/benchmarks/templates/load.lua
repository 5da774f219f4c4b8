-- What wrk sends, and how it tells what came of it: one line of JSON. LOAD_UPLOAD is the size of a body to send,
-- LOAD_KEY the key of a caller in the policy.
local size = tonumber(os.getenv("LOAD_UPLOAD") or "0")
if size > 0 then
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = string.rep("x", size)
end
local bearer = os.getenv("LOAD_BEARER")
if bearer then wrk.headers["Authorization"] = "Bearer " .. bearer end
local key = os.getenv("LOAD_KEY")
if key then wrk.headers["X-Proxy-Key"] = key end

done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"calls": %d, "seconds": %.6f, "p50": %.6f, "p99": %.6f, "p999": %.6f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6,
    latency:percentile(99.9) / 1e6,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
