-- A step of a walk over tasks, newest first.
--
-- ARGV[2] the seq before which it goes on, or empty, [3] how many it looks at, [4] the letters of the
--         states that are meant (empty: all), [5] a queue, or empty for all
-- answers the seq after which it goes on (false at the end), then the views of those in these states
local before, budget, letters, only = tonumber(arg()), tonumber(arg()), arg(), arg()
local most = before and '(' .. int(before) or '+inf'
before = before or math.huge
local queues = only ~= '' and { only } or call('ZRANGE', QUEUES, 0, -1)
local function is_meant(letter) return letters == '' or find(letters, letter, 1, true) end

-- The newest of each place where tasks are found; together they hold the newest of all.
local newest = {}
local function found(id, seq) newest[#newest + 1] = { id, seq } end

local function find_by_seq(key)
  local members = call('ZREVRANGEBYSCORE', key, most, '-inf', 'WITHSCORES', 'LIMIT', 0, budget + 1)
  for at = 1, #members, 2 do found(members[at], tonumber(members[at + 1])) end
end

local function number_at(key, at)
  return tonumber(match(call('LINDEX', key, at) or '', '^%d+')) or 0
end

-- Numbers grow along a line: how many of them are before the walk is found by halving.
local function size_before(key)
  local low, high = 0, call('LLEN', key)
  if before == math.huge then return high end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if number_at(key, middle) < before then low = middle + 1 else high = middle end
  end
  return low
end

-- Those of a line that were never touched since their admission: the number of their place is their seq.
local function find_in_line(key)
  local size, enough = size_before(key), budget + 1
  while size > 0 and enough > 0 do
    local first = math.max(size - 250, 0)
    local places = call('LRANGE', key, first, size - 1)
    local ids = {}
    for n, place in ipairs(places) do ids[n] = match(place, ' (.+)$') or '' end
    local states = call('HMGET', STATES, unpack(ids))
    for n = #places, 1, -1 do
      local number = match(places[n], '^%d+')
      if number and states[n] == number and enough > 0 then
        found(ids[n], tonumber(number))
        enough = enough - 1
      end
    end
    size = first
  end
end

-- Active tasks without a past are found by their leases alone.
local function find_plain_active()
  local held = {}
  for _, member in ipairs(call('ZRANGE', LEASES, 0, -1)) do
    local group = match(member, '^#(%d+)$')
    for _, id in ipairs(group and call('LRANGE', group_key(group), 0, -1) or {}) do held[#held + 1] = id end
  end
  for first = 1, #held, 500 do
    local last = math.min(first + 499, #held)
    local states = call('HMGET', STATES, unpack(held, first, last))
    for n = first, last do
      local seq = tonumber(match(states[n - first + 1] or '', '^(%d+) %d+$'))
      if seq and seq < before then found(held[n], seq) end
    end
  end
end

for _, queue in ipairs(queues) do
  if letters == 'd' then
    find_by_seq(dead_key(queue))
  else
    find_by_seq(index_key(queue))
    if is_meant('p') then
      for prio = 0, 9 do find_in_line(line_key(queue, prio)) end
    end
  end
end
if is_meant('a') then find_plain_active() end
table.sort(newest, function(a, b) return a[2] > b[2] end)

local answer = { false }
local looked = 0
for _, one in ipairs(newest) do
  local task = load(one[1])
  if task and task.seq == one[2] and (only == '' or task.queue == only) then
    if looked == budget then break end
    looked = looked + 1
    if is_meant(task.st) then answer[#answer + 1] = view(task) end
  end
  answer[1] = int(one[2])
end
if looked < budget then answer[1] = false end
return answer
