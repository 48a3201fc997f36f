-- Extends leases.
--
-- ARGV[2] time to live in microseconds, [3…] id and proof of each
-- answers one number for each: 0 lost, 1 held, 2 held, and its cancellation has been asked for
local until_ = int(now + tonumber(arg()))
local answers = {}
may_exceed_memory()
for at = 3, #ARGV, 2 do
  local id, proof = ARGV[at], ARGV[at + 1]
  local state = call('HGET', STATES, id)
  local answer = 0
  if state and proof_in(state) == proof then
    call('ZADD', LEASES, until_, id)
    answer = 1
    if sub(state, 1, 1) == 'a' and load(id).cancel then answer = 2 end
    loaded[id] = nil
  end
  answers[#answers + 1] = answer
end
return answers
