-- What every script starts with.
--
-- KEYS[1]  {prefix}meta   HASH, always there: when it was made, the counter of admissions, the version of the schedules
-- KEYS[2]  {prefix}guard  never there. While a Cluster moves the slot, a script whose keys are partly
--                         there and partly not is refused as a whole: TRYAGAIN, then again.
-- ARGV[1]  now, in microseconds since 1970
--
-- All other keys are made from the prefix, which carries one hash tag: they live in the same slot.
local META, GUARD = KEYS[1], KEYS[2]
local PREFIX = string.sub(META, 1, -5)
local TASKS, STATES = PREFIX .. 'tasks', PREFIX .. 'states'
local DUE, LEASES, EXPIRING = PREFIX .. 'due', PREFIX .. 'leases', PREFIX .. 'expiring'
local GROUPS, GROUP_OWNERS = PREFIX .. 'groups', PREFIX .. 'group-owners'
local QUEUES = PREFIX .. 'queues'

local call = redis.call
local find, sub, match, format = string.find, string.sub, string.match, string.format
local now = tonumber(ARGV[1])

-- The next argument. ARGV[1] has been read.
local next_arg = 2
local function arg()
  local value = ARGV[next_arg]
  next_arg = next_arg + 1
  return value
end

-- `tostring` would write an instant as 1.77e+15, and '%.0f' takes three times as long.
local function int(number)
  return format('%d', number)
end

-- Numbers for admissions and places in a line; they only ever grow.
local function take_numbers(count)
  return call('HINCRBY', META, 'seq', count) - count + 1
end

-- Once a script has written, Redis lets it go on beyond maxmemory. What frees memory, or must not stop
-- for want of it, says so before its first write that could be refused.
local function may_exceed_memory()
  call('DEL', GUARD)
end

-- Passes a long list to a command in pieces: Lua's `unpack` has its limits.
local function call_with(command, key, list)
  local size = #list
  for first = 1, size, 1000 do
    call(command, key, unpack(list, first, math.min(first + 999, size)))
  end
end

-- Parts that call each other before they are written.
local link_sibling, unlink_sibling, release_held, end_key, fire_ended
