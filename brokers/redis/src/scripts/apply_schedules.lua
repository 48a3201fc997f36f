-- Makes the definitions of a source exactly these, all or nothing.
--
-- ARGV[2] source, [3…] id and definition of each
-- answers = and an id that is given twice, or ! with id and owner where an id belongs to another source; else how many stayed as they were, how
--         many tasks were taken back, then a letter and an id for each: + added, ~ changed, - removed
local source = arg()
local named = {}
for at = 3, #ARGV, 2 do
  local id = ARGV[at]
  if named[id] then return { '=', id } end
  named[id] = true
  local schedule = schedule_of(id)
  if schedule and schedule.source ~= source then return { '!', id, schedule.source } end
end
local answer, unchanged, revoked = { 0, 0 }, 0, 0
local removed = {}
for _, id in ipairs(call('SMEMBERS', source_key(source))) do
  if not named[id] then removed[#removed + 1] = id end
end
table.sort(removed)
for _, id in ipairs(removed) do
  revoked = revoked + remove_schedule(id)
  answer[#answer + 1] = '-' .. id
end
for at = 3, #ARGV, 2 do
  local id, definition = ARGV[at], ARGV[at + 1]
  if not schedule_of(id) then
    add_schedule(id, source, definition)
    answer[#answer + 1] = '+' .. id
  elseif call('HGET', SCHEDULES, id) == definition then
    unchanged = unchanged + 1
  else
    revoked = revoked + redefine(id, definition)
    answer[#answer + 1] = '~' .. id
  end
end
answer[1], answer[2] = unchanged, revoked
log_changes()
finish_script()
return answer
