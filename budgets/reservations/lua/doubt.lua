-- Counters that take part no longer until what the ledger says is brought in again, whatever version of it.
-- ARGV: a packed list of names.

for _, name in ipairs(cmsgpack.unpack(ARGV[2])) do
    local kept = counter(name)
    if kept then kept[VERSION], changed[name] = -1, true end
end
save()
return cmsgpack.pack(true)
