"""Vendored files are the pinned ones, nothing on a page comes from elsewhere, and templates keep the strict CSP."""

import json
import re
from pathlib import Path

import pytest

from tools import vendor_assets

ROOT = Path(__file__).resolve().parents[2]
OURS = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "static/css").glob("*.css"), *(ROOT / "static/js").glob("*.js")]


def manifest(**files: bytes) -> dict[str, object]:
    return {"files": {path.replace("__", "/"): {"sha256": vendor_assets.sha256(data)} for path, data in files.items()}}


def test_committed_files_match_the_manifest() -> None:
    assert vendor_assets.faults(ROOT, json.loads(vendor_assets.MANIFEST.read_text())) == []


def test_every_package_is_pinned_to_one_tarball() -> None:
    packages = json.loads(vendor_assets.MANIFEST.read_text())["packages"]
    assert packages["htmx.org"]["version"].startswith("2.")
    for name, package in packages.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"]), name
        assert package["integrity"].startswith("sha512-"), name


def test_a_changed_a_missing_and_an_unknown_file_are_each_reported(tmp_path: Path) -> None:
    folder = tmp_path / "static/vendor"
    folder.mkdir(parents=True)
    (folder / "changed").write_bytes(b"other")
    (folder / "unknown").write_bytes(b"x")
    (folder / "kept").write_bytes(b"same")
    expected = manifest(static__vendor__changed=b"pinned", static__vendor__missing=b"", static__vendor__kept=b"same")
    assert vendor_assets.faults(tmp_path, expected) == [
        "static/vendor/changed differs from the manifest",
        "static/vendor/missing is missing",
        "static/vendor/unknown is not in the manifest",
    ]


def test_icons_named_in_templates_are_in_the_sprite() -> None:
    known = set(re.findall(r'id="([\w-]+)"', (ROOT / "static/icons/sprite.svg").read_text()))
    pattern = re.compile(r"""\{% icon ["']([\w-]+)["']|icon_name=["']([\w-]+)["']""")
    used = {a or b for file in (ROOT / "templates").rglob("*.html") for a, b in pattern.findall(file.read_text())}
    assert used
    assert used <= known


@pytest.mark.parametrize("file", OURS, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_inline_and_nothing_comes_from_another_host(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//|url\([\"']?(?:https?:)?//", text)
    if file.suffix == ".html" and "email" not in file.relative_to(ROOT).parts:
        assert not re.search(r"\sstyle=|\son\w+=|<style|hx-on|javascript:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)


def test_plotly_writes_no_style_element_where_our_stylesheet_takes_its_place() -> None:
    head = (ROOT / "templates/components/head.html").read_text()
    assert 'id="plotly.js-style-global" class="no-inline-styles"' in head
    bundle = (ROOT / "static/vendor/plotly-cartesian.min.js").read_text()
    assert "no-inline-styles" in bundle
