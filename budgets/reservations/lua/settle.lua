-- Brings in what the ledger says and ends holds, in one step: there is no moment at which neither a hold nor the usage it
-- was made for counts, nor one at which both do.
-- KEYS: leases, lapsed. ARGV: prefix, the state to end in, number of counters; per counter: name, settled, version; then
-- per hold: member, nonce, owner. An older version never replaces a newer one; counters that are not there are left out.
-- Answers per hold: its counters and its state before, or two empty strings.

local prefix, counters = ARGV[1], tonumber(ARGV[3])
for i = 1, counters do
    local key, value, version = prefix .. 'c:' .. ARGV[3 * i + 1], ARGV[3 * i + 2], ARGV[3 * i + 3]
    local kept = redis.call('HMGET', key, 'seq', 'settled')
    if kept[1] and kept[2] and tonumber(version) > tonumber(kept[1]) then
        add(key, kept[2])
        add(key, negated(value))
        redis.call('HSET', key, 'settled', value, 'seq', version)
    end
end
local answer = {}
for at = 3 * counters + 4, #ARGV, 3 do
    local list, state = finish(prefix, KEYS[1], KEYS[2], ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[2])
    answer[#answer + 1] = list or ''
    answer[#answer + 1] = state or ''
end
give_back()
return answer
