-- Takes envelopes in, each by itself.
--
-- ARGV[2…]  id and record of each
-- answers   one text for each: A admitted, I its id is taken, D{id} its key is taken by that task,
--           Q{limit} its queue is full
local answers, fires = {}, {}
while true do
  local id = arg()
  if not id then break end
  local task, refusal = admit(id, arg())
  answers[#answers + 1] = refusal or 'A'
  if task and task.schedule then fires[#fires + 1] = task end
end
promote_at_once(fires)
finish_script()
return answers
