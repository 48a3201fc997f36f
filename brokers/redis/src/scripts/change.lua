-- Changes tasks as an operator asks.
--
-- ARGV[2] cancel, delete, purge, run, move, bury or rebury, [3] for move the instant, for rebury "buried due failures crashes
--         reason" as they were, [4…] ids
-- answers of each: the letter of its state before and of its state after (- when it is gone), ! and the
--         letter where the change makes no sense, or ? when there is no such task
local what, with = arg(), arg()

local function waits(task)
  return task.st == 's' or task.st == 'p' or task.st == 'r'
end

local function forget(task)
  free_key(task)
  remove(task)
  task.st = '-'
end

local changes_of = {
  cancel = function(task)
    if is_final(task) then return false end
    cancel(task)
  end,
  delete = function(task)
    if task.st == 'a' then return false end
    forget(task)
  end,
  purge = function(task)
    if task.st ~= 'd' then return false end
    forget(task)
  end,
  run = function(task)
    if task.st ~= 's' and task.st ~= 'r' then return false end
    alter(task, function()
      task.due = now
      make_pending(task, now)
    end)
  end,
  -- What waits for a retry still does; a fire still passes the gate.
  move = function(task)
    if not waits(task) then return false end
    local at = tonumber(with)
    local is_retry = task.st == 'r'
    alter(task, function()
      if task.passage ~= 'o' then task.passage = 'g' end
      make_due(task, at)
      if is_retry then task.st = 'r' end
    end)
    move_key(task, at)
  end,
  bury = function(task)
    if not waits(task) then return false end
    finish(task, 'd', function() task.reason = 'operator' end)
  end,
  rebury = function(task)
    if task.st ~= 's' and task.st ~= 'p' then return false end
    local at, due, failures, crashes, reason = match(with, '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
    finish(task, 'd', function()
      task.due, task.failures, task.crashes = tonumber(due), tonumber(failures), tonumber(crashes)
      task.reason = reason
    end, tonumber(at))
  end,
}

local answers = {}
for n = 4, #ARGV do
  local task = load(ARGV[n])
  if not task then
    answers[#answers + 1] = '?'
  else
    local from = task.st
    if changes_of[what](task) == false then
      answers[#answers + 1] = '!' .. from
    else
      answers[#answers + 1] = from .. (task.gone and '-' or task.st)
    end
  end
end
finish_script()
return answers
