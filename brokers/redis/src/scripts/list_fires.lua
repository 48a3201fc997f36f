-- Fires of a schedule, newest instant first.
--
-- ARGV[2] schedule, [3] the latest instant (or +inf), [4] how many
-- answers the instant with which it goes on (false at the end), then of each: instant, revision, outcome,
--         reason, task, enqueued, started, finished, the letter of its end, count, whether it was by hand
local id, latest, limit = arg(), arg(), tonumber(arg())
local instants = call('ZREVRANGEBYSCORE', fires_key(id), latest, '-inf', 'LIMIT', 0, limit + 1)
local answer = { false }

local function instant_or_false(at) return at and int(at) or false end

for at, instant in ipairs(instants) do
  if at > limit then
    answer[1] = instant
    break
  end
  local fire = fire_of(id, tonumber(instant))
  if fire then
    local started = fire.started
    if not started and fire.task then
      -- A run that has not ended yet is known to the task alone.
      local task = load(fire.task)
      started = task and task.started
    end
    answer[#answer + 1] = { instant, int(fire.revision), fire.outcome, fire.reason or false,
      fire.task or false, instant_or_false(fire.enqueued), instant_or_false(started),
      instant_or_false(fire.finished), fire.ended or false, int(fire.count), fire.manual and 1 or 0 }
  end
end
return answer
