-- Acknowledges first runs of tasks without key, origin and retention, which leave nothing behind: what nearly
-- every settlement is, without the libraries that the script `settle` has to bring along.
--
-- ARGV[2] queue, [3] worker, [4…] ids, each once, and seqs
-- answers nothing when all are done; else a text for each: c completed, * the script `settle` has to look
local gone, ended, left = {}, 0, nil
local last_group, last_end = nil, nil

-- The group of a state, if this is the first run of a plain task with this seq.
local function group_of(state, seq)
  local start = seq .. ' '
  if find(state, start, 1, true) ~= 1 then return nil end
  local group = sub(state, #start + 1)
  return is_own(group) and group or nil
end

for at = 1, n do
  local state, seq, group = known[at], ARGV[3 + 2 * at], nil
  if state and last_end and state == seq .. last_end then
    group = last_group
  elseif state then
    group = group_of(state, seq)
    if group then last_group, last_end = group, ' ' .. group end
  end
  if group then
    ended = ended + 1
    gone[ended] = ids[at]
    groups[group] = (groups[group] or 0) + 1
  else
    left = left or {}
    left[at] = '*'
  end
end
finish_runs(gone)
return answer_of(left)
