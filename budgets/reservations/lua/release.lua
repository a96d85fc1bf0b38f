-- Ends a hold that is held; what it counted with is given back. ARGV: member, by. Answers the state it was in (false when
-- there is no such hold); one that was not held stays as it is.

lapse(now_ms(), 1000)
local hold = hold_of(ARGV[2])
local state = hold and hold[BY] == ARGV[3] and hold[STATE]
if state == 'held' then finish(ARGV[2], ARGV[3], 'released') end
save()
return cmsgpack.pack(state)
