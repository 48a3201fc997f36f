-- Notes of those who operate Tidemill.
--
-- ARGV[2] put, get, forget or list, [3] book, then
--   put     name, text, "" (whatever is there), "0" (none is) or the version that it must have,
--           time to live or ""; answers the version, or 0 when that does not hold
--   get     name; answers the note, or nothing
--   forget  name; answers 1 or 0
--   list    + or -, the name after which it goes on or "", how many; answers notes
-- A note is an array of name, text, version and end (or false).
local what, book = arg(), arg()

local function read(name)
  local packed = call('HGET', notes_key(book), name)
  local note = packed and cmsgpack.unpack(packed)
  if note and (not note.ends or note.ends > now) then return note end
end

local function show(name, note)
  return { name, note.text, int(note.version), note.ends and int(note.ends) or false }
end

if what == 'put' then
  local name, text, only, ttl = arg(), arg(), arg(), tonumber(arg())
  local note = read(name)
  local version = note and note.version or 0
  if only ~= '' and version ~= tonumber(only) then return 0 end
  local ends = ttl and now + ttl
  call('HSET', notes_key(book), name, cmsgpack.pack({ text = text, version = version + 1, ends = ends }))
  call('ZADD', note_names_key(book), 0, name)
  if ends then
    call('ZADD', NOTE_AGES, int(ends), book .. '\t' .. name)
  else
    call('ZREM', NOTE_AGES, book .. '\t' .. name)
  end
  return version + 1
elseif what == 'get' then
  local name = arg()
  local note = read(name)
  return note and show(name, note) or {}
elseif what == 'forget' then
  local name = arg()
  local was_there = read(name) and 1 or 0
  forget_note(book, name)
  return was_there
end
local order, after, limit = arg(), arg(), tonumber(arg())
local answer = {}
while #answer < limit do
  local names
  if order == '+' then
    names = call('ZRANGEBYLEX', note_names_key(book), after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, limit)
  else
    names = call('ZREVRANGEBYLEX', note_names_key(book), after == '' and '+' or '(' .. after, '-', 'LIMIT', 0, limit)
  end
  if #names == 0 then break end
  for _, name in ipairs(names) do
    local note = read(name)
    if note and #answer < limit then answer[#answer + 1] = show(name, note) end
  end
  after = names[#names]
end
return answer
