-- What the scripts share. Every script has KEYS: leases, lapsed, counters, then its own; ARGV: prefix, then its own.
--
-- An amount is a number as long as a Lua number, which is a double, says it exactly, and a text of digits beyond that:
-- `plus`, `minus` and `below` take and give both. Lists come and go as MessagePack, which keeps numbers whole.
--
-- A counter is a list in the hash of all counters: VERSION of the ledger that SETTLED is of (-1: not read yet), LIMIT,
-- and LEFT, which is limit - settled - everything that is held; FORGOTTEN is when it may go, in ms. It is changed in
-- memory, and `save` writes what was changed.
-- A hold is a list too, in a key of its own: BY whom and of which use of its id; STATE: held, lapsed (its lease ended; it
-- counts with its lapse amounts until it is booked) or what it ended by; DIGEST of the call; when it EXPIRES in ms; ANSWER
-- and RECORD are the caller's; and, packed on their own, LEFTS, what was left before it, and CHARGES, a list of (name,
-- unit, amount, lapse amount) of the counters it counts in.

local PREFIX, LEASES, LAPSED, COUNTERS = ARGV[1], KEYS[1], KEYS[2], KEYS[3]
local VERSION, LIMIT, SETTLED, LEFT, FORGOTTEN = 1, 2, 3, 4, 5
local BY, STATE, DIGEST, EXPIRES, ANSWER, RECORD, LEFTS, CHARGES = 1, 2, 3, 4, 5, 6, 7, 8
local KEPT_MS = 3600000
local EXACT, BASE = 2 ^ 53, 1e9
-- How many fields are read or written in one command; Lua's stack has room for less than 8,000.
local AT_ONCE = 1000

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- An amount as high * 10^9 + low, both of its sign.
local function parts(amount)
    local digits = type(amount) == 'string' and amount or string.format('%.0f', amount)
    local sign = 1
    if string.byte(digits) == 45 then sign, digits = -1, string.sub(digits, 2) end
    return sign * (tonumber(string.sub(digits, 1, -10)) or 0), sign * tonumber(string.sub(digits, -9))
end

local function plus(a, b)
    if type(a) == 'number' and type(b) == 'number' then
        local sum = a + b
        if sum > -EXACT and sum < EXACT then return sum end
    end
    local high, low = parts(a)
    local other_high, other_low = parts(b)
    high, low = high + other_high, low + other_low
    local carry = math.floor(low / BASE)
    high, low = high + carry, low - carry * BASE
    if high < 0 and low > 0 then high, low = high + 1, low - BASE end
    if math.abs(high) < 9007199 then return high * BASE + low end
    return string.format('%.0f%09.0f', high, math.abs(low))
end

local function minus(amount)
    if type(amount) == 'number' then return 0 - amount end
    if string.byte(amount) == 45 then return string.sub(amount, 2) end
    return '-' .. amount
end

local function below(a, b)
    if type(a) == 'number' and type(b) == 'number' then return a < b end
    local difference = plus(a, minus(b))
    if type(difference) == 'number' then return difference < 0 end
    return string.byte(difference) == 45
end

-- By name what was read; false where there is none. And the names of those that were changed.
local counters, changed = {}, {}

local function read(names)
    local wanted = {}
    for _, name in ipairs(names) do
        if counters[name] == nil then
            wanted[#wanted + 1], counters[name] = name, false
        end
    end
    for from = 1, #wanted, AT_ONCE do
        local found = redis.call('HMGET', COUNTERS, unpack(wanted, from, math.min(from + AT_ONCE - 1, #wanted)))
        for i, packed in ipairs(found) do
            if packed then counters[wanted[from + i - 1]] = cmsgpack.unpack(packed) end
        end
    end
end

local function counter(name)
    if counters[name] == nil then read({name}) end
    return counters[name]
end

local function more_left(name, amount)
    local kept = counter(name)
    if kept and amount ~= 0 then
        kept[LEFT] = plus(kept[LEFT], amount)
        changed[name] = true
    end
end

-- At the end of every script that changes counters.
local function save()
    local fields = {}
    for name in pairs(changed) do
        fields[#fields + 1] = name
        fields[#fields + 1] = cmsgpack.pack(counters[name])
    end
    for from = 1, #fields, 2 * AT_ONCE do
        redis.call('HSET', COUNTERS, unpack(fields, from, math.min(from + 2 * AT_ONCE - 1, #fields)))
    end
end

local function hold_of(member)
    local kept = redis.call('GET', PREFIX .. 'hold:' .. member)
    return kept and {cmsgpack.unpack(kept)}
end

local function keep(member, hold)
    redis.call('SET', PREFIX .. 'hold:' .. member, cmsgpack.pack(unpack(hold)))
end

-- Holds whose lease has ended count with their lapse amounts from here on; how many there were.
local function lapse(now, most)
    local due = redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, most)
    for _, member in ipairs(due) do
        local hold = hold_of(member)
        redis.call('ZREM', LEASES, member)
        if hold then
            local charges = cmsgpack.unpack(hold[CHARGES])
            for i = 1, #charges, 4 do more_left(charges[i], plus(charges[i + 2], minus(charges[i + 3]))) end
            hold[STATE] = 'lapsed'
            keep(member, hold)
            redis.call('ZADD', LAPSED, now, member)
        end
    end
    return #due
end

-- Ends a hold and gives back what it counted with. Answers its charges and what state it was in, or false twice when
-- there is no such hold that lives.
local function finish(member, by, state)
    local hold = hold_of(member)
    local was = hold and hold[BY] == by and hold[STATE]
    if was ~= 'held' and was ~= 'lapsed' then return false, false end
    local charges, with = cmsgpack.unpack(hold[CHARGES]), was == 'held' and 2 or 3
    for i = 1, #charges, 4 do more_left(charges[i], charges[i + with]) end
    -- What it counted in and what was to be known of it then have had their use.
    hold[STATE], hold[RECORD], hold[CHARGES] = state, '', ''
    redis.call('SET', PREFIX .. 'hold:' .. member, cmsgpack.pack(unpack(hold)), 'PX', KEPT_MS)
    redis.call('ZREM', was == 'held' and LEASES or LAPSED, member)
    return charges, was
end
