"""Pack the site into one file, book.zip beside its pages, to be read without network.

usage: offline.py

Nothing is done where no file has changed since.
"""

from __future__ import annotations

import pathlib
import zipfile
import zlib

from chapters import ROOT, BookError, command_line, folder, run_tool

NAME = "book.zip"


def pack(site: pathlib.Path) -> pathlib.Path | None:
    """Write the file beside the pages of ``site``; None where it has them already."""
    whole, partial = site / NAME, site / f"{NAME}.partial"
    files = [p for p in sorted(site.rglob("*")) if p.is_file() and p not in (whole, partial)]
    if not files:
        raise BookError(f"{site}: expected the built site, got nothing")
    if whole.exists():
        with zipfile.ZipFile(whole) as archive:
            packed = {entry.filename: entry.CRC for entry in archive.infolist()}
        if packed == {f"book/{f.relative_to(site)}": zlib.crc32(f.read_bytes()) for f in files}:
            return None
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.write(file, "book" / file.relative_to(site))
    partial.replace(whole)
    return whole


def main() -> None:
    command_line(__doc__).parse_args()
    if made := pack(folder(ROOT) / "_build" / "html"):
        print(f"packed {made.relative_to(ROOT)}: {made.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_tool(main)
