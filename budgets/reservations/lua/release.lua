-- Ends a hold that is held; what it counted with is given back. KEYS: hold, leases, lapsed. ARGV: prefix, member, nonce,
-- owner. Answers the state it was in ('' when there is no such hold); one that was not held stays as it is.

lapse(ARGV[1], KEYS[2], KEYS[3], now_ms(), 1000)
local kept = redis.call('HMGET', KEYS[1], 'nonce', 'owner', 'state')
if kept[1] ~= ARGV[3] or kept[2] ~= ARGV[4] then return '' end
if kept[3] == 'held' then
    finish(ARGV[1], KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4], 'released')
    give_back()
end
return kept[3]
