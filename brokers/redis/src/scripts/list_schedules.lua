-- Schedules in the order in which they were added.
--
-- ARGV[2] the number from which it goes on, [3] how many
-- answers the number from which it goes on (false at the end), then the views
local from, limit = arg(), tonumber(arg())
local found = call('ZRANGEBYSCORE', SCHEDULE_ORDER, from, '+inf', 'WITHSCORES', 'LIMIT', 0, limit + 1)
local answer = { false }
for at = 1, #found, 2 do
  if at > 2 * limit then
    answer[1] = found[at + 1]
    break
  end
  answer[#answer + 1] = view_schedule(found[at])
end
return answer
