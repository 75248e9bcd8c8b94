"""Typeset the book, _build/html/book.pdf, with Jupyter Book's LaTeX builder and LuaLaTeX.

usage: printing.py

What LaTeX only warns of ends it: a reference to nothing, a character that no face has, a line of text that
stands out into the margin.  Lines of code that do are listed.
"""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess

from chapters import ROOT, BookError, build_command, command_line, folder, run_tool

NAME = "book.pdf"
ROOM = 10  # points by which a line may stand out: less is no eye's business
TAIL = 30  # lines of what LaTeX said, where it gave up
OVERFULL = re.compile(
    r"^Overfull \\(?P<box>[hv])box \((?P<points>[\d.]+)pt too \w+\) (?P<where>.*)\n(?P<text>.*)",
    re.M,
)
LOST = re.compile(r"^(?:LaTeX|Package hyperref) Warning: .*undefined.*", re.M)
GLYPH = re.compile(r"^Missing character: .*", re.M)


def printed(app) -> bool:
    """Whether the book lies beside the pages that are being built."""
    return (pathlib.Path(app.outdir) / NAME).exists()


def complaints(log: str) -> tuple[list[str], list[str]]:
    """What a log of LaTeX holds against a book, and the lines of code that stand out."""
    found, code = LOST.findall(log) + GLYPH.findall(log), []
    for line in OVERFULL.finditer(log):
        if float(line["points"]) > ROOM:
            shown = re.sub(r"\\\S+/\S+ ?|\[\]", "", line["text"]).strip()[:80]
            text = f"{line['points']} pt too {'wide' if line['box'] == 'h' else 'high'}, {line['where']}: {shown}"
            (code if "Mono" in line["text"] else found).append(text)
    return list(dict.fromkeys(found)), list(dict.fromkeys(code))


def typeset(root: pathlib.Path) -> tuple[pathlib.Path, str]:
    """Build the book; returns its path beside the pages of the site, and LaTeX's log.

    Raises
    ------
    BookError
        If it was not built, or not well.
    """
    place = folder(root) / "_build"
    latex, site = place / "latex", place / "html"
    settings = {
        "LATEXMKOPTS": "-silent -halt-on-error",
        "max_print_line": "10000",  # a line of the log is a line
    }
    command = build_command(root, "--builder", "pdflatex")
    done = subprocess.run(
        command,
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = latex / "book.log"
    said = log.read_text("utf-8", errors="replace") if log.exists() else done.stdout
    if done.returncode:
        error = said.find("\n! ") + 1 if log.exists() else 0
        lines = said[error:].splitlines()[:TAIL] if error else done.stdout.splitlines()[-TAIL:]
        raise BookError("\n".join(["the book was not typeset:", *lines]))
    found, code = complaints(said)
    if found:
        raise BookError("\n".join([f"the book was typeset, but not well; see {log}:", *found]))
    for line in code:
        print(f"code that stands out: {line}")
    site.mkdir(parents=True, exist_ok=True)
    shutil.copy(latex / NAME, site / f"{NAME}.partial")
    return (site / f"{NAME}.partial").replace(site / NAME), said


def main() -> None:
    command_line(__doc__).parse_args()
    book, log = typeset(ROOT)
    pages = re.search(r"^Output written on .*\((\d+) pages", log, flags=re.M)[1]
    print(f"typeset {book.relative_to(ROOT)}: {pages} pages, {book.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_tool(main)
