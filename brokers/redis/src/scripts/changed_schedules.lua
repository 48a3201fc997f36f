-- changed_schedules
-- What has changed since a version.
--
-- ARGV[2] the version, [3] at most how many changes
-- answers nothing when the log does not go back so far; else the version up to which this tells, whether there are
--         later changes, ids, their definitions and their states; false for what is gone
local since, limit = tonumber(arg()), tonumber(arg())
local version = tonumber(call('HGET', META, 'version') or 0)
if since == version then return { version, 0, {}, {}, {} } end
local first = version - call('LLEN', SCHEDULE_LOG) + 1
if since > version or since + 1 < first then return false end
if version_of(call('LINDEX', SCHEDULE_LOG, -1)) ~= version then return false end
local from = since + 1 - first
local entries = call('LRANGE', SCHEDULE_LOG, from, from + limit - 1)
local ids, known = {}, {}
for _, entry in ipairs(entries) do
  local id = match(entry, '^%d+ (.*)$')
  if not known[id] then
    known[id] = true
    ids[#ids + 1] = id
  end
end
local until_ = since + #entries
return { int(until_), until_ < version and 1 or 0, ids, call('HMGET', SCHEDULES, unpack(ids)),
  call('HMGET', SCHEDULE_STATES, unpack(ids)) }
