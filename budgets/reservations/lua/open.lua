-- Makes counters that are not there, and counts anew what is held of them. They take part once the ledger was read: from
-- now on whatever is settled reaches them, so that nothing falls between the reading and the writing of it.
-- ARGV: a packed list: per counter its name and when it may be forgotten (ms).
-- Answers per counter whether it was made, and the pairs of what was left before and after.

local wanted = cmsgpack.unpack(ARGV[2])
-- Whatever the clock of the caller says, a counter lives longer than any lease.
local soonest = now_ms() + 86400000
local made, before = {}, {}
for i = 1, #wanted, 2 do
    local name = wanted[i]
    made[name] = not counter(name)
    if made[name] then counters[name] = {-1, 0, 0, 0, 0, 0, 0, math.max(wanted[i + 1], soonest)} end
    local kept = counters[name]
    before[name] = {kept[LEFT], kept[LEFT + 1]}
    kept[LEFT], kept[LEFT + 1], changed[name] = kept[LIMIT], kept[LIMIT + 1], true
    add(kept, LEFT, -kept[SETTLED], -kept[SETTLED + 1])
end
for place, key in ipairs({LEASES, LAPSED}) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        local hold = hold_of(member)
        local charges = hold and cmsgpack.unpack(hold[CHARGES]) or {}
        for i = 1, #charges, 4 do
            if before[charges[i]] then more_left(charges[i], -charges[i + 1 + place]) end
        end
    end
end
local answer = {}
for i = 1, #wanted, 2 do
    local name = wanted[i]
    answer[#answer + 1] = made[name]
    answer[#answer + 1] = before[name]
    answer[#answer + 1] = {counters[name][LEFT], counters[name][LEFT + 1]}
end
save()
return cmsgpack.pack(answer)
