"""Colours of documents: the light ones of static/css/tokens.css, which a test holds these to."""

from reportlab.lib.colors import HexColor

INK = HexColor("#242019")
TEXT = HexColor("#1f1b15")
MUTED = HexColor("#5c5751")
LINE = HexColor("#e6e5e1")
LINE_STRONG = HexColor("#d4d2cd")
WARN = HexColor("#865403")
WARN_SOFT = HexColor("#fef0d4")
BAD = HexColor("#b02b27")
BAR_GOOD = HexColor("#25838c")
BAR_BAD = HexColor("#cf413a")
# Of the brand's mark, which is drawn alike everywhere.
ON_INK = HexColor("#ffffff")
MARK_TICK = HexColor("#6ac4d4")
