-- A task as an operator sees it: an array, with false for what is not known.
local function view(task)
  return { task.id, int(task.seq or 0), call('HGET', TASKS, task.id) or '', task.st, int(task.due), task.attempt or 0, task.failures or 0, task.crashes or 0,
    task.started and int(task.started) or false, task.finished and int(task.finished) or false,
    task.worker or false, task.error or false, task.result or false, task.progress or false,
    task.cancel and 1 or 0, task.reason or false }
end
