-- A key of a type that Tidemill never gives it stops every script that needs it. A sweep moves such keys out
-- of the way, to {prefix}wrong-type:…, where whoever put them there finds them, and says so.
local FIXED = {
  hash = { 'meta', 'tasks', 'states', 'groups', 'group-owners', 'relining', 'recount', 'schedules',
    'schedule-states', 'retired', 'leaders', 'fire-batches', 'presence' },
  zset = { 'queues', 'due', 'leases', 'expiring', 'kept-keys', 'step-ages', 'completions', 'note-ages',
    'presence-ages', 'fire-ages', 'schedule-order' },
  set = { 'recounted' },
  list = { 'schedule-log' },
}
local OF_A_QUEUE = { hash = { 'queue:', 'history:', 'keys:' }, zset = { 'index:', 'dead:' }, list = { 'wake:' } }
local OF_A_SCHEDULE = { hash = { 'fire-records:' }, zset = { 'running:', 'waiting:', 'held:', 'fires:' } }

-- Of each key that was moved: its name, the type that it had, and the one that it has to have.
local moved = {}

local function mend_type(name, expected)
  local found = call('TYPE', PREFIX .. name).ok
  if found == expected or found == 'none' then return end
  call('RENAME', PREFIX .. name, PREFIX .. 'wrong-type:' .. name)
  moved[#moved + 1] = name .. '\t' .. found .. '\t' .. expected
end

local function mend_types_of(names, suffix)
  for expected, starts in pairs(names) do
    for _, start in ipairs(starts) do mend_type(start .. suffix, expected) end
  end
end

-- The next members of a sorted set by their names or scores, round and round; how far it came stands in `meta`.
local function next_of(key, field, command, first, after, count_)
  local last = call('HGET', META, field)
  local found = call(command, key, last and after .. last or first, command == 'ZRANGEBYLEX' and '+' or '+inf',
    'LIMIT', 0, count_)
  local reached = found[count_]
  if not reached then
    call('HDEL', META, field)
  else
    call('HSET', META, field, command == 'ZRANGEBYLEX' and reached or call('ZSCORE', key, reached))
  end
  return found
end

-- The queues that this sweep looks at.
local looked_at
local function next_queues()
  looked_at = looked_at or next_of(QUEUES, 'repair-queue', 'ZRANGEBYLEX', '-', '(', 20)
  return looked_at
end

local function mend_types()
  mend_types_of(FIXED, '')
  for _, queue in ipairs(next_queues()) do
    mend_types_of(OF_A_QUEUE, queue)
    for prio = 0, 9 do
      mend_type('line:' .. prio .. ':' .. queue, 'list')
      mend_type('aside:' .. prio .. ':' .. queue, 'zset')
    end
  end
  local schedules = next_of(PREFIX .. 'schedule-order', 'repair-schedule', 'ZRANGEBYSCORE', '-inf', '(', 20)
  for _, schedule in ipairs(schedules) do mend_types_of(OF_A_SCHEDULE, schedule) end
end
