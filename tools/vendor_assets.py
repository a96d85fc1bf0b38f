"""Third-party files that CostHub serves from its own checkout: made once from pinned npm packages, then committed.

    python tools/vendor_assets.py            fetch the pinned packages with `npm pack` and make the files again
    python tools/vendor_assets.py --check    compare the committed files with the manifest; needs no network

`vendor_manifest.json` beside this file is the source of truth: packages with version and tarball checksum, and every
file with the package it comes from, how it is made and its SHA-256. Making fonts for PDFs needs the packages fonttools
and brotli too (`tools/static_font.py`).
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path(__file__).with_name("vendor_manifest.json")
# Folders that hold nothing but vendored files: a file here that the manifest does not name is a mistake.
OWNED_FOLDERS = ("static/vendor", "static/fonts", "static/icons", "common/pdf/typefaces", "tests/browser/vendor")

Member = Callable[[str], bytes]

_PLOTLY_RULES = re.compile(r"""("X,X div":.*?)\};""", re.DOTALL)
_PLOTLY_RULE = re.compile(r"""["'](X[^"']*)["']:("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")
_SVG_BODY = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)


def copied(entry: Mapping[str, Any], member: Member) -> bytes:
    return member(entry["member"])


def plotly_stylesheet(entry: Mapping[str, Any], member: Member) -> bytes:
    """The rules Plotly would write into a <style> element, as a file: that needs no inline style in the CSP."""
    block = _PLOTLY_RULES.search(member(entry["member"]).decode())
    if block is None:
        raise ValueError("this Plotly release keeps its style rules elsewhere")
    rules = [
        f"{selector.replace('X', '.js-plotly-plot .plotly')} {{ {body[1:-1]} }}"
        for selector, body in _PLOTLY_RULE.findall(block[1])
        if "plotly-cloud" not in selector
    ]
    return ("\n".join(rules) + "\n").encode()


def icon_sprite(entry: Mapping[str, Any], member: Member) -> bytes:
    """One <symbol> for each named icon, to be drawn by <use href="sprite.svg#name">."""
    symbols = []
    for name in entry["icons"]:
        body = _SVG_BODY.search(member(f"icons/{name}.svg").decode())
        if body is None:
            raise ValueError(f"the icon {name} is not an SVG")
        inner = re.sub(r"\s*\n\s*", "", body[1]).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    return ('<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n").encode()


def static_font(entry: Mapping[str, Any], member: Member) -> bytes:
    """One weight of a variable font, its parts put together."""
    with tempfile.TemporaryDirectory() as scratch:
        made, parts = Path(scratch, "made.ttf"), []
        for name in entry["members"]:
            parts.append(Path(scratch, Path(name).name))
            parts[-1].write_bytes(member(name))
        command = [sys.executable, "-m", "tools.static_font", str(entry["weight"]), str(made), *map(str, parts)]
        subprocess.run(command, check=True, cwd=ROOT)
        return made.read_bytes()


MAKERS: dict[str, Callable[[Mapping[str, Any], Member], bytes]] = {
    "copy": copied,
    "plotly-stylesheet": plotly_stylesheet,
    "icon-sprite": icon_sprite,
    "static-font": static_font,
}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def faults(root: Path, manifest: Mapping[str, Any]) -> list[str]:
    """One sentence for every committed file that is missing, changed or unknown to the manifest."""
    found = []
    for path, entry in manifest["files"].items():
        file = root / path
        if not file.is_file():
            found.append(f"{path} is missing")
        elif sha256(file.read_bytes()) != entry["sha256"]:
            found.append(f"{path} differs from the manifest")
    for folder in OWNED_FOLDERS:
        present = (str(file.relative_to(root)) for file in sorted((root / folder).rglob("*")) if file.is_file())
        found += [f"{path} is not in the manifest" for path in present if path not in manifest["files"]]
    return found


def packed(name: str, package: Mapping[str, str], folder: Path) -> Path:
    """The package's tarball, whose checksum is what the manifest says (or is noted, when it says nothing yet)."""
    result = subprocess.run(
        ["npm", "pack", f"{name}@{package['version']}", "--json", "--pack-destination", str(folder)],
        check=True,
        capture_output=True,
        text=True,
    )
    tarball: Path = folder / json.loads(result.stdout)[0]["filename"]
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if package.get("integrity", integrity) != integrity:
        raise ValueError(f"{name}@{package['version']} is not the tarball that was pinned")
    return tarball


def rebuild(root: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Write every file anew and return the manifest with the checksums of what was written."""
    packages = {name: dict(package) for name, package in manifest["packages"].items()}
    files = {path: dict(entry) for path, entry in manifest["files"].items()}
    with tempfile.TemporaryDirectory() as scratch:
        for name, package in packages.items():
            tarball = packed(name, package, Path(scratch))
            package["integrity"] = "sha512-" + base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
            with tarfile.open(tarball) as archive:
                for path, entry in files.items():
                    if entry["package"] == name:
                        entry["sha256"] = write(root / path, entry, archive)
    return {"packages": packages, "files": files}


def write(target: Path, entry: Mapping[str, Any], archive: tarfile.TarFile) -> str:
    def member(name: str) -> bytes:
        stream = archive.extractfile(f"package/{name}")
        if stream is None:
            raise ValueError(f"{name} is not a file of the package")
        return stream.read()

    data = MAKERS[entry["make"]](entry, member)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    return sha256(data)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare, without network")
    options = parser.parse_args(arguments)
    manifest = json.loads(MANIFEST.read_text())
    if not options.check:
        manifest = rebuild(ROOT, manifest)
        MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    found = faults(ROOT, manifest)
    print("\n".join(found) if found else f"{len(manifest['files'])} vendored files match the manifest")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
