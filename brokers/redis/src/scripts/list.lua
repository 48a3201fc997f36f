-- A step of a walk over tasks, newest first.
--
-- ARGV[2] the seq before which it goes on, or empty, [3] how many it looks at, [4] the letters of the
--         states that are meant (empty: all), [5] a queue, or empty for all, then what else has to fit, each empty
--         where it need not: [6] kind, [7] key, [8] schedule, [9] enqueued since, [10] enqueued before, [11] ended
--         since, [12] ended before, [13] why it was buried, [14] = if it has to have failed. Whoever asks looks again.
-- answers the seq after which it goes on (false at the end), how many active tasks it had to read to find the newest
--         of them, then the views of those in these states: none, perhaps, though it goes on
local before, budget, letters, only = tonumber(arg()), tonumber(arg()), arg(), arg()
local most = before and '(' .. int(before) or '+inf'
before = before or math.huge
local queues = only ~= '' and { only } or call('ZRANGE', QUEUES, 0, -1)
local function is_meant(letter) return letters == '' or find(letters, letter, 1, true) end

local kind, key, schedule = arg(), arg(), arg()
local since, till = tonumber(arg()), tonumber(arg())
local ended_since, ended_till = tonumber(arg()), tonumber(arg())
local reason, has_failed = arg(), arg() ~= ''
-- Saves those the way that cannot be meant. One that is broken is shown as another than it seems here.
local function may_match(task)
  if task.is_broken then return true end
  local ended = task.finished
  return (kind == '' or task.kind == kind) and (key == '' or task.key == key)
    and (schedule == '' or task.schedule == schedule)
    and (not since or task.enqueued >= since) and (not till or task.enqueued < till)
    and (not ended_since or ended and ended >= ended_since) and (not ended_till or ended and ended < ended_till)
    and (reason == '' or task.reason == reason) and (not has_failed or task.error)
end

-- The newest of each place where tasks are found; together they hold the newest of all.
local newest = {}
local function found(id, seq) newest[#newest + 1] = { id, seq } end

-- Where the step ends at the latest: what is older has not been looked for everywhere.
local floor = 0
local function end_at(seq) floor = math.max(floor, seq) end

-- How many are taken from each place, lest a step among many queues holds up the server.
local quota = math.min(budget, math.max(8, math.ceil(2 * budget / math.max(1, #queues))))

local function find_by_seq(key)
  local members = call('ZREVRANGEBYSCORE', key, most, '-inf', 'WITHSCORES', 'LIMIT', 0, quota + 1)
  local last = math.min(#members, 2 * quota)
  for at = 1, last, 2 do found(members[at], tonumber(members[at + 1])) end
  if #members > last then end_at(tonumber(members[last])) end
end

local function size_before(key)
  return before == math.huge and call('LLEN', key) or places_before(key, before)
end

-- Those of a line that were never touched since their admission: the number of their place is their seq. Places
-- that are nobody's any more may be many, so that so many are looked at in one step.
local MOST_PLACES = 5000
local function find_in_line(key)
  local size, left = size_before(key), quota
  local stop = size - MOST_PLACES
  while size > 0 do
    if size <= stop then return end_at(number_at(key, size)) end
    local first = math.max(size - math.min(250, quota + 2), 0)
    local places = call('LRANGE', key, first, size - 1)
    local ids = {}
    for n, place in ipairs(places) do ids[n] = match(place, ' (.+)$') or '' end
    local states = call('HMGET', STATES, unpack(ids))
    for n = #places, 1, -1 do
      local number = match(places[n], '^%d+')
      if number and (states[n] == number or states[n] and sub(states[n], 1, 1) == '=') then
        if left == 0 then return end_at(newest[#newest][2]) end
        found(ids[n], tonumber(number))
        left = left - 1
      end
    end
    size = first
  end
end

-- Active tasks without a past are found by the groups that they were leased in alone, in no order.
local held_size = 0
local function find_plain_active()
  local held = {}
  for _, group in ipairs(call('HKEYS', GROUPS)) do
    for _, id in ipairs(call('LRANGE', group_key(group), 0, -1)) do held[#held + 1] = id end
  end
  held_size = #held
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

local answer = { false, held_size }
local looked = 0
for _, one in ipairs(newest) do
  if one[2] < floor then break end
  local task = load(one[1])
  if task and not task.seq then task.seq = one[2] end
  if task and task.seq == one[2] and (only == '' or task.queue == only) then
    if looked == budget then break end
    looked = looked + 1
    if is_meant(task.st) and may_match(task) then answer[#answer + 1] = view(task) end
  end
  answer[1] = int(one[2])
end
if looked < budget then answer[1] = floor > 0 and int(floor) end
return answer
