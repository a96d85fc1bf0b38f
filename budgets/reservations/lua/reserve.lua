-- Holds an amount of every counter, or of none.
-- KEYS: the rates. ARGV: member, by, lease in ms, answer, record, digest; packed lists: charges; per counter its limit,
-- least that must be left, whether it refuses, and what must be left or it refuses whatever fits (false: nothing); per
-- rate its price in ns of refilling, the counter (0: always) and what is left of that counter when the rate begins to
-- count.
-- Answers held, expires, left of each counter before, settled of each; refused, waits of rates in ns, lefts, settled;
-- missing, numbers of counters; known, state, lefts, expires, by, answer; or conflict.

local MINUTE_NS = 60000000000
local charges, claims, rates = cmsgpack.unpack(ARGV[8]), cmsgpack.unpack(ARGV[9]), cmsgpack.unpack(ARGV[10])
local now = now_ms()
local names, asked, lefts, settled, waits, debts = {}, {}, {}, {}, {}, {}

local function look()
    local missing = {}
    for i, name in ipairs(names) do
        local kept, limit = counters[name], claims[4 * i - 3]
        if not kept or kept[VERSION] < 0 then
            missing[#missing + 1] = i
        else
            if kept[LIMIT] ~= limit then
                more_left(name, plus(limit, minus(kept[LIMIT])))
                kept[LIMIT], changed[name] = limit, true
            end
            asked[i], lefts[i], settled[i] = kept, kept[LEFT], kept[SETTLED]
        end
    end
    return missing
end

local function rates_fit()
    local fit, now_us = true, now * 1000
    for i = 1, #rates / 3 do
        local price, counting, from = rates[3 * i - 2], rates[3 * i - 1], rates[3 * i]
        waits[i], debts[i] = 0, nil
        if counting == 0 or not below(from, lefts[counting]) then
            local since, debt = string.match(redis.call('GET', KEYS[3 + i]) or '0 0', '(%d+) (%d+)')
            debt = math.max(0, debt - math.max(0, now_us - since) * 1000)
            if debt + price > MINUTE_NS then
                waits[i], fit = debt + price - MINUTE_NS, false
            end
            debts[i] = debt + price
        end
    end
    return fit
end

local function counters_fit()
    for i, left in ipairs(lefts) do
        local least, stop = claims[4 * i - 2], claims[4 * i]
        if stop and not below(stop, left) then return false end
        if claims[4 * i - 1] then
            local amount = charges[4 * i - 1]
            if (amount ~= 0 and below(left, amount)) or (least ~= 0 and below(left, least)) then return false end
        end
    end
    return true
end

lapse(now, 100)
local known = hold_of(ARGV[2])
if known then
    save()
    if known[DIGEST] ~= ARGV[7] then return cmsgpack.pack({'conflict'}) end
    return cmsgpack.pack({'known', known[STATE], cmsgpack.unpack(known[LEFTS]), known[EXPIRES], known[BY], known[ANSWER]})
end
for i = 1, #charges, 4 do names[#names + 1] = charges[i] end
read(names)
local missing = look()
if #missing > 0 then
    save()
    return cmsgpack.pack({'missing', missing})
end
-- Refused only when no hold is left that should have lapsed.
while not (rates_fit() and counters_fit()) do
    if lapse(now, 1000) == 0 then
        save()
        return cmsgpack.pack({'refused', waits, lefts, settled})
    end
    look()
end
for i = 1, #rates / 3 do
    if debts[i] then
        redis.call('SET', KEYS[3 + i], string.format('%.0f %.0f', now * 1000, debts[i]), 'PX', 61000)
    end
end
for i, kept in ipairs(asked) do
    kept[LEFT] = plus(kept[LEFT], minus(charges[4 * i - 1]))
    changed[names[i]] = true
end
save()
local expires = now + ARGV[4]
keep(ARGV[2], {ARGV[3], 'held', ARGV[7], expires, ARGV[5], ARGV[6], cmsgpack.pack(lefts), ARGV[8]})
redis.call('ZADD', LEASES, string.format('%.0f', expires), ARGV[2])
return cmsgpack.pack({'held', expires, lefts, settled})
