-- Settings of a queue.
--
-- ARGV[2] queue, [3] pause (reason), resume or limit (number), [4] what it takes behind a "=", or empty
local queue, what, value = arg(), arg(), arg()
local key = queue_key(queue)
local function set(field)
  if value == '' then call('HDEL', key, field) else call('HSET', key, field, sub(value, 2)) end
end
if what == 'pause' then
  call('HSET', key, 'paused', 1)
  set('reason')
  enter_queue(queue)
elseif what == 'resume' then
  call('HDEL', key, 'paused', 'reason')
  wake(queue)
else
  set('limit')
  enter_queue(queue)
end
finish_script()
return 1
