-- Who is alive.
--
-- ARGV[2] announce (process, record, time to live), depart (process) or list, [3…] what it takes
-- answers of a list the records of those who are alive
local what, process, record, ttl = arg(), arg(), arg(), tonumber(arg())
if what == 'announce' then
  call('HSET', PRESENCE, process, record)
  call('ZADD', PRESENCE_AGES, int(now + ttl), process)
elseif what == 'depart' then
  call('HDEL', PRESENCE, process)
  call('ZREM', PRESENCE_AGES, process)
else
  local alive = call('ZRANGEBYSCORE', PRESENCE_AGES, '(' .. int(now), '+inf', 'LIMIT', 0, 1000)
  if #alive == 0 then return {} end
  return call('HMGET', PRESENCE, unpack(alive))
end
return 1
