-- Definitions of schedules.
--
-- {prefix}schedules         HASH id → definition as JSON
-- {prefix}schedule-states   HASH id → MessagePack map: number, revision, source, paused, reason, updated,
--                           planned (the cursor), fires
-- {prefix}schedule-order    ZSET of ids by the number under which they were added
-- {prefix}schedules-of:{source}  SET of ids
-- {prefix}schedule-log      LIST of "version id" of the last changes, one for each version
-- {prefix}retired           HASH id → the last revision of a schedule that was removed: none is used again
-- {prefix}leaders           HASH shard, by its key → "epoch until holder"
-- {prefix}fire-batches      HASH shard → how many batches of fires were recorded over it; a store that has fewer than
--                           a leader was told of was set back
local SCHEDULES, SCHEDULE_STATES = PREFIX .. 'schedules', PREFIX .. 'schedule-states'
local SCHEDULE_ORDER, RETIRED = PREFIX .. 'schedule-order', PREFIX .. 'retired'
local SCHEDULE_LOG, CHANGES_KEPT = PREFIX .. 'schedule-log', 10000
local LEADERS, FIRE_BATCHES = PREFIX .. 'leaders', PREFIX .. 'fire-batches'

local function source_key(source) return PREFIX .. 'schedules-of:' .. source end

local function division(shard) return math.floor(tonumber(shard) / 65536) end

-- A shard of another division that is led: it keeps all of this one out.
local function divided_otherwise(shard)
  if call('HLEN', LEADERS) == call('HEXISTS', LEADERS, shard) then return nil end
  local leaders = call('HGETALL', LEADERS)
  for i = 1, #leaders, 2 do
    local until_ = match(leaders[i + 1], '^%d+ (-?%d+) ')
    if division(leaders[i]) ~= division(shard) and tonumber(until_) > now then return leaders[i] end
  end
end

local function batches_of(shard) return tonumber(call('HGET', FIRE_BATCHES, shard) or 0) end

local known_schedules = {}

local function schedule_of(id)
  local schedule = known_schedules[id]
  if schedule then return schedule end
  local packed = call('HGET', SCHEDULE_STATES, id)
  if not packed then return nil end
  schedule = cmsgpack.unpack(packed)
  known_schedules[id] = schedule
  return schedule
end

local function write_schedule(id, schedule)
  known_schedules[id] = schedule
  call('HSET', SCHEDULE_STATES, id, cmsgpack.pack(schedule))
end

-- The ids of the changes that this script makes, in their order.
local definitions_changed = {}

local function new_version(id) definitions_changed[#definitions_changed + 1] = id end

local function version_of(entry) return tonumber(match(entry or '', '^%d+') or -1) end

-- Counts the changes, and remembers the last ones. A build that keeps no log, or somebody's hand, may have made
-- versions that it does not have; then it begins anew, so that it has each version from its first to its last.
local function log_changes()
  local n = #definitions_changed
  if n == 0 then return end
  local before = call('HINCRBY', META, 'version', n) - n
  if version_of(call('LINDEX', SCHEDULE_LOG, -1)) ~= before then call('DEL', SCHEDULE_LOG) end
  local entries = {}
  for at = math.max(1, n - CHANGES_KEPT + 1), n do entries[#entries + 1] = int(before + at) .. ' ' .. definitions_changed[at] end
  if n > #entries then call('DEL', SCHEDULE_LOG) end
  call_with('RPUSH', SCHEDULE_LOG, entries)
  call('LTRIM', SCHEDULE_LOG, -CHANGES_KEPT, -1)
  definitions_changed = {}
end

local function add_schedule(id, source, definition)
  local number = call('HINCRBY', META, 'schedules', 1)
  local retired = tonumber(call('HGET', RETIRED, id) or 0)
  call('HDEL', RETIRED, id)
  call('HSET', SCHEDULES, id, definition)
  call('ZADD', SCHEDULE_ORDER, int(number), id)
  call('SADD', source_key(source), id)
  write_schedule(id, { number = number, revision = retired + 1, source = source, updated = now, planned = now,
    fires = 0 })
  new_version(id)
end

-- Makes a new revision of a schedule, whose calendar starts now.
local function revise(id, schedule)
  schedule.revision = schedule.revision + 1
  schedule.updated, schedule.planned = now, now
  write_schedule(id, schedule)
  new_version(id)
end

-- The fires that have not passed the gate and are not held by it, by due time; those whose instant is
-- after now, or those whose instant has come.
local function waiting_fires(id, is_ahead)
  local found = {}
  for _, member in ipairs(call('ZRANGE', waiting_key(id), 0, -1)) do
    local instant, task_id = match(member, '^(%S+) (.+)$')
    if (tonumber(instant) > now) == is_ahead then
      local task = load(task_id)
      if task and task.passage ~= 'h' then found[#found + 1] = task end
    end
  end
  return found
end

-- Takes back the fires that were put ahead and whose instant has not come, and forgets them.
local function revoke(id, schedule)
  local ahead = waiting_fires(id, true)
  for _, task in ipairs(ahead) do
    forget_fire(id, task.instant)
    schedule.fires = math.max(schedule.fires - 1, 0)
    free_key(task)
    remove(task)
  end
  return #ahead
end

-- Turns away the fires whose instant has come but which have not passed the gate, so that none starts once
-- the change is acknowledged; they stay on record.
local function turn_waiting_away(id, reason)
  local waiting = waiting_fires(id, false)
  for _, task in ipairs(waiting) do turn_away(task, 's', reason) end
  return #waiting
end

local function redefine(id, definition)
  local schedule = schedule_of(id)
  local revoked = revoke(id, schedule)
  call('HSET', SCHEDULES, id, definition)
  revise(id, schedule)
  return revoked
end

local function remove_schedule(id)
  local schedule = schedule_of(id)
  local revoked = revoke(id, schedule) + turn_waiting_away(id, 'its schedule was removed')
  call('HSET', RETIRED, id, int(schedule.revision + 1))
  call('HDEL', SCHEDULES, id)
  call('HDEL', SCHEDULE_STATES, id)
  call('ZREM', SCHEDULE_ORDER, id)
  call('SREM', source_key(schedule.source), id)
  known_schedules[id] = nil
  new_version(id)
  return revoked
end

local function view_schedule(id)
  local schedule = schedule_of(id)
  if not schedule then return false end
  return { call('HGET', SCHEDULES, id), int(schedule.revision), schedule.source, schedule.paused and 1 or 0,
    schedule.reason or false, int(schedule.updated), int(schedule.planned), int(schedule.fires) }
end
