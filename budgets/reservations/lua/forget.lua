-- Takes names off the list of counters, unless somebody has made the counter (anew) since it was found missing.
-- KEYS: counters. ARGV: prefix, names.

for at = 2, #ARGV do
    if redis.call('EXISTS', ARGV[1] .. 'c:' .. ARGV[at]) == 0 then redis.call('SREM', KEYS[1], ARGV[at]) end
end
return #ARGV - 1
