-- Begins the lease of a hold anew, and where amounts are given lets it count with those, lapsed or not.
-- ARGV: member, by, lease in ms, a packed list: nothing, or cost, tokens, requests.
-- Answers the state that it is in (false when there is no such hold), and when it expires.

local now = now_ms()
lapse(now, 1000)
local hold = hold_of(ARGV[2])
local state = hold and hold[BY] == ARGV[3] and hold[STATE]
if state ~= 'held' then
    save()
    return cmsgpack.pack({state, 0})
end
local given = cmsgpack.unpack(ARGV[5])
if #given > 0 then
    local actual = {cost = given[1], tokens = given[2], requests = given[3]}
    local charges = cmsgpack.unpack(hold[CHARGES])
    for i = 1, #charges, 4 do
        local amount = actual[charges[i + 1]]
        more_left(charges[i], charges[i + 2] - amount)
        charges[i + 2], charges[i + 3] = amount, amount
    end
    hold[CHARGES] = cmsgpack.pack(charges)
end
hold[EXPIRES] = now + ARGV[4]
keep(ARGV[2], hold)
redis.call('ZADD', LEASES, hold[EXPIRES], ARGV[2])
save()
return cmsgpack.pack({'held', hold[EXPIRES]})
