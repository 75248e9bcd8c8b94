"""Run ruff on the code cells of chapters, and report in the chapter's own lines.

usage: check_cells.py CHAPTER.md ...
"""

import json
import pathlib
import subprocess
import sys

import execute

# A notebook may end a cell with a bare name to show it, and import where a section begins.
IGNORED = ["B018", "E402", "E703", "I001", "RUF001", "RUF002", "RUF003", "E501", "B023"]


def complaints(path: pathlib.Path) -> list[str]:
    """``file:line: message`` for each thing ruff finds in a chapter's code."""
    notebook = execute.read_chapter(path.resolve().parents[1], path.stem)
    lines = []  # the chapter with all but its code blanked, so that the numbers of lines stay
    for cell, start in zip(notebook.cells, notebook.metadata.source_map, strict=True):
        if cell.cell_type != "code":
            continue
        code = cell.source.splitlines()
        text = path.read_text().splitlines()
        first = next(
            (k for k in range(start - 1, len(text)) if text[k : k + len(code)] == code), start
        )
        lines += [""] * (first - len(lines)) + code
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "json", "--ignore"]
    command += [",".join(IGNORED), "--stdin-filename", f"{path}.py", "-"]
    answer = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True)
    return [
        f"{path}:{found['location']['row']}: {found['code']} {found['message']}"
        for found in json.loads(answer.stdout)
    ]


if __name__ == "__main__":
    found = [line for path in sys.argv[1:] for line in complaints(pathlib.Path(path))]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
