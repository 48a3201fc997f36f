-- A task: what was enqueued, and the state that it is in.
--
-- {prefix}tasks    HASH id → "head NEWLINE rest", as it came; the head has what scripts need of the envelope
-- {prefix}states   HASH id → the state: a letter, for an active task its proof and a NEWLINE, then a
--                  MessagePack map of what differs from the default. A plain task, with neither key, origin nor
--                  retention, that has done nothing yet is written shorter: "~seq TAB priority TAB queue" while it
--                  waits for its due time; "number:seq" while it waits in its line since then, and a bare "seq"
--                  while it does from its admission, or "=hint" where that was without a look at its id: then its seq is
--                  the number of its place, which is greater than the hint; "seq group" while it runs for the first time. A fire that was put
--                  ahead is "^seq TAB priority TAB queue" until its due time; if it leaves nothing behind, and its
--                  schedule lets it run beside earlier ones or skips it, " TAB overlap TAB instant TAB schedule" stand
--                  behind that, and then it is "!number:seq TAB instant TAB schedule" in its line, and "!seq group TAB
--                  instant TAB schedule" while it runs for the first time
-- {prefix}index:{queue}   ZSET of ids by seq: the tasks of the queue, but for those in "seq" and "=hint", which are
--                  found in their line, and those in "seq group", which are found by their lease
-- {prefix}due      ZSET of ids by due time: scheduled and retry, but for fires that the gate holds
-- {prefix}leases   ZSET by the end of their lease: of "#number" for a group of tasks that were leased together, and
--                  of ids for those that have been renewed since
-- {prefix}group:{number} LIST of ids; {prefix}groups HASH number → how many of them are still held in it;
--                  {prefix}group-owners HASH number → "worker start"
-- {prefix}expiring ZSET of finished ids by the end of their retention
-- {prefix}dead:{queue}    ZSET of dead letters by seq
-- {prefix}attempts:{id}, {prefix}log:{id}, {prefix}steps:{id}   what goes with a task
--
-- Letters: s scheduled, p pending, a active, r retry, c completed, d dead, x cancelled. Passage of a fire:
-- o open, g gated, h held.
local COUNTED = { s = 'scheduled', a = 'active', r = 'retry', c = 'completed', d = 'dead', x = 'cancelled' }
-- What a state keeps beside its letter, where it is not the default.
local KEPT = { 'seq', 'due', 'ready', 'attempt', 'failures', 'crashes', 'started', 'finished', 'worker', 'error',
  'result', 'progress', 'cancel', 'reason', 'fence', 'unknown', 'passage', 'number', 'has', 'group' }
local MAX_ATTEMPTS = 100

local function index_key(queue) return PREFIX .. 'index:' .. queue end
local function dead_key(queue) return PREFIX .. 'dead:' .. queue end
local function attempts_key(id) return PREFIX .. 'attempts:' .. id end
local function log_key(id) return PREFIX .. 'log:' .. id end
local function steps_key(id) return PREFIX .. 'steps:' .. id end

local STEP_AGES = PREFIX .. 'step-ages'

-- Reads the head of a record into a task. False where it is none.
local function read_head(task, record)
  local stop = find(record, '\n', 1, true)
  if not stop then return false end
  local flag, queue, prio, due, enqueued, retention, crash_limit, kind, rest = match(sub(record, 1, stop - 1),
    '^(%a)\t([^\t]+)\t(%d)\t(-?%d+)\t(-?%d+)\t(%d+)\t(%d+)\t([^\t]+)(.*)$')
  if not flag then return false end
  task.queue, task.prio, task.kind = queue, prio, kind
  task.due, task.enqueued = tonumber(due), tonumber(enqueued)
  task.retention, task.crash_limit = tonumber(retention), tonumber(crash_limit)
  task.ready = math.max(task.due, task.enqueued)
  task.passage, task.fence = 'o', 0
  if flag == 'x' then
    local ttl, fate, key, schedule, instant, revision, overlap, misfire, catch_up = match(rest,
      '^\t(%d*)\t(%a*)\t([^\t]*)\t([^\t]*)\t(-?%d*)\t(%d*)\t(%a?)\t(%a?)\t(%d*)$')
    if key ~= '' then
      task.key, task.key_ttl, task.key_fate = key, tonumber(ttl), fate
    end
    if schedule ~= '' then
      task.schedule, task.instant, task.revision = schedule, tonumber(instant), tonumber(revision)
      task.overlap, task.misfire, task.catch_up = overlap, misfire, tonumber(catch_up)
      task.passage = 'g'
    end
  end
  return true
end

-- What proves a lease: seq, fence and worker, as they stand in the state and come with a token.
local function proof_of(task)
  return int(task.seq) .. ' ' .. int(task.fence) .. ' ' .. task.worker
end

-- A task of the group that it was leased in, for its first run.
local function read_first_run(task, group)
  local worker, started = match(call('HGET', GROUP_OWNERS, group) or '', '^(%S+) (%S+)$')
  task.st, task.fence, task.attempt, task.group = 'a', 1, 1, group
  -- Whoever deleted the owner of the group left no name.
  task.worker, task.started = worker or 'unknown', tonumber(started)
end

-- A fire that was put ahead, has passed the gate, and has done nothing yet.
local function read_quick_fire(task, state)
  task.passage = 'o'
  local number, own_seq = match(state, '^!(%d+):(%d+)\t')
  if number then
    task.st, task.seq, task.number = 'p', tonumber(own_seq), tonumber(number)
    return
  end
  local seq, group = match(state, '^!(%d+) (%d+)\t')
  task.seq = tonumber(seq) or 0
  read_first_run(task, group or '')
end

local function read_state(task, state)
  local letter, body = sub(state, 1, 1), nil
  if letter == '=' then
    task.st, task.is_unindexed, task.hint = 'p', true, tonumber(sub(state, 2)) or 0
    return
  end
  if letter == '~' or letter == '^' then
    task.st, task.seq = 's', tonumber(match(state, '^.(%d+)'))
    task.number = task.seq
    return
  end
  if letter == '!' then return read_quick_fire(task, state) end
  local number, own_seq = match(state, '^(%d+):(%d+)$')
  if number then
    task.st, task.seq, task.number, task.ready = 'p', tonumber(own_seq), tonumber(number), task.due
    return
  end
  local seq, group = match(state, '^(%d+) ?(%d*)$')
  if seq then
    task.st, task.seq, task.is_unindexed = 'p', tonumber(seq), true
    task.number = task.seq
    if group == '' then return end
    return read_first_run(task, group)
  elseif letter == 'a' then
    body = sub(state, find(state, '\n', 1, true) + 1)
  else
    body = sub(state, 2)
  end
  local is_read, fields = pcall(cmsgpack.unpack, body)
  if not is_read or type(fields) ~= 'table' or not fields.seq or not find('sparcdx', letter, 1, true) then
    -- Somebody else's: it is shown as a dead letter, and can be deleted.
    task.st, task.seq, task.number, task.reason = 'd', 0, 0, 'undecodable'
    return
  end
  task.st = letter
  for name, value in pairs(fields) do task[name] = value end
end

-- Tasks that this script has looked at, so that everybody changes the same one.
local loaded = {}

-- A record that is none is a task all the same, so that it can be set aside. Which queue it is in, its
-- place in the line knows.
local function make_broken(task)
  task.is_broken = true
  task.queue, task.prio, task.kind = 'default', '5', 'undecodable'
  task.due, task.enqueued, task.ready = now, now, now
  task.retention, task.crash_limit, task.passage, task.fence = 0, 3, 'o', 0
end

local function load(id)
  local task = loaded[id]
  if task then return not task.gone and task or nil end
  local state = call('HGET', STATES, id)
  if not state then return nil end
  task = { id = id }
  if not read_head(task, call('HGET', TASKS, id) or '') then make_broken(task) end
  read_state(task, state)
  loaded[id] = task
  return task
end

local function state_text(task)
  local body = {}
  for _, name in ipairs(KEPT) do body[name] = task[name] end
  local packed = cmsgpack.pack(body)
  if task.st == 'a' then
    return 'a' .. proof_of(task) .. '\n' .. packed
  end
  return task.st .. packed
end

-- Finds out the seq of a task that its place alone knows. One that has no place, or not where it should be, gets
-- a new one.
local function give_seq(task)
  if task.seq then return end
  task.number = number_of(task)
  task.seq = task.number or take_numbers(1)
end

local function save(task)
  give_seq(task)
  call('HSET', STATES, task.id, state_text(task))
  if task.is_unindexed then
    call('ZADD', index_key(task.queue), int(task.seq), task.id)
    task.is_unindexed = nil
  end
end

-- The task of a proof that still holds its lease.
local function held_by(id, proof)
  local task = load(id)
  return task and task.st == 'a' and proof_of(task) == proof and task or nil
end

local function group_key(group) return PREFIX .. 'group:' .. group end

local function drop_group(group)
  call('HDEL', GROUPS, group)
  call('HDEL', GROUP_OWNERS, group)
  call('UNLINK', group_key(group))
  call('ZREM', LEASES, '#' .. group)
end

-- So many tasks of a group are not held in it any more. The last one takes it with it.
local function leave_group(group, count)
  if call('HINCRBY', GROUPS, group, -count) <= 0 then drop_group(group) end
end

local function end_lease(task)
  if task.group then
    leave_group(task.group, 1)
    task.group = nil
  else
    call('ZREM', LEASES, task.id)
  end
end

-- Whether it counts as an earlier run of its schedule that has not ended.
local function is_running(task)
  local st = task.st
  return st == 'p' or st == 'a' or st == 'r' or (st == 's' and task.passage == 'o')
end

-- Whether it is a fire that waits for its due time, or for an earlier task to end.
local function is_waiting_fire(task)
  return task.st == 's' and task.passage ~= 'o'
end

local function is_final(task)
  local st = task.st
  return st == 'c' or st == 'd' or st == 'x'
end

-- Where its queue counts it.
local function counter_of(task)
  return COUNTED[task.st] or 'n' .. task.prio
end

-- Enters a task into every index of its state. Only the scripts `lease` and `adopt` make a task active.
local function link(task)
  local st = task.st
  if is_recounting() then recount_in(task.id, task.queue, counter_of(task)) end
  if st == 'p' then
    line_up(task)
  else
    bump(task.queue, COUNTED[st], 1)
    if st == 's' or st == 'r' then
      if task.passage ~= 'h' then
        local first = call('ZRANGE', DUE, 0, 0, 'WITHSCORES')[2]
        call('ZADD', DUE, int(task.due), task.id)
        -- Whoever sleeps until the first one has to look at the clock again.
        if not first or task.due < tonumber(first) then wake(task.queue) end
      end
    elseif st == 'd' then
      call('ZADD', dead_key(task.queue), int(task.seq), task.id)
    elseif st ~= 'a' then
      call('ZADD', EXPIRING, int(task.finished + task.retention), task.id)
    end
  end
  if task.schedule then link_sibling(task) end
end

local function unlink(task)
  local st = task.st
  if is_recounting() then recount_out(task.id, task.queue, counter_of(task)) end
  if st == 'p' then
    leave_line(task)
  else
    bump(task.queue, COUNTED[st], -1)
    if st == 's' or st == 'r' then
      call('ZREM', DUE, task.id)
    elseif st == 'a' then
      end_lease(task)
    elseif st == 'd' then
      call('ZREM', dead_key(task.queue), task.id)
    else
      call('ZREM', EXPIRING, task.id)
    end
  end
  if task.schedule then unlink_sibling(task) end
end

-- Changes a task and everything that follows from its state.
local function alter(task, change)
  give_seq(task)
  unlink(task)
  local was_running = is_running(task)
  change(task)
  -- A new place in the line needs a new number, or its ghost would pass for it.
  if task.st == 'p' then task.number = take_numbers(1) end
  link(task)
  save(task)
  if task.schedule and was_running and not is_running(task) then release_held(task.schedule) end
end

-- Removes a task with all that lives as long as it. Its key is another matter.
local function remove(task)
  unlink(task)
  call('ZREM', index_key(task.queue), task.id)
  call('HDEL', TASKS, task.id)
  call('HDEL', STATES, task.id)
  local has = task.has
  if has then
    if find(has, 'a', 1, true) then call('UNLINK', attempts_key(task.id)) end
    if find(has, 'l', 1, true) then call('UNLINK', log_key(task.id)) end
    if find(has, 's', 1, true) then
      for _, step in ipairs(call('HKEYS', steps_key(task.id))) do
        call('ZREM', STEP_AGES, task.id .. '\t' .. step)
      end
      call('UNLINK', steps_key(task.id))
    end
  end
  task.gone = true
  if task.schedule and (is_running(task) or is_waiting_fire(task)) then
    release_held(task.schedule)
  end
end

-- Notes that something goes with the task: a attempts, l log, s steps.
local function mark(task, what)
  if find(task.has or '', what, 1, true) then return false end
  task.has = (task.has or '') .. what
  return true
end

local function make_pending(task, ready)
  task.st, task.ready, task.passage = 'p', ready, 'o'
end

-- Makes it wait until `at`; it is ready at once when that has come.
local function make_due(task, at)
  task.due, task.ready = at, at
  task.st = (at <= now and task.passage == 'o') and 'p' or 's'
end

-- Keeps the end of the run that is under way.
local function record_attempt(task, outcome, failure, started)
  if not task.worker then return end
  local key = attempts_key(task.id)
  local size = call('RPUSH', key, table.concat({ int(task.attempt or 0), task.worker,
    started and int(started) or '', int(now), outcome, failure or '' }, '\t'))
  if size > MAX_ATTEMPTS then call('LTRIM', key, -MAX_ATTEMPTS, -1) end
  mark(task, 'a')
end

-- Ends a task, now or as of an instant before: its state, its key, its fire; and its record, when it has no retention.
local function finish(task, st, change, at)
  at = at or now
  alter(task, function()
    change(task)
    task.st, task.passage, task.finished = st, 'o', at
  end)
  end_key(task, st)
  if task.schedule then fire_ended(task, st, at) end
  if st ~= 'd' and task.retention == 0 then remove(task) end
end

-- Writes the head that a record should have had.
local function give_head(task, queue)
  task.queue, task.is_broken = queue, nil
  local head = { 'p', queue, task.prio, int(now), int(now), '0', '3', 'undecodable' }
  call('HSET', TASKS, task.id, table.concat(head, '\t') .. '\n' .. (call('HGET', TASKS, task.id) or ''))
end

-- Sets aside what nobody could read. It never ran. A record without a head gets one.
local function set_aside(task, queue, failure)
  if task.is_broken then give_head(task, queue) end
  finish(task, 'd', function() task.error, task.reason = failure, 'undecodable' end)
end

-- Ends a task that waits; asks for the end of one that runs.
local function cancel(task)
  if task.st == 'a' then
    task.cancel = true
    save(task)
  elseif not is_final(task) then
    finish(task, 'x', function() end)
  end
end
