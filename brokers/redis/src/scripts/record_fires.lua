-- Records fires: the instant, its task and the cursor of its schedule in one step.
--
-- ARGV[2] shard, [3] epoch, [4] holder of the term, or empty, [5] how many batches it knows of; [6…] of each fire: schedule, instant, revision,
--         count, planned until, t under the term, h by hand, or x
--         when the term is not over its shard, then T (id, record), or s or m (reason, nothing)
-- answers how many batches there are over the shard by now, or nothing unless the term is the current one; then a
--         letter for each: e enqueued, s skipped, m missed, d duplicate, r refused
local shard, epoch, holder, batches = arg(), arg(), arg(), tonumber(arg())
local current_epoch, _, leader = match(call('HGET', LEADERS, shard) or '', '^(%d+) (-?%d+) (.+)$')
local is_leading = holder ~= '' and current_epoch == epoch and leader == holder and not divided_otherwise(shard)
  and batches_of(shard) >= batches
local answers, added = {}, {}

local function record(schedule, id, instant, fire, task_id, envelope)
  local on_record = fire_of(id, instant)
  -- A fire by hand makes up for one that was missed.
  if on_record and not (fire.manual and task_id and on_record.outcome == 'm') then return 'd' end
  if task_id then
    local task, refusal = admit(task_id, envelope)
    if task then
      fire.task, fire.enqueued = task_id, now
      schedule.fires = schedule.fires + 1
      added[#added + 1] = { at = #answers + 1, task = task }
    elseif refusal == 'I' then
      -- Its record is gone, but its task is still there: it has fired.
      return 'd'
    elseif sub(refusal, 1, 1) == 'D' then
      fire.outcome, fire.reason = 's', 'its key is taken by task ' .. sub(refusal, 2)
    else
      fire.outcome, fire.reason = 's', 'its queue is full (limit ' .. sub(refusal, 2) .. ')'
    end
  end
  -- What could not be made up for stays missed, so that it can be later.
  if not (on_record and fire.outcome == 's') then add_fire(id, instant, fire) end
  return fire.outcome
end

local changed_schedules = {}
while true do
  local id = arg()
  if not id then break end
  local instant, revision, count_, planned = tonumber(arg()), tonumber(arg()), tonumber(arg()), tonumber(arg())
  local right, kind, first, second = arg(), arg(), arg(), arg()
  local is_manual = right == 'h'
  local schedule = schedule_of(id)
  local may = (is_manual or is_leading and right == 't') and schedule and schedule.revision == revision
    and (is_manual or not schedule.paused)
  if not may then
    answers[#answers + 1] = 'r'
  else
    changed_schedules[id] = schedule
    if not is_manual then schedule.planned = math.max(schedule.planned, planned) end
    local fire = { revision = revision, outcome = 'e', count = count_, manual = is_manual or nil }
    local outcome
    if kind == 'T' then
      outcome = record(schedule, id, instant, fire, first, second)
    else
      fire.outcome, fire.reason = kind, first
      outcome = record(schedule, id, instant, fire)
    end
    answers[#answers + 1] = outcome
  end
end
for id, schedule in pairs(changed_schedules) do write_schedule(id, schedule) end

local tasks = {}
for _, one in ipairs(added) do tasks[#tasks + 1] = one.task end
promote_at_once(tasks)
-- One that was due already may have been turned away at the gate.
for _, one in ipairs(added) do
  if one.task.gone then
    local fire = fire_of(one.task.schedule, one.task.instant)
    if fire then answers[one.at] = fire.outcome end
  end
end
finish_script()
table.insert(answers, 1, is_leading and call('HINCRBY', FIRE_BATCHES, shard, 1))
return answers
