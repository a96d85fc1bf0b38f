-- Holds an amount of every counter, or of none.
-- KEYS: hold, leases, lapsed, then the counters, then the rates.
-- ARGV: prefix, member, nonce, owner, digest, lease in ms, answer, record, counters as a hold lists them, number of
-- counters, number of rates; per counter: limit, amount, least that must be left, whether it refuses (1 or 0), what must
-- be left or it refuses whatever fits ('' for nothing); per rate: price in ns of refilling, the counter (0: always) and
-- what is left of that counter when the rate begins to count.
-- Answers one text, since a list costs the client more to read, with bars in it: held|expires|left of each counter
-- before|settled of each, refused|waits of rates in ns|lefts|settled, missing|numbers of counters,
-- known|state|lefts|expires|nonce|answer, or conflict.

local MINUTE_NS = 60000000000
local prefix, leases, lapsed = ARGV[1], KEYS[2], KEYS[3]
local counters, rates = tonumber(ARGV[10]), tonumber(ARGV[11])
local now = now_ms()
local lefts, settled, waits, debts = {}, {}, {}, {}

local function read()
    local missing = {}
    for i = 1, counters do
        local key, limit = KEYS[3 + i], ARGV[7 + 5 * i]
        local kept = redis.call('HMGET', key, 'seq', 'limit', 'left', 'settled')
        if not kept[1] or kept[1] == '-1' then
            missing[#missing + 1] = i
        else
            if kept[2] ~= limit then
                add(key, limit)
                add(key, negated(kept[2]))
                redis.call('HSET', key, 'limit', limit)
                kept[3] = redis.call('HGET', key, 'left')
            end
            lefts[i], settled[i] = kept[3], kept[4]
        end
    end
    return missing
end

local function fits_rates()
    local fits, now_us = true, now * 1000
    for i = 1, rates do
        local at = 11 + 5 * counters + 3 * i
        local price, counter, from = tonumber(ARGV[at - 2]), tonumber(ARGV[at - 1]), ARGV[at]
        waits[i], debts[i] = '0', nil
        if counter == 0 or redis.call('HGET', KEYS[3 + counter], 'left') == from or less(KEYS[3 + counter], from) then
            local since, debt = string.match(redis.call('GET', KEYS[3 + counters + i]) or '0 0', '(%d+) (%d+)')
            debt = math.max(0, debt - math.max(0, now_us - since) * 1000)
            if debt + price > MINUTE_NS then
                waits[i], fits = string.format('%.0f', debt + price - MINUTE_NS), false
            end
            debts[i] = debt + price
        end
    end
    return fits
end

local function take()
    local fits = fits_rates()
    for i = 1, counters do
        local key, at = KEYS[3 + i], 7 + 5 * i
        local amount, least, stop = ARGV[at + 1], ARGV[at + 2], ARGV[at + 4]
        if stop ~= '' and (lefts[i] == stop or less(key, stop)) then fits = false end
        if ARGV[at + 3] == '1' and least ~= amount and less(key, least) then fits = false end
        local after = add(key, negated(amount))
        if ARGV[at + 3] == '1' and after and after < 0 then fits = false end
    end
    if fits then return true end
    for i = 1, counters do add(KEYS[3 + i], ARGV[8 + 5 * i]) end
    return false
end

lapse(prefix, leases, lapsed, now, 100)
local known = redis.call('HMGET', KEYS[1], 'digest', 'state', 'answer', 'lefts', 'expires', 'nonce')
if known[1] then
    if known[1] ~= ARGV[5] then return 'conflict' end
    return table.concat({'known', known[2], known[4], known[5], known[6], known[3]}, '|')
end
local missing = read()
if #missing > 0 then return 'missing|' .. table.concat(missing, ' ') end
-- Refused only when no hold is left that should have lapsed.
while not take() do
    if lapse(prefix, leases, lapsed, now, 1000) == 0 then
        return table.concat({'refused', table.concat(waits, ' '), table.concat(lefts, ' '), table.concat(settled, ' ')}, '|')
    end
    read()
end
for i = 1, rates do
    if debts[i] then
        redis.call('SET', KEYS[3 + counters + i], string.format('%.0f %.0f', now * 1000, debts[i]), 'PX', 61000)
    end
end
local expires = string.format('%.0f', now + ARGV[6])
local before = table.concat(lefts, ' ')
redis.call('HSET', KEYS[1], 'nonce', ARGV[3], 'owner', ARGV[4], 'digest', ARGV[5], 'state', 'held', 'answer', ARGV[7],
    'record', ARGV[8], 'counters', ARGV[9], 'lefts', before, 'expires', expires)
redis.call('ZADD', leases, expires, ARGV[2])
return table.concat({'held', expires, before, table.concat(settled, ' ')}, '|')
