-- What the scripts share. Every script has KEYS: leases, lapsed, counters, then its own; ARGV: prefix, then its own.
--
-- What one call counts with is a number, which is a double and exact up to 2^53. What counters hold may be more: such an
-- amount is a pair, `high * 10^9 + low` with low from 0 up to 10^9, and no text is ever made or read of either. Lists come
-- and go as MessagePack, which keeps numbers whole.
--
-- A counter is a list, packed as doubles in the hash of all counters: VERSION of the ledger that SETTLED is of (-1: not
-- read yet), LIMIT, and LEFT, which is limit - settled - everything that is held, each a pair; FORGOTTEN is when it may go,
-- in ms. It is changed in memory, and `save` writes what was changed.
-- A hold is a list too, in a key of its own: BY whom and of which use of its id; STATE: held, lapsed (its lease ended; it
-- counts with its lapse amounts until it is booked) or what it ended by; DIGEST of the call; when it EXPIRES in ms; ANSWER
-- and RECORD are the caller's; and, packed on their own, LEFTS, what was left before it, and CHARGES, a list of (name,
-- unit, amount, lapse amount) of the counters it counts in.

local PREFIX, LEASES, LAPSED, COUNTERS = ARGV[1], KEYS[1], KEYS[2], KEYS[3]
local VERSION, LIMIT, SETTLED, LEFT, FORGOTTEN = 1, 2, 4, 6, 8
local FORM = '>dddddddd'
local BY, STATE, DIGEST, EXPIRES, ANSWER, RECORD, LEFTS, CHARGES = 1, 2, 3, 4, 5, 6, 7, 8
local KEPT_MS = 3600000
local BASE = 1e9
-- How many fields are read or written in one command; Lua's stack has room for less than 8,000.
local AT_ONCE = 1000

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Adds a pair to the one at a place of a counter.
local function add(kept, place, high, low)
    low = kept[place + 1] + low
    local carry = low >= BASE and 1 or low < 0 and -1 or 0
    kept[place], kept[place + 1] = kept[place] + high + carry, low - carry * BASE
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
            if packed then counters[wanted[from + i - 1]] = {struct.unpack(FORM, packed)} end
        end
    end
end

local function counter(name)
    if counters[name] == nil then read({name}) end
    return counters[name]
end

-- What is left of a counter grows by an amount, which may be negative.
local function more_left(name, amount)
    local kept = counter(name)
    if kept and amount ~= 0 then
        local low = amount % BASE
        add(kept, LEFT, (amount - low) / BASE, low)
        changed[name] = true
    end
end

-- At the end of every script that changes counters.
local function save()
    local fields = {}
    for name in pairs(changed) do
        fields[#fields + 1] = name
        fields[#fields + 1] = struct.pack(FORM, unpack(counters[name], 1, 8))
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
            for i = 1, #charges, 4 do more_left(charges[i], charges[i + 2] - charges[i + 3]) end
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
