"""Run ruff on the code cells of chapters, and report in the chapter's own lines.

usage: check_cells.py [--format] CHAPTER.md ...

--format rewrites the code cells in the book's format instead of complaining about them.
"""

import json
import pathlib
import subprocess
import sys

import execute

WIDTH = 88  # columns that fit a page without scrolling
# A notebook may end a cell with a bare name to show it, import where a section begins, and use in
# a function what an earlier cell defines.
IGNORED = "B018,B023,B905,E402,E501,E703,I001,RUF001,RUF002,RUF003"
RUFF = [sys.executable, "-m", "ruff"]


def code_cells(path: pathlib.Path):
    """(line of the first line of code, code) of each code cell, lines counted from 0."""
    notebook = execute.read_chapter(path.resolve().parents[1], path.stem)
    text = path.read_text().splitlines()
    for cell, start in zip(notebook.cells, notebook.metadata.source_map, strict=True):
        code = cell.source.splitlines()
        if cell.cell_type == "code" and code:
            # the map points at the fence; options may stand between it and the code
            first = range(start - 1, len(text))
            yield next(k for k in first if text[k : k + len(code)] == code), code


def complaints(path: pathlib.Path) -> list[str]:
    """``file:line: message`` for each thing ruff finds in a chapter's code."""
    lines: list[str] = []  # the chapter with all but its code blanked, so that line numbers stay
    for first, code in code_cells(path):
        lines += [""] * (first - len(lines)) + code
    check = [*RUFF, "check", "--output-format", "json", "--ignore", IGNORED]
    answer = subprocess.run(
        [*check, "--stdin-filename", f"{path}.py", "-"],
        input="\n".join(lines) + "\n", capture_output=True, text=True,
    )  # fmt: skip
    found = [
        f"{path}:{f['location']['row']}: {f['code']} {f['message']}"
        for f in json.loads(answer.stdout)
    ]
    return found + [
        f"{path}:{first + 1}: the code is not in the book's format (check_cells.py --format)"
        for first, code in code_cells(path)
        if formatted(code) != code
    ]


def formatted(code: list[str]) -> list[str]:
    """The lines of a cell as ruff formats them; a last semicolon, which hides a value, stays."""
    silent = code[-1].endswith(";")
    answer = subprocess.run(
        [*RUFF, "format", "--line-length", str(WIDTH), "--config", "format.skip-magic-trailing-comma=true", "-"],
        input="\n".join(code) + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = answer.stdout.splitlines()
    return [*lines[:-1], lines[-1] + ";"] if silent and not lines[-1].endswith(";") else lines


def rewrite(path: pathlib.Path) -> None:
    """Put a chapter's code cells into the book's format."""
    lines = path.read_text().splitlines()
    for first, code in reversed(list(code_cells(path))):
        lines[first : first + len(code)] = formatted(code)
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    paths = [pathlib.Path(name) for name in sys.argv[1:] if name != "--format"]
    if "--format" in sys.argv:
        for path in paths:
            rewrite(path)
        sys.exit()
    found = [line for path in paths for line in complaints(path)]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
