-- Payouts, each with an external id of its own; `done` is load.lua's.
dofile(os.getenv("LOAD_SCRIPTS") .. "/load.lua")
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
local run, count = os.getenv("LOAD_RUN"), 0
request = function()
  count = count + 1
  return wrk.format(nil, nil, nil, string.format(
    '{"externalId":"%s-%d","amount":12.5,"currency":"MXN","country":"MEX"}', run, count))
end
