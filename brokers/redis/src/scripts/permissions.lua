-- Whether the user may run what the scripts run: one that is refused a command in the midst of a script would
-- leave a transition half done. Each is called so that it changes nothing: on a key that is not there, or with
-- arguments that it refuses, which Redis looks at after the permission. Nothing is left behind.
--
-- KEYS[1] a key that is never there
-- answers the commands that are refused
local refused = {}

local function try(command, ...)
  local answer = redis.pcall(command, KEYS[1], ...)
  local why = type(answer) == 'table' and answer.err or ''
  for _, words in ipairs({ "can't run this command", 'no permissions to run' }) do
    if string.find(why, words, 1, true) then
      refused[#refused + 1] = string.lower(command)
      break
    end
  end
end

for _, command in ipairs({ 'EXISTS', 'HGETALL', 'HKEYS', 'HLEN', 'LLEN', 'LPOP', 'SMEMBERS', 'TYPE', 'UNLINK', 'ZCARD' }) do
  try(command)
end
for _, command in ipairs({ 'HDEL', 'HEXISTS', 'HGET', 'HMGET', 'SISMEMBER', 'SREM', 'ZREM', 'ZSCORE', 'HSCAN', 'LINDEX' }) do
  try(command, '0')
end
for _, command in ipairs({ 'LRANGE', 'LTRIM', 'ZRANGE', 'ZRANGEBYSCORE', 'ZREVRANGE', 'ZREVRANGEBYSCORE' }) do
  try(command, '0', '0')
end
try('ZRANGEBYLEX', '-', '+')
try('ZREVRANGEBYLEX', '+', '-')
try('HINCRBY', 'field', 'no number')
try('HSET', 'field', 'value', 'field without a value')
try('ZADD', 'no number', 'member')
try('RENAME', KEYS[1])
try('DEL')
-- A list can be made by nothing but a change, which is taken back; what may not be is not begun.
if #refused == 0 then
  try('RPUSH', 'item')
  -- It is no set and no hash.
  try('SADD', 'member')
  try('HSETNX', 'field', 'value')
  redis.pcall('DEL', KEYS[1])
end
return refused
