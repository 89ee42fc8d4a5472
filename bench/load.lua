-- What wrk sends. Everything comes from a file that load.ts wrote, and that BENCH_LOAD names.

local threads = 0

-- Each thread has a target, and numbers of its own.
function setup(thread)
  local targets = dofile(os.getenv("BENCH_LOAD")).targets
  local host, port = targets[threads % #targets + 1]:match("^(.*):(%d+)$")
  threads = threads + 1
  thread.addr = wrk.lookup(host, port)[1]
  thread:set("seed", os.time() * 1000 + threads)
end

local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- Of a text whose length is a multiple of three.
local function base64(text)
  return (text:gsub("...", function(three)
    local a, b, c = three:byte(1, 3)
    local bits = a * 65536 + b * 256 + c
    local out = ""
    for shift = 3, 0, -1 do
      local at = math.floor(bits / 64 ^ shift) % 64 + 1
      out = out .. alphabet:sub(at, at)
    end
    return out
  end))
end

local function identity(text)
  return text
end

local load, encode, put, get
local names = {}

-- A request is made from its key by joining three strings: the marked template has the length of the real one.
local function template(form)
  local raw = wrk.format(form.method, form.path, nil, form.body)
  local first, last = raw:find("~+")
  return { raw:sub(1, first - 1), raw:sub(last + 1) }
end

function init()
  math.randomseed(seed)
  load = dofile(os.getenv("BENCH_LOAD"))
  encode = load.keyEncoding == "base64" and base64 or identity
  put = template(load.put)
  get = template(load.get)
end

local function name(index)
  local known = names[index]
  if known == nil then
    known = encode(string.format("key-%08d", index))
    names[index] = known
  end
  return known
end

function request()
  local form = math.random(0, 99) < load.readPercent and get or put
  return form[1] .. name(math.random(0, load.keys - 1)) .. form[2]
end

-- `status` counts what was not 2xx or 3xx; nothing here is ever redirected.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"seconds":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d,"bytes":%d}\n',
    summary.requests,
    summary.duration / 1e6,
    latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    summary.bytes
  ))
end
