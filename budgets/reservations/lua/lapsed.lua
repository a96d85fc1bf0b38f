-- The holds whose lease has ended and that nobody has booked yet, oldest first.
-- ARGV: how many at most. Answers per hold: member, by, charges, record.

lapse(now_ms(), 10000)
save()
local answer = {}
for _, member in ipairs(redis.call('ZRANGE', LAPSED, 0, ARGV[2] - 1)) do
    local hold = hold_of(member)
    if hold then
        answer[#answer + 1] = {member, hold[BY], cmsgpack.unpack(hold[CHARGES]), hold[RECORD]}
    else
        redis.call('ZREM', LAPSED, member)
    end
end
return cmsgpack.pack(answer)
