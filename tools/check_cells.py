"""Run ruff on the code cells of chapters, and report in the chapter's own lines.

usage: check_cells.py [--format] [NAME ...]

NAME is a chapter; all if none is given.  --format rewrites the code cells in the book's format instead of
complaining about them.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

from chapters import ROOT, Cell, chapter_names, code_cells, command_line, page, program, run_tool
from nbformat.v4 import new_code_cell, new_notebook

WIDTH = 88  # columns that fit a page without scrolling
# A notebook may import where a section begins, and use in a function what an earlier cell defines.
IGNORED = "B018,B023,B905,E402,E501,E703,E741,I001,RUF001,RUF002,RUF003,RUF057"


def ruff(path: pathlib.Path, *options: str) -> str:
    """What ruff says of a chapter's code cells, which it gets as a notebook: it knows ``%magic``."""
    cells = [new_code_cell(cell.source, id=str(k)) for k, cell in enumerate(code_cells(path))]
    answer = subprocess.run(
        [program("ruff"), *options, "--stdin-filename", f"{path}.ipynb", "-"],
        input=json.dumps(new_notebook(cells=cells)), capture_output=True, text=True, encoding="utf-8",
    )  # fmt: skip
    if not answer.stdout:
        sys.exit(f"{path}: {answer.stderr}")
    return answer.stdout


def complaints(path: pathlib.Path) -> list[str]:
    """``file:line: message`` for each thing ruff finds in a chapter's code."""
    cells, shown = code_cells(path), path.relative_to(ROOT)
    if not cells:
        return []
    found = json.loads(ruff(path, "check", "--output-format", "json", "--ignore", IGNORED))
    lines = [
        f"{shown}:{cells[f['cell'] - 1].line + f['location']['row'] - 1}: {f['code']} {f['message']}"
        for f in found
    ]
    return lines or [
        f"{shown}:{cell.line}: the code is not in the book's format (check_cells.py --format)"
        for cell, source in formatted(path)
        if source != cell.source
    ]


def formatted(path: pathlib.Path) -> list[tuple[Cell, str]]:
    """Each code cell, and its code as ruff formats it; a semicolon that ends it stays."""
    options = ["--line-length", str(WIDTH), "--config", "format.skip-magic-trailing-comma=true"]
    notebook = json.loads(ruff(path, "format", *options))
    return [
        (cell, "".join(new["source"]).rstrip(";") + ";" * cell.source.endswith(";"))
        for cell, new in zip(code_cells(path), notebook["cells"], strict=True)
    ]


def rewrite(path: pathlib.Path) -> None:
    """Put a chapter's code cells into the book's format."""
    lines = path.read_text("utf-8").splitlines()
    for cell, source in reversed(formatted(path)):
        first = cell.line - 1
        lines[first : first + len(cell.source.splitlines())] = source.splitlines()
    path.write_text("\n".join(lines) + "\n", "utf-8")


def main() -> int:
    parser = command_line(__doc__, names=True)
    parser.add_argument("--format", action="store_true")
    options = parser.parse_args()
    names = options.names or chapter_names(ROOT)
    paths = [page(ROOT, name) for name in names]
    if options.format:
        for path in paths:
            rewrite(path)
        return 0
    found = [line for path in paths for line in complaints(path)]
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    run_tool(main)
