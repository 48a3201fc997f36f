-- Uniqueness keys.
--
-- {prefix}keys:{queue}   HASH "kind TAB key" → "expires seq id"
-- {prefix}kept-keys      ZSET of "queue TAB kind TAB key" by expiry: keys that outlive their task
local KEPT_KEYS = PREFIX .. 'kept-keys'

local function keys_key(queue) return PREFIX .. 'keys:' .. queue end

local function read_hold(text)
  local expires, seq, id = match(text or '', '^(%S+) (%S+) (.+)$')
  return tonumber(expires), tonumber(seq), id
end

-- The task that holds a key now: its seq and its id.
local function key_holder(queue, kind, key)
  local expires, seq, id = read_hold(call('HGET', keys_key(queue), kind .. '\t' .. key))
  if not expires then return nil end
  if expires > now then return seq, id end
  local task = load(id)
  if task and task.seq == seq and (task.st == 'a' or task.st == 'r') then return seq, id end
  return nil
end

local function claim_key(task, expires)
  if not task.key then return end
  call('HSET', keys_key(task.queue), task.kind .. '\t' .. task.key,
    int(expires) .. ' ' .. int(task.seq) .. ' ' .. task.id)
end

-- The expiry of the key of a task, if it has one and still holds it.
local function own_key(task)
  if not task.key then return nil end
  local field = task.kind .. '\t' .. task.key
  local expires, seq = read_hold(call('HGET', keys_key(task.queue), field))
  if seq == task.seq then return expires, field end
  return nil
end

-- Counts the time to live of a task's key from a new due time.
local function move_key(task, due)
  if own_key(task) then claim_key(task, math.max(due, task.enqueued) + task.key_ttl) end
end

local function free_key(task)
  local expires, field = own_key(task)
  if not expires then return end
  call('HDEL', keys_key(task.queue), field)
  call('ZREM', KEPT_KEYS, task.queue .. '\t' .. field)
end

-- What the end of a task does to its key. Its fate: two letters, on success and on failure, f free, k keep.
function end_key(task, st)
  local expires, field = own_key(task)
  if not expires then return end
  local fate = 'f'
  if st == 'c' then fate = sub(task.key_fate, 1, 1) elseif st == 'd' then fate = sub(task.key_fate, 2, 2) end
  if fate == 'f' or expires <= now then
    call('HDEL', keys_key(task.queue), field)
  else
    call('ZADD', KEPT_KEYS, int(expires), task.queue .. '\t' .. field)
  end
end

-- Forgets keys that have outlived their task and their time to live.
local function prune_keys(budget)
  for _, member in ipairs(call('ZRANGEBYSCORE', KEPT_KEYS, '-inf', int(now), 'LIMIT', 0, budget)) do
    call('ZREM', KEPT_KEYS, member)
    local queue, field = match(member, '^([^\t]+)\t(.+)$')
    local expires, seq, id = read_hold(call('HGET', keys_key(queue), field))
    -- The key may have passed to another task since, or have been claimed again.
    if expires and expires <= now then
      local task = load(id)
      if not task or task.seq ~= seq or is_final(task) then call('HDEL', keys_key(queue), field) end
    end
  end
end
