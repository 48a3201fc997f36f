-- Definitions of schedules.
--
-- {prefix}schedules         HASH id → definition as JSON
-- {prefix}schedule-states   HASH id → MessagePack map: number, revision, source, paused, reason, updated,
--                           planned (the cursor), fires
-- {prefix}schedule-order    ZSET of ids by the number under which they were added
-- {prefix}schedules-of:{source}  SET of ids
-- {prefix}retired           HASH id → the last revision of a schedule that was removed: none is used again
-- {prefix}leaders           HASH shard, by its key → "epoch until holder"
local SCHEDULES, SCHEDULE_STATES = PREFIX .. 'schedules', PREFIX .. 'schedule-states'
local SCHEDULE_ORDER, RETIRED = PREFIX .. 'schedule-order', PREFIX .. 'retired'
local LEADERS = PREFIX .. 'leaders'

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

local function new_version()
  call('HINCRBY', META, 'version', 1)
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
  new_version()
end

-- Makes a new revision of a schedule, whose calendar starts now.
local function revise(id, schedule)
  schedule.revision = schedule.revision + 1
  schedule.updated, schedule.planned = now, now
  write_schedule(id, schedule)
  new_version()
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
  new_version()
  return revoked
end

local function view_schedule(id)
  local schedule = schedule_of(id)
  if not schedule then return false end
  return { call('HGET', SCHEDULES, id), int(schedule.revision), schedule.source, schedule.paused and 1 or 0,
    schedule.reason or false, int(schedule.updated), int(schedule.planned), int(schedule.fires) }
end
