-- A hold as it stands. ARGV: member. Answers by, state, when it expires, answer, what was left before it; or false.

local hold = hold_of(ARGV[2])
return cmsgpack.pack(
    hold and {hold[BY], hold[STATE], hold[EXPIRES], hold[ANSWER], cmsgpack.unpack(hold[LEFTS])} or false
)
