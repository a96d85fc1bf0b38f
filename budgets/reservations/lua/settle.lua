-- Brings in what the ledger says and ends holds, in one step: there is no moment at which neither a hold nor the usage it
-- was made for counts, nor one at which both do.
-- ARGV: the state to end in; packed lists: per counter its name, settled (a pair), version; per hold its member and by.
-- An older version never replaces a newer one; counters that are not there are left out. Answers per hold its charges and
-- its state before, or false twice.

local sums, endings = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
local names = {}
for i = 1, #sums, 4 do names[#names + 1] = sums[i] end
read(names)
for i = 1, #sums, 4 do
    local name, high, low, version = sums[i], sums[i + 1], sums[i + 2], sums[i + 3]
    local kept = counter(name)
    if kept and version > kept[VERSION] then
        add(kept, LEFT, kept[SETTLED] - high, kept[SETTLED + 1] - low)
        kept[SETTLED], kept[SETTLED + 1], kept[VERSION], changed[name] = high, low, version, true
    end
end
local answer = {}
for i = 1, #endings, 2 do
    local charges, was = finish(endings[i], endings[i + 1], ARGV[2])
    answer[#answer + 1] = charges
    answer[#answer + 1] = was
end
save()
return cmsgpack.pack(answer)
