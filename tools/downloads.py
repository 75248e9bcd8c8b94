"""The chapters as notebooks to download: executed, and complete in one file."""

from __future__ import annotations

import base64
import functools
import pathlib
import re

import nbformat
from inputs import chapter
from keynumbers import QUOTED, typeset
from nbformat.v4 import new_code_cell
from results import Result

COMPANIONS = """\
# What the chapter imports or reads from its own folder, for a notebook that was downloaded alone.
from pathlib import Path

for name, content in {companions!r}.items():
    if not Path(name).exists():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
"""

INDEX = re.compile(r"^```\{index\}.*\n(?:[^`\n].*\n)*```(?:\n|\Z)", flags=re.M)
DRAWING = re.compile(r"(?:\.\./)+(figures/[\w.-]+\.svg)")


def place(out: pathlib.Path, name: str) -> pathlib.Path:
    """Where the site keeps a chapter's notebook."""
    return out / "notebooks" / f"{name}.ipynb"


def notebook(results: dict[str, Result], name: str) -> nbformat.NotebookNode:
    """The executed chapter as a notebook that runs from any folder.

    Its first cell writes the files that the chapter uses where they are missing; the numbers that the text
    quotes and the drawings are in it, and what only makes the index is not.
    """
    root, executed = results[name].root, results[name].executed()
    glued = functools.cache(lambda chapter: results[chapter].glued())

    def quoted(match: re.Match) -> str:
        return typeset(format(glued(match[1] or name)[match[2]], match[3] or ""))

    def embedded(match: re.Match) -> str:
        data = base64.b64encode((root / match[1]).read_bytes()).decode()
        return f"data:image/svg+xml;base64,{data}"

    for cell in executed.cells:
        if cell.cell_type == "markdown":
            cell.source = INDEX.sub("", DRAWING.sub(embedded, QUOTED.sub(quoted, cell.source)))
    first = new_code_cell(COMPANIONS.format(companions=chapter(root, name).contents))
    first.metadata["jupyter"] = {"source_hidden": True}
    executed.cells.insert(0, first)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    executed.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return executed


def offer(app, pagename, templatename, context, doctree) -> None:
    """Write the notebook beside the page; list it, and the printed book, among the page's downloads."""
    name, results = pagename.removeprefix("chapters/"), app.env.book_results
    offered = [("book.pdf", "The whole book, printed", "fas fa-file-pdf", "book")]
    if name in results:
        path = place(pathlib.Path(app.outdir), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook(results, name), path)
        offered.insert(
            0, (f"notebooks/{name}.ipynb", "The executed notebook", "fas fa-code", "notebook")
        )
    buttons = [
        {
            "type": "link",
            "url": context["pathto"](target, 1),
            "text": pathlib.Path(target).suffix if label == "notebook" else target,
            "icon": icon,
            "tooltip": tooltip,
            "label": f"download-{label}-button",
        }
        for target, tooltip, icon, label in offered
    ]
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            theirs = [b for b in group["buttons"] if b["label"] == "download-source-button"]
            group["buttons"] = [*buttons, *theirs]
