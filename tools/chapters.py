"""The chapters: which there are, the code in them and where it stands, and the command that builds them.

A chapter's name is its path below ``chapters/`` without the ending: ``minimization``, ``part/page``.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import functools
import os
import pathlib
import re
import signal
import sys

from sphinx_external_toc.api import FileItem, GlobItem
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
BELOW = "chapters/"
FULL = "full"
EDITIONS = (FULL, "students")


class BookError(Exception):
    """Something a writer can mend; its text says where."""


def program(name: str) -> str:
    """The path of a program of the environment that runs us."""
    return str(pathlib.Path(sys.executable).with_name(name))


def build_command(root: pathlib.Path, *options: str, strict: bool = True) -> list[str]:
    """The command that builds the site, as ``make book`` gives it; warnings fail it if ``strict``."""
    place = ("--path-output", str(folder(root)))  # first: a builder of something else has its own
    options = ("-n", "--keep-going", *place, *options) + ("-W",) * strict
    return [program("jupyter-book"), "build", *options, str(root)]


def chosen_edition() -> str:
    """The edition that the environment variable EDITION names; the full one if it names none."""
    name = os.environ.get("EDITION") or FULL
    if name not in EDITIONS:
        raise BookError(f"EDITION: expected {' or '.join(EDITIONS)}, got {name!r}")
    return name


def folder(root: pathlib.Path) -> pathlib.Path:
    """Where the chosen edition is built; its pages are in ``_build/html`` below."""
    name = chosen_edition()
    return root if name == FULL else root / "_build" / name


def _contents(root: pathlib.Path):
    """What ``_toc.yml`` says, and a function that walks through a page and those below it."""
    try:
        site = parse_toc_yaml(root / "_toc.yml")
    except Exception as error:
        raise BookError(f"_toc.yml: {error}") from None

    def walk(page: str):
        yield page.removesuffix(".md")
        for tree in site[page].subtrees if page in site else []:
            for item in tree.items:
                yield from below(item)

    def below(item):
        if isinstance(item, FileItem):
            yield from walk(str(item))
        elif isinstance(item, GlobItem):
            for path in sorted(root.glob(f"{item}.md")):
                yield from walk(path.relative_to(root).with_suffix("").as_posix())

    return site, walk, below


def documents(root: pathlib.Path) -> list[str]:
    """The pages that ``_toc.yml`` names, in the order of the book, without their ending."""
    site, walk, _ = _contents(root)
    return list(dict.fromkeys(walk(site.root.docname)))


def parts(root: pathlib.Path) -> list[tuple[str, list[str]]]:
    """The parts of ``_toc.yml``: the caption of each, or nothing, and its pages."""
    site, _, below = _contents(root)
    return [
        (tree.caption or "", [page for item in tree.items for page in below(item)])
        for tree in site.root.subtrees
    ]


def chapter_names(root: pathlib.Path) -> list[str]:
    """The chapters of ``_toc.yml``, in the order of the book."""
    return [page.removeprefix(BELOW) for page in documents(root) if page.startswith(BELOW)]


def page(root: pathlib.Path, name: str) -> pathlib.Path:
    """The file of a chapter; raises BookError if there is none."""
    path = root / "chapters" / f"{name}.md"
    if not path.is_file():
        found = path.parents[name.count("/")].rglob("*.md")
        known = sorted(p.relative_to(root / "chapters").with_suffix("").as_posix() for p in found)
        raise BookError(f"no chapter called {name!r}; there are: {', '.join(known) or 'none'}")
    return path


def title(root: pathlib.Path, name: str) -> str:
    """The heading of a chapter."""
    found = re.search(r"^# (.+)$", _text(page(root, name)), flags=re.M)
    if found is None:
        raise BookError(f"chapters/{name}.md: expected a heading, `# ...`, got none")
    return found[1]


def read_chapter(root: pathlib.Path, name: str) -> dict:
    """The chapter as nbformat's notebook, with the line of each cell in ``metadata.source_map``."""
    return copy.deepcopy(_read(path := page(root, name), _text(path)))


def _text(path: pathlib.Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BookError(f"chapters/{path.name}: expected UTF-8, got {error}") from None


@functools.lru_cache(maxsize=100)
def _read(path: pathlib.Path, text: str) -> dict:
    from myst_nb.core.read import read_myst_markdown_notebook  # not every tool waits for it

    try:
        return read_myst_markdown_notebook(text, add_source_map=True, path=path)
    except Exception as error:
        raise BookError(f"chapters/{path.name}: {type(error).__name__}: {error}") from None


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of code: its position in the notebook, and its first line on the page (from 1)."""

    index: int
    line: int
    source: str
    tags: tuple[str, ...]


def code_cells(path: pathlib.Path) -> list[Cell]:
    """The code cells of a page."""
    text, cells = _text(path), []
    notebook, lines = _read(path, text), text.splitlines()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            code = cell.source.splitlines()
            fence = notebook.metadata.source_map[index]  # options may stand before the code
            places = (k for k in range(fence, len(lines)) if lines[k : k + len(code)] == code)
            tags = tuple(cell.metadata.get("tags", []))
            cells.append(Cell(index, next(places, fence) + 1, cell.source, tags))
    return cells


def script(path: pathlib.Path, figures: bool = False) -> str:
    """The page as a script, each line of code where it is on the page, the others empty.

    So a traceback names, and shows, the line of the page.  Cells that draw are left out, unless
    ``figures`` says otherwise.
    """
    lines: list[str] = []
    for cell in code_cells(path):
        if figures or "figure" not in cell.tags:
            lines += [""] * (cell.line - 1 - len(lines)) + cell.source.splitlines()
    return "\n".join(lines) + "\n"


def command_line(description: str, names: bool = False) -> argparse.ArgumentParser:
    """A tool's command line, of which its docstring says what it does; with ``names`` of chapters."""
    parser = argparse.ArgumentParser(
        description=description,
        usage=argparse.SUPPRESS,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    if names:
        parser.add_argument("names", nargs="*", metavar="NAME")
    return parser


def whole(text: str) -> int:
    """An argument that counts something: a whole number from 1 on."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, got {text!r}")
    return int(text)


def run_tool(main) -> None:
    """Run a tool's ``main`` and end with its status; a SIGTERM ends it as Ctrl-C does, with all it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for stream in (sys.stdout, sys.stderr):
        # a terminal may not know our letters, and a pipe would keep the lines
        stream.reconfigure(errors="backslashreplace", line_buffering=True)
    try:
        sys.exit(main())
    except BookError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)
