-- Begins the lease of a hold anew, and where amounts are given lets it count with those, lapsed or not.
-- KEYS: hold, leases, lapsed. ARGV: prefix, member, nonce, owner, lease in ms, then nothing or cost, tokens, requests.
-- Answers when it expires, or the state that it is in ('' when there is no such hold).

local now = now_ms()
lapse(ARGV[1], KEYS[2], KEYS[3], now, 1000)
local kept = redis.call('HMGET', KEYS[1], 'nonce', 'owner', 'state', 'counters')
if kept[1] ~= ARGV[3] or kept[2] ~= ARGV[4] then return {'', ''} end
if kept[3] ~= 'held' then return {kept[3], ''} end
if ARGV[6] then
    local actual = {cost = ARGV[6], tokens = ARGV[7], requests = ARGV[8]}
    local counters = {}
    for name, unit, amount in string.gmatch(kept[4], '(%S+) (%S+) (%S+) %S+') do
        local key = ARGV[1] .. 'c:' .. name
        if redis.call('EXISTS', key) == 1 then
            add(key, amount)
            add(key, negated(actual[unit]))
        end
        counters[#counters + 1] = table.concat({name, unit, actual[unit], actual[unit]}, ' ')
    end
    redis.call('HSET', KEYS[1], 'counters', table.concat(counters, ' '))
end
local expires = string.format('%.0f', now + ARGV[5])
redis.call('HSET', KEYS[1], 'expires', expires)
redis.call('ZADD', KEYS[2], expires, ARGV[2])
return {'held', expires}
