"""The chapters as notebooks to download: executed, and complete in one file."""

from __future__ import annotations

import base64
import pathlib
import re

import execute
import nbformat
from directives import typeset
from nbformat.v4 import new_code_cell

COMPANIONS = """\
# What the chapter imports or reads from its own folder, for a notebook that was downloaded alone.
from pathlib import Path

for name, text in {companions!r}.items():
    if not Path(name).exists():
        Path(name).write_text(text)
"""

GLUED = re.compile(r"\{glue:text\}`(?:chapters/([\w-]+)\.md::)?(\w+)(?::([^`]*))?`")
INDEX = re.compile(r"^```\{index\}.*\n(?:[^`\n].*\n)*```\n", flags=re.M)
DRAWING = re.compile(r"\.\./(figures/[\w.-]+\.svg)")


def companions(root: pathlib.Path) -> dict[str, str]:
    """Name and text of each file beside the chapters that is not a chapter."""
    return {
        path.name: path.read_text()
        for path in sorted((root / "chapters").iterdir())
        if path.is_file() and path.suffix != ".md"
    }


def notebook(root: pathlib.Path, name: str, results: dict) -> nbformat.NotebookNode:
    """The executed chapter as a notebook that runs from any folder.

    Its first cell writes the helper module where it is missing; the numbers that the text quotes
    and the drawings are in it, and what only makes the index is not.
    """
    executed = execute.executed(root, name)

    def quoted(match: re.Match) -> str:
        numbers = results[match[1] or name]["key_numbers"]
        return typeset(format(numbers[match[2]], match[3] or ""))

    def embedded(match: re.Match) -> str:
        data = base64.b64encode((root / match[1]).read_bytes()).decode()
        return f"data:image/svg+xml;base64,{data}"

    for cell in executed.cells:
        if cell.cell_type == "markdown":
            cell.source = INDEX.sub("", DRAWING.sub(embedded, GLUED.sub(quoted, cell.source)))
    first = new_code_cell(COMPANIONS.format(companions=companions(root)))
    first.metadata["jupyter"] = {"source_hidden": True}
    executed.cells.insert(0, first)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    executed.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return executed


def offer(app, pagename, templatename, context, doctree) -> None:
    """Write the notebook beside the page; list it, and the printed book, among the page's downloads."""
    root, name = pathlib.Path(app.srcdir), pagename.removeprefix("chapters/")
    results = app.env.book_results["chapters"]
    offered = [("book.pdf", "The whole book, printed", "fas fa-file-pdf", "book")]
    if name in results:
        path = pathlib.Path(app.outdir) / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(exist_ok=True)
        nbformat.write(notebook(root, name, results), path)
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
