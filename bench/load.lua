-- What wrk sends. Its settings come from load.ts, by environment variables.

local workload = os.getenv("BENCH_WORKLOAD")
local keys = tonumber(os.getenv("BENCH_KEYS"))
local value = os.getenv("BENCH_VALUE")
local targets = {}
for host, port in os.getenv("BENCH_TARGETS"):gmatch("([^:,]+):(%d+)") do
  targets[#targets + 1] = { host = host, port = port }
end

local threads = 0

-- Each thread has a target, and numbers of its own.
function setup(thread)
  local target = targets[threads % #targets + 1]
  threads = threads + 1
  thread.addr = wrk.lookup(target.host, target.port)[1]
  thread:set("seed", os.time() * 1000 + threads)
end

function init()
  math.randomseed(seed)
end

local requests = {
  put = function(key)
    return wrk.format("POST", "/set", nil, '{"key":"' .. key .. '","value":"' .. value .. '"}')
  end,
  get = function(key)
    return wrk.format("GET", "/get?key=" .. key)
  end,
}
local make = requests[workload]

function request()
  return make(string.format("key-%08d", math.random(0, keys - 1)))
end

-- `status` counts what was not 2xx or 3xx; nothing here is ever redirected.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\n',
    summary.requests,
    summary.duration / 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
