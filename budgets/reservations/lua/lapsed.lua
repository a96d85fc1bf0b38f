-- The holds whose lease has ended and that nobody has booked yet, oldest first.
-- KEYS: leases, lapsed. ARGV: prefix, how many at most. Answers per hold: member, nonce, owner, counters, record.

lapse(ARGV[1], KEYS[1], KEYS[2], now_ms(), 10000)
local answer = {}
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, ARGV[2] - 1)) do
    local kept = redis.call('HMGET', ARGV[1] .. 'h:' .. member, 'nonce', 'owner', 'counters', 'record')
    if kept[1] then
        answer[#answer + 1] = {member, kept[1], kept[2], kept[3], kept[4]}
    else
        redis.call('ZREM', KEYS[2], member)
    end
end
return answer
