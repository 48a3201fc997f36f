-- Who may fire schedules.
--
-- {prefix}leaders        HASH shard → "epoch until holder"; it outlives every lease, so that the epoch never shrinks
-- {prefix}fire-batches   HASH shard → how many batches of fires were recorded over it
-- ARGV[2] lead (holder, time to live), resign (holder) or ask, [3] shard, [4…] what it takes
-- answers epoch, batches, until and holder of the term, or nothing; or 0 and a shard of another division that is led
local what, shard, holder, ttl = arg(), arg(), arg(), tonumber(arg())
local epoch, until_, leader = match(call('HGET', LEADERS, shard) or '', '^(%d+) (-?%d+) (.+)$')
epoch, until_ = tonumber(epoch), tonumber(until_)
if what == 'ask' then
  if not epoch or until_ <= now then return false end
  return { epoch, batches_of(shard), int(until_), leader }
elseif what == 'resign' then
  if leader == holder then call('HSET', LEADERS, shard, int(epoch) .. ' 0 ' .. holder) end
  return false
end
local other = divided_otherwise(shard)
if other then return { 0, tonumber(other) } end
if not epoch then
  epoch = 1
elseif until_ <= now then
  epoch = epoch + 1
elseif leader ~= holder then
  return false
end
until_ = now + ttl
call('HSET', LEADERS, shard, int(epoch) .. ' ' .. int(until_) .. ' ' .. holder)
return { epoch, batches_of(shard), int(until_), holder }
