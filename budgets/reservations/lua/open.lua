-- Makes counters that are not there, and counts anew what is held of them. They take part once the ledger was read: from
-- now on whatever is settled reaches them, so that nothing falls between the reading and the writing of it.
-- KEYS: leases, lapsed, counters. ARGV: prefix, then per counter: name, when it may be forgotten (ms).
-- Answers per counter: 1 when it was made, and what was left before and after.

local prefix = ARGV[1]
-- Whatever the clock of the caller says, a counter lives longer than any lease.
local soonest = now_ms() + 86400000
local before, made, wanted = {}, {}, {}
for at = 2, #ARGV, 2 do
    local name, key = ARGV[at], prefix .. 'c:' .. ARGV[at]
    made[at] = redis.call('HSETNX', key, 'limit', '0')
    if made[at] == 1 then
        redis.call('HSET', key, 'seq', '-1', 'settled', '0', 'left', '0')
        redis.call('PEXPIREAT', key, math.max(tonumber(ARGV[at + 1]), soonest))
    end
    redis.call('SADD', KEYS[3], name)
    local kept = redis.call('HMGET', key, 'limit', 'settled', 'left')
    before[at], wanted[name] = kept[3], key
    redis.call('HSET', key, 'left', kept[1])
    add(key, negated(kept[2]))
end
for place = 1, 2 do
    for _, member in ipairs(redis.call('ZRANGE', KEYS[place], 0, -1)) do
        local counters = redis.call('HGET', prefix .. 'h:' .. member, 'counters') or ''
        for name, _, amount, after in string.gmatch(counters, '(%S+) (%S+) (%S+) (%S+)') do
            if wanted[name] then add(wanted[name], negated(place == 1 and amount or after)) end
        end
    end
end
local answer = {}
for at = 2, #ARGV, 2 do
    answer[#answer + 1] = made[at]
    answer[#answer + 1] = before[at]
    answer[#answer + 1] = redis.call('HGET', prefix .. 'c:' .. ARGV[at], 'left')
end
return answer
