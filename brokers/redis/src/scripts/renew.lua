-- Extends leases.
--
-- ARGV[2] time to live in microseconds, [3…] id and proof of each
-- answers one number for each: 0 lost, 1 held, 2 held, and its cancellation has been asked for
local until_ = int(now + tonumber(arg()))
local answers = {}
may_exceed_memory()
for at = 3, #ARGV, 2 do
  local id, proof = ARGV[at], ARGV[at + 1]
  local task, answer = held_by(id, proof), 0
  if task then
    -- From now on it lapses by itself.
    if task.group then
      end_lease(task)
      save(task)
    end
    call('ZADD', LEASES, until_, id)
    answer = task.cancel and 2 or 1
  end
  answers[#answers + 1] = answer
end
return answers
