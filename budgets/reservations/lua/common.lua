-- What the scripts share. Amounts are strings throughout: a Lua number is a double and exact only up to 2^53, so they
-- are added by HINCRBY, on 64-bit integers, and compared by the sign of what it answers, which no rounding changes.
--
-- A counter is a hash: `limit`, `settled` (what the ledger says, of version `seq`; -1: not read yet) and `left`, which is
-- limit - settled - everything that is held.
-- A hold is a hash: `state` is held, lapsed (its lease ended; it counts with its lapse amounts until it is booked) or
-- what it ended by; `counters` is a list of "name unit amount lapse " for each counter it counts in.

local KEPT_MS = 3600000

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function negated(amount)
    if amount == '0' then return amount end
    if string.byte(amount) == 45 then return string.sub(amount, 2) end
    return '-' .. amount
end

local function add(key, amount)
    if amount ~= '0' then return redis.call('HINCRBY', key, 'left', amount) end
    return nil
end

-- Whether `left` is less than the amount.
local function less(key, amount)
    local over = redis.call('HINCRBY', key, 'left', negated(amount)) < 0
    redis.call('HINCRBY', key, 'left', amount)
    return over
end

-- Holds whose lease has ended count with their lapse amounts from here on.
local function lapse(prefix, leases, lapsed, now, most)
    local due = redis.call('ZRANGEBYSCORE', leases, '-inf', now, 'LIMIT', 0, most)
    for _, member in ipairs(due) do
        local hold = prefix .. 'h:' .. member
        local counters = redis.call('HGET', hold, 'counters')
        redis.call('ZREM', leases, member)
        if counters then
            for name, _, amount, after in string.gmatch(counters, '(%S+) (%S+) (%S+) (%S+)') do
                local key = prefix .. 'c:' .. name
                if redis.call('EXISTS', key) == 1 then
                    add(key, amount)
                    add(key, negated(after))
                end
            end
            redis.call('HSET', hold, 'state', 'lapsed')
            redis.call('ZADD', lapsed, now, member)
        end
    end
    return #due
end

-- What is given back in this script: many holds, few counters. Sums of numbers of up to 15 digits are exact here as long
-- as they stay below 2^53; what is larger goes to Redis by itself.
local given, there = {}, {}

local function give(key, amount)
    if there[key] == nil then there[key] = redis.call('EXISTS', key) == 1 end
    if not there[key] then return end
    if #amount > 15 then
        add(key, amount)
    else
        given[key] = (given[key] or 0) + amount
        if given[key] > 4e15 then
            add(key, string.format('%.0f', given[key]))
            given[key] = 0
        end
    end
end

local function give_back()
    for key, amount in pairs(given) do add(key, string.format('%.0f', amount)) end
    given = {}
end

-- Ends a hold; what it counted with is given back by `give_back`. Answers its counters and what state it was in, or
-- nothing when there is no such hold that lives.
local function finish(prefix, leases, lapsed, member, nonce, owner, state)
    local hold = prefix .. 'h:' .. member
    local kept = redis.call('HMGET', hold, 'nonce', 'owner', 'state', 'counters')
    if kept[1] ~= nonce or kept[2] ~= owner or (kept[3] ~= 'held' and kept[3] ~= 'lapsed') then return nil end
    for name, _, amount, after in string.gmatch(kept[4], '(%S+) (%S+) (%S+) (%S+)') do
        give(prefix .. 'c:' .. name, kept[3] == 'held' and amount or after)
    end
    redis.call('HSET', hold, 'state', state)
    redis.call('PEXPIRE', hold, KEPT_MS)
    redis.call('ZREM', kept[3] == 'held' and leases or lapsed, member)
    return kept[4], kept[3]
end
