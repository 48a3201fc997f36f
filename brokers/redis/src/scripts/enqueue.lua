-- Takes envelopes in, each by itself.
--
-- ARGV[2…]  id and "head NEWLINE envelope" of each
-- answers   one text for each: A admitted, I its id is taken, D{id} its key is taken by that task,
--           Q{limit} its queue is full
local answers, fires = {}, {}
-- Tasks that are due at once and have neither key nor origin are written together.
local records, indices, lines = {}, {}, {}

local function write_together()
  call_with('HSET', TASKS, records)
  for queue, members in pairs(indices) do
    call_with('ZADD', index_key(queue), members)
    count(queue, 'enqueued', #members / 2)
  end
  for _, line in pairs(lines) do
    local queue, prio = line.queue, line.prio
    call_with('RPUSH', line_key(queue, prio), line.members)
    bump(queue, 'n' .. prio, #line.members)
    -- Their place is that of their arrival, also where another machine's clock is ahead of theirs.
    local field = 'e' .. prio
    local last = tonumber(match(call('HGET', queue_key(queue), field) or '', '^%S+'))
    if not last or line.ready > last then last = line.ready end
    call('HSET', queue_key(queue), field, int(last) .. ' ' .. int(line.seq))
    wake(queue)
  end
  records, indices, lines = {}, {}, {}
end

local function take_in_together(id, record, seq, queue, prio, ready)
  records[#records + 1] = id
  records[#records + 1] = int(seq) .. '\tp\t' .. record
  local index = indices[queue]
  if not index then
    index = {}
    indices[queue] = index
  end
  index[#index + 1] = int(seq)
  index[#index + 1] = id
  local name = prio .. queue
  local line = lines[name]
  if not line then
    line = { queue = queue, prio = prio, members = {}, ready = ready }
    lines[name] = line
  end
  line.members[#line.members + 1] = int(seq) .. ' ' .. id
  if ready > line.ready then line.ready = ready end
  line.seq = seq
end

local ids = {}
for at = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[at] end
local taken = {}
for first = 1, #ids, 1000 do
  local found = call('HMGET', TASKS, unpack(ids, first, math.min(first + 999, #ids)))
  for at = 1, #found do
    if found[at] then taken[ids[first + at - 1]] = true end
  end
end
local limited = {}
local function is_limited(queue)
  if limited[queue] == nil then
    limited[queue] = call('HEXISTS', queue_key(queue), 'limit') == 1
  end
  return limited[queue]
end

-- Numbers are taken for all at once; those of refused ones are left out.
local seq = take_numbers(#ids) - 1
for at, id in ipairs(ids) do
  local record = ARGV[2 * at + 1]
  local flag, queue, prio, due, enqueued = match(record, '^(%a)\t([^\t]+)\t(%d)\t(-?%d+)\t(-?%d+)')
  due, enqueued = tonumber(due), tonumber(enqueued)
  if taken[id] then
    answers[at] = 'I'
  elseif flag ~= 'x' and due <= now and not is_limited(queue) then
    seq = seq + 1
    take_in_together(id, record, seq, queue, prio, math.max(due, enqueued))
    taken[id] = true
    answers[at] = 'A'
  else
    write_together()
    seq = seq + 1
    local task, refusal = admit(id, record, seq)
    answers[at] = refusal or 'A'
    if task then
      taken[id] = true
      if task.schedule then fires[#fires + 1] = task end
    end
  end
end
write_together()
promote_at_once(fires)
finish_script()
return answers
