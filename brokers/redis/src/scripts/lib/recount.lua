-- Counters that somebody else deleted or overwrote are counted anew, in steps, while work goes on.
--
-- {prefix}recount    HASH "queue TAB field" → how many tasks have been counted there
-- {prefix}recounted  SET of the ids that have been counted
--
-- A walk counts each task once. One that changes meanwhile is counted as what it becomes: `link` and `unlink`
-- see to that, so that the sum is exact when the walk ends, whatever happened on its way.
local RECOUNT, RECOUNTED = PREFIX .. 'recount', PREFIX .. 'recounted'
local under_way

local function is_recounting()
  if under_way == nil then under_way = call('EXISTS', RECOUNT) == 1 end
  return under_way
end

local function recount_field(queue, field, by)
  call('HINCRBY', RECOUNT, queue .. '\t' .. field, by)
end

-- Counts a task, unless it has been.
local function recount_in(id, queue, field)
  if call('SADD', RECOUNTED, id) == 1 then recount_field(queue, field, 1) end
end

-- Takes a task out again that has been counted.
local function recount_out(id, queue, field)
  if call('SREM', RECOUNTED, id) == 1 then recount_field(queue, field, -1) end
end

-- Tasks that pass from one counter to another of their queue.
local function recount_pass(ids, queue, from, to)
  for _, id in ipairs(ids) do
    if call('SISMEMBER', RECOUNTED, id) == 1 then
      recount_field(queue, from, -1)
      recount_field(queue, to, 1)
    end
  end
end
