-- Admits tasks that are due at once and have neither key, origin nor retention, at the end of one line: what
-- nearly every enqueue is, without the libraries that the script `enqueue` has to bring along. It runs in one
-- transaction behind their records: those do not pass through Lua, which is slow with long texts.
--
-- ARGV[2] queue, [3] priority, [4] the latest instant at which one of them became ready, [5] "new" where nobody
--         can have used these ids before, so that the transaction has written their states too; else "any", [6…]
--         ids, each once
-- answers nothing when all are admitted, or of new ones the seq of the last; else a text for each: A admitted, I its id is taken, Q{limit} its
--         queue is full
local queue, prio = ARGV[2], ARGV[3]
local queue_key, states = prefix .. 'queue:' .. queue, prefix .. 'states'
local settings = call('HMGET', queue_key, 'limit', 'e' .. prio)
local is_new, n = ARGV[5] == 'new', #ARGV - 5
local known, answers = is_new and {} or call('HMGET', states, unpack(ARGV, 6)), nil
local limit = settings[1]
local room = limit and room_in(queue_key, limit) or n
local seq = call('HINCRBY', KEYS[1], 'seq', n) - n
local written, places, ids, last = {}, {}, {}, 0
for at = 1, n do
  local id = ARGV[5 + at]
  if known[at] then
    answers = answers or {}
    answers[at] = 'I'
  elseif last >= room then
    answers = answers or {}
    answers[at] = 'Q' .. limit
    -- What the transaction has written before is nobody's record.
    call('HDEL', prefix .. 'tasks', id)
    if is_new then call('HDEL', states, id) end
  else
    last = last + 1
    ids[last] = id
    -- A number that is joined to a text has up to 14 digits; there will not be more admissions.
    if is_new then
      places[last] = seq + last .. ' ' .. id
    else
      local number = seq + last .. ''
      written[2 * last - 1], written[2 * last] = id, number
      places[last] = number .. ' ' .. id
    end
  end
end
if last > 0 then
  if not is_new then call('HSET', states, unpack(written)) end
  call('RPUSH', prefix .. 'line:' .. prio .. ':' .. queue, unpack(places))
  -- Their place is that of their arrival, also where another machine's clock is ahead of theirs.
  local ready, before = ARGV[4], settings[2] and tonumber(string.match(settings[2], '^%S+'))
  if before and before > tonumber(ready) then ready = string.format('%d', before) end
  call('HSET', queue_key, 'e' .. prio, ready .. ' ' .. seq + last)
  count_in(queue, 'n' .. prio, ids)
  wake(queue)
end
if not answers then return is_new and seq + last end
for at = 1, n do answers[at] = answers[at] or 'A' end
return answers
