-- Gives tasks that were admitted a moment ago their own records, where a record stood before that was nobody's.
--
-- ARGV[2…]  id and record of each
-- answers   nothing
local prefix = string.sub(KEYS[1], 1, -5)
for at = 2, #ARGV, 2 do
  -- One that has ended meanwhile has no record any more.
  if redis.call('HEXISTS', prefix .. 'states', ARGV[at]) == 1 then
    redis.call('HSET', prefix .. 'tasks', ARGV[at], ARGV[at + 1])
  end
end
return false
