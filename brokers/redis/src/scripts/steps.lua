-- Steps of a run, fenced by its lease.
--
-- ARGV[2] claim, commit or abandon, [3] id, [4] fence, [5] step, [6] for a claim the proof, for a commit the
--         result, [7] for a commit for how long it is kept
-- answers of a claim: run, fenced, or the result behind a "="; of a commit 1 or 0; of an abandonment 1
local what, id, fence, name, value, keep = arg(), arg(), tonumber(arg()), arg(), arg(), tonumber(arg())
local step = read_step(id, name)
if what == 'claim' then
  local task = held_by(id, value)
  if not task then return 'fenced' end
  if step then
    if step.fence > fence then return 'fenced' end
    step.fence = fence
    if step.phase == 'f' and step.ends > now then
      write_step(id, name, step)
      return '=' .. step.result
    end
  end
  write_step(id, name, { fence = fence, phase = 'c', ends = now + CLAIM })
  if mark(task, 's') then save(task) end
  return 'run'
end
if not step or step.fence ~= fence then return 0 end
if what == 'commit' then
  -- The same commit again, after an answer that was lost.
  if step.phase == 'f' then return 1 end
  if step.phase == 'a' then return 0 end
  write_step(id, name, { fence = fence, phase = 'f', result = value, ends = now + keep })
elseif step.phase == 'c' then
  step.phase = 'a'
  write_step(id, name, step)
end
return 1
