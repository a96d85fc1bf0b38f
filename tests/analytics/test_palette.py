"""Colours that stay the same on every page, stay apart for colour-blind readers, and match the stylesheet."""

import re
from itertools import combinations
from pathlib import Path

import pytest

from analytics import palette

TOKENS = Path(__file__).resolve().parents[2] / "static/css/tokens.css"
SURFACES = {"light": "#ffffff", "dark": "#191714"}
Colour = tuple[float, float, float]

# Machado et al. 2009, severity 1.0, on linear RGB.
VISIONS: dict[str, tuple[Colour, Colour, Colour]] = {
    "normal": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
}


def linear(colour: str) -> Colour:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return tuple(v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (red, green, blue))  # type: ignore[return-value]


def seen(colour: str, vision: str) -> Colour:
    rgb = linear(colour)
    return tuple(max(0.0, sum(w * v for w, v in zip(row, rgb, strict=True))) for row in VISIONS[vision])  # type: ignore[return-value]


def oklab(rgb: Colour) -> Colour:
    red, green, blue = rgb
    long = (0.4122214708 * red + 0.5363325363 * green + 0.0514459929 * blue) ** (1 / 3)
    medium = (0.2119034982 * red + 0.6806995451 * green + 0.1073969566 * blue) ** (1 / 3)
    short = (0.0883024619 * red + 0.2817188376 * green + 0.6299787005 * blue) ** (1 / 3)
    return (
        0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short,
        1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short,
        0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short,
    )


def distance(one: str, other: str, vision: str) -> float:
    pairs = zip(oklab(seen(one, vision)), oklab(seen(other, vision)), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs) ** 0.5)


def contrast(one: str, other: str) -> float:
    lights = sorted(
        sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear(colour), strict=True)) for colour in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_any_two_colours_can_be_told_apart(colours: tuple[str, ...], vision: str) -> None:
    nearest, *closest = min((distance(one, other, vision), one, other) for one, other in combinations(colours[1:], 2))
    assert nearest > 0.06, closest


@pytest.mark.parametrize(("theme", "colours"), [("light", palette.LIGHT), ("dark", palette.DARK)])
def test_every_colour_stands_out_from_the_page(theme: str, colours: tuple[str, ...]) -> None:
    assert {
        colour: contrast(colour, SURFACES[theme]) for colour in colours if contrast(colour, SURFACES[theme]) < 3
    } == {}


def test_the_stylesheet_has_the_same_colours() -> None:
    tokens = re.findall(r"--series-(\d): light-dark\((#\w{6}), (#\w{6})\);", TOKENS.read_text())
    assert [(int(at), light, dark) for at, light, dark in tokens] == [
        (at, light, dark) for at, (light, dark) in enumerate(zip(palette.LIGHT, palette.DARK, strict=True))
    ]


@pytest.mark.parametrize(
    ("dimension", "name", "slot"),
    [
        ("provider", "openai", 3),
        ("provider", "OpenAI ", 3),
        ("provider", "anthropic", 2),
        ("model", "gpt-4o", 8),
        ("model", "gpt-4o-2024-11-20", 8),
        ("model", "gpt-4o-mini-2024-07-18", 7),
        ("model", "claude-sonnet-4-5", 2),
        ("team", "Other", 0),
        ("model", "", 0),
    ],
)
def test_known_names_have_a_fixed_colour(dimension: str, name: str, slot: int) -> None:
    assert palette.slot(dimension, name) == slot


def test_an_unknown_name_keeps_its_colour_from_page_to_page_and_process_to_process() -> None:
    assert palette.slot("team", "Research") == palette.slot("virtual_key", "research") == 2


def test_unknown_names_use_the_whole_palette() -> None:
    assert {palette.slot("team", f"team {n}") for n in range(200)} == set(range(1, palette.SLOTS + 1))


def test_equal_colours_in_one_chart_get_different_patterns() -> None:
    chosen = palette.styles("model", ["gpt-4o", "gpt-4o-2024-08-06", "claude-sonnet-4-5"])
    assert chosen["gpt-4o"] == palette.Style(8)
    assert chosen["gpt-4o-2024-08-06"] == palette.Style(8, "/")
    assert chosen["claude-sonnet-4-5"] == palette.Style(2)


def test_teams_and_keys_never_share_a_colour_while_there_are_others() -> None:
    names = [f"team {number}" for number in range(palette.SLOTS)]
    for dimension in ("team", "key"):
        assert sorted(style.slot for style in palette.styles(dimension, names).values()) == list(range(1, 9))
    ninth = palette.styles("team", [*names, "one more"])["one more"]
    assert ninth.pattern == "/"
