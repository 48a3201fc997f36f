-- What is remembered beside tasks: steps, markers of completion, who is alive.
--
-- {prefix}steps:{id}    HASH step → MessagePack map: fence, phase (c claimed, a abandoned, f finished), result, ends
-- {prefix}step-ages     ZSET of "id TAB step" by the end of their time
-- {prefix}completions   ZSET of ids by the end of their window
-- {prefix}presence      HASH process → JSON; {prefix}presence-ages ZSET of processes by their time to live
-- {prefix}notes:{book}  HASH name → MessagePack map: text, version, ends; {prefix}note-names:{book} ZSET of names
-- {prefix}note-ages     ZSET of "book TAB name" by the end of their time
local NOTE_AGES = PREFIX .. 'note-ages'
local COMPLETIONS = PREFIX .. 'completions'
local PRESENCE, PRESENCE_AGES = PREFIX .. 'presence', PREFIX .. 'presence-ages'
-- A claim that nobody finishes is kept for 7 days, and as long as its task lives.
local CLAIM = 604800000000

local function read_step(id, step)
  local packed = call('HGET', steps_key(id), step)
  return packed and cmsgpack.unpack(packed)
end

local function write_step(id, name, step)
  call('HSET', steps_key(id), name, cmsgpack.pack(step))
  call('ZADD', STEP_AGES, int(step.ends), id .. '\t' .. name)
end

-- Forgets steps whose time is over; a claim of a task that still lives gets more.
local function prune_steps(budget)
  for _, member in ipairs(call('ZRANGEBYSCORE', STEP_AGES, '-inf', int(now), 'LIMIT', 0, budget)) do
    local id, name = match(member, '^([^\t]+)\t(.*)$')
    local step = read_step(id, name)
    if step and step.phase ~= 'f' and call('HEXISTS', TASKS, id) == 1 then
      step.ends = now + CLAIM
      write_step(id, name, step)
    else
      call('ZREM', STEP_AGES, member)
      call('HDEL', steps_key(id), name)
    end
  end
end

local function prune_completions(budget)
  local old = call('ZRANGEBYSCORE', COMPLETIONS, '-inf', int(now), 'LIMIT', 0, budget)
  if #old > 0 then call_with('ZREM', COMPLETIONS, old) end
end

local function prune_presence()
  local old = call('ZRANGEBYSCORE', PRESENCE_AGES, '-inf', int(now), 'LIMIT', 0, 1000)
  if #old > 0 then
    call_with('ZREM', PRESENCE_AGES, old)
    call_with('HDEL', PRESENCE, old)
  end
end

local function notes_key(book) return PREFIX .. 'notes:' .. book end
local function note_names_key(book) return PREFIX .. 'note-names:' .. book end

local function forget_note(book, name)
  call('HDEL', notes_key(book), name)
  call('ZREM', note_names_key(book), name)
  call('ZREM', NOTE_AGES, book .. '\t' .. name)
end

local function prune_notes(budget)
  for _, member in ipairs(call('ZRANGEBYSCORE', NOTE_AGES, '-inf', int(now), 'LIMIT', 0, budget)) do
    forget_note(match(member, '^([^\t]+)\t(.*)$'))
  end
end
