"""One weight of a variable font as TrueType, which is what a PDF embeds; figures of one width, as the pages set them.

    python -m tools.static_font 400 OUT.ttf latin.woff2 latin-ext.woff2

Run by `tools/vendor_assets.py`; needs the packages fonttools and brotli, which nothing else here does. The parts (a
font split by ranges of characters) become one. The same parts make the same bytes.
"""

import sys
from pathlib import Path

from fontTools.merge import Merger
from fontTools.ttLib import TTFont
from fontTools.varLib.instancer import instantiateVariableFont

# Kerning, ligatures and the like are instructions that a PDF has no use for.
UNUSED_TABLES = ("GSUB", "GPOS", "GDEF", "STAT", "DSIG", "gasp")
_FULL_NAMES = {3, 4, 6}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


def part(source: Path, weight: int, folder: Path) -> str:
    font = TTFont(source, recalcTimestamp=False)
    font = instantiateVariableFont(font, {"wght": weight})
    glyphs = set(font.getGlyphOrder())
    for table in font["cmap"].tables:
        for code, name in list(table.cmap.items()):
            if name in DIGITS and f"{name}.tf" in glyphs:
                table.cmap[code] = f"{name}.tf"
    for tag in UNUSED_TABLES:
        if tag in font:
            del font[tag]
    font.flavor = None
    made = folder / f"{source.stem}-{weight}.ttf"
    font.save(made)
    return str(made)


def main(arguments: list[str]) -> int:
    weight, target, *sources = arguments
    out = Path(target)
    parts = [part(Path(source), int(weight), out.parent) for source in sources]
    font = Merger().merge(parts)
    font.recalcTimestamp = False
    # Two fonts of one name would be one in a PDF.
    for record in font["name"].names:
        if record.nameID in _FULL_NAMES:
            record.string = f"{record.toUnicode().replace(' ', '-')}-{weight}"
    font["head"].created = font["head"].modified = TTFont(parts[0])["head"].modified
    font.save(out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
