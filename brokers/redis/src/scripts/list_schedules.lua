-- list_schedules
-- Schedules in the order in which they were added. What is stored is answered as it stands: to unpack it here would
-- keep everybody else waiting for most of the time.
--
-- ARGV[2] the number from which it goes on, [3] how many
-- answers the number from which it goes on (false at the end), the definitions, and their states; false for what is gone
local from, limit = arg(), tonumber(arg())
local ids = call('ZRANGEBYSCORE', SCHEDULE_ORDER, from, '+inf', 'LIMIT', 0, limit + 1)
local next_ = false
if #ids > limit then next_ = call('ZSCORE', SCHEDULE_ORDER, table.remove(ids)) end
if #ids == 0 then return { false, {}, {} } end
return { next_, call('HMGET', SCHEDULES, unpack(ids)), call('HMGET', SCHEDULE_STATES, unpack(ids)) }
