-- One schedule.
--
-- ARGV[2] put (source, definition), delete, pause (reason behind a "=", or empty), resume or get, [3] id, [4…] what it takes
-- answers of put and get its view or nothing, of the others whether there is one
local what, id, first, second = arg(), arg(), arg(), arg()
local schedule = schedule_of(id)
if what == 'get' then return view_schedule(id) end
if what == 'put' then
  if not schedule then
    add_schedule(id, first, second)
  else
    if call('HGET', SCHEDULES, id) ~= second then redefine(id, second) end
    if schedule.source ~= first then
      call('SREM', source_key(schedule.source), id)
      call('SADD', source_key(first), id)
      schedule.source = first
      write_schedule(id, schedule)
      new_version(id)
    end
  end
  log_changes()
  finish_script()
  return view_schedule(id)
end
if not schedule then return 0 end
if what == 'delete' then
  remove_schedule(id)
elseif what == 'pause' then
  local reason = first ~= '' and sub(first, 2) or nil
  if not schedule.paused then
    revoke(id, schedule)
    turn_waiting_away(id, 'its schedule was paused')
    schedule.paused, schedule.reason = true, reason
    revise(id, schedule)
  elseif schedule.reason ~= reason then
    schedule.reason = reason
    write_schedule(id, schedule)
    new_version(id)
  end
elseif schedule.paused then
  schedule.paused, schedule.reason = nil, nil
  revise(id, schedule)
end
log_changes()
finish_script()
return 1
