-- Holds an amount of every counter, or of none.
-- KEYS: the rates. ARGV: member, by, lease in ms, answer, record, digest; packed lists: charges; per counter its limit (a
-- pair), least that must be left, whether it refuses, and what must be left or it refuses whatever fits (a pair; false
-- twice: nothing); per rate its price in ns of refilling, the counter (0: always) and what is left of that counter when the
-- rate begins to count (a pair).
-- Answers held, expires, pairs left of each counter before, pairs settled of each; refused, waits of rates in ns, lefts,
-- settled; missing, numbers of counters; known, state, lefts, expires, by, answer; or conflict.

local MINUTE_NS = 60000000000
local charges, claims, rates = cmsgpack.unpack(ARGV[8]), cmsgpack.unpack(ARGV[9]), cmsgpack.unpack(ARGV[10])
local now = now_ms()
local names, asked, lefts, settled, waits, debts = {}, {}, {}, {}, {}, {}

local function look()
    local missing = {}
    for i, name in ipairs(names) do
        local kept, high, low = counters[name], claims[6 * i - 5], claims[6 * i - 4]
        if not kept or kept[VERSION] < 0 then
            missing[#missing + 1] = i
        else
            if kept[LIMIT] ~= high or kept[LIMIT + 1] ~= low then
                add(kept, LEFT, high - kept[LIMIT], low - kept[LIMIT + 1])
                kept[LIMIT], kept[LIMIT + 1], changed[name] = high, low, true
            end
            asked[i] = kept
            lefts[2 * i - 1], lefts[2 * i] = kept[LEFT], kept[LEFT + 1]
            settled[2 * i - 1], settled[2 * i] = kept[SETTLED], kept[SETTLED + 1]
        end
    end
    return missing
end

-- Whether no more than a pair is left.
local function at_most(kept, high, low)
    return kept[LEFT] < high or (kept[LEFT] == high and kept[LEFT + 1] <= low)
end

local function rates_fit()
    local fit, now_us = true, now * 1000
    for i = 1, #rates / 4 do
        local price, counting = rates[4 * i - 3], rates[4 * i - 2]
        waits[i], debts[i] = 0, nil
        if counting == 0 or at_most(asked[counting], rates[4 * i - 1], rates[4 * i]) then
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
    for i, kept in ipairs(asked) do
        -- Beyond 2^53 it is rounded, and still more than any amount.
        local left, amount = kept[LEFT] * BASE + kept[LEFT + 1], charges[4 * i - 1]
        local least, stop = claims[6 * i - 3], claims[6 * i - 1]
        if stop and at_most(kept, stop, claims[6 * i]) then return false end
        if claims[6 * i - 2] and ((amount ~= 0 and left < amount) or (least ~= 0 and left < least)) then return false end
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
for i = 1, #rates / 4 do
    if debts[i] then
        redis.call('SET', KEYS[3 + i], string.format('%.0f %.0f', now * 1000, debts[i]), 'PX', 61000)
    end
end
for i, name in ipairs(names) do more_left(name, -charges[4 * i - 1]) end
save()
local expires = now + ARGV[4]
keep(ARGV[2], {ARGV[3], 'held', ARGV[7], expires, ARGV[5], ARGV[6], cmsgpack.pack(lefts), ARGV[8]})
redis.call('ZADD', LEASES, expires, ARGV[2])
return cmsgpack.pack({'held', expires, lefts, settled})
