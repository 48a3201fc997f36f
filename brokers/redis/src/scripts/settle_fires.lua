-- Acknowledges first runs of fires that were put ahead and leave nothing behind but what is on record of them: as
-- `settle_plain`.
--
-- ARGV[2] queue, [3] worker, [4…] ids, each once, seqs, and instants at which they started
-- answers as `settle_plain`
local now = tonumber(ARGV[1])
local gone, ended, left = {}, 0, nil

-- Ends a run on record. Answers its group, or nothing where the script `settle` has to look: the proof is stale,
-- or a later fire is held until this one ends.
local function end_fire(state, id, seq, started)
  local own_seq, group, instant, schedule = string.match(state, '^!(%d+) (%d+)\t(-?%d+)\t(.+)$')
  if own_seq ~= seq or not is_own(group) then return nil end
  if call('EXISTS', prefix .. 'held:' .. schedule) == 1 then return nil end
  local key = prefix .. 'fire-records:' .. schedule
  local packed = call('HGET', key, instant)
  if packed then
    local fire = cmsgpack.unpack(packed)
    fire.started, fire.finished, fire.ended = fire.started or tonumber(started), now, 'c'
    call('HSET', key, instant, cmsgpack.pack(fire))
  end
  call('ZREM', prefix .. 'running:' .. schedule, id)
  return group
end

for at = 1, n do
  local id = ids[at]
  local group = known[at] and end_fire(known[at], id, ARGV[2 + 3 * at], ARGV[3 + 3 * at])
  if group then
    ended = ended + 1
    gone[ended] = id
    groups[group] = (groups[group] or 0) + 1
  else
    left = left or {}
    left[at] = '*'
  end
end
if ended > 0 then call('ZREM', prefix .. 'index:' .. queue, unpack(gone)) end
finish_runs(gone)
return answer_of(left)
