"""What a page offers to download: the executed notebook, complete in one file; exercises; the whole book, typeset or packed."""

from __future__ import annotations

import copy
import pathlib
import re

import cite
import nbformat
import offline
import printing
import sheets
from bs4 import BeautifulSoup
from edition import hidden_cells
from inputs import chapter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from plain import texts
from results import Result

COMPANIONS = """\
# What the chapter imports or reads from its own folder, for a notebook that was downloaded alone.
from pathlib import Path

for name, content in {companions!r}.items():
    if not Path(name).exists():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content)
"""

HEADING = re.compile(r"\n(?=#{1,6} )")


def place(out: pathlib.Path, name: str) -> pathlib.Path:
    """Where the site keeps a chapter's notebook."""
    return out / "notebooks" / f"{name}.ipynb"


def notebook(result: Result, texts: list[str]) -> nbformat.NotebookNode:
    """The executed chapter as a notebook that runs from any folder.

    Its first cell writes the files that the chapter uses where they are missing.  Between its code
    cells stand ``texts``, those of the page in plain Markdown, a cell for each section.
    """
    executed = result.executed()
    hidden = hidden_cells(executed)
    code = [
        cell
        for index, cell in enumerate(executed.cells)
        if cell.cell_type == "code" and index not in hidden
    ]
    first = new_code_cell(COMPANIONS.format(companions=chapter(result.root, result.name).contents))
    first.metadata["jupyter"] = {"source_hidden": True}
    cells = [first]
    for text, cell in zip(texts, [*code, None], strict=True):
        cells += [new_markdown_cell(part.strip()) for part in HEADING.split(text) if part.strip()]
        cells += [cell] if cell else []
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return new_notebook(cells=cells, metadata=metadata)


def offer(app, pagename, templatename, context, doctree) -> None:
    """Write notebook and exercises beside the page; list them, and the whole book, among its downloads."""
    name, results = pagename.removeprefix("chapters/"), app.env.book_results
    offered = []  # (address, its name in the list, what it is, icon, label)
    if name in results:
        path = place(pathlib.Path(app.outdir), name)
        path.parent.mkdir(parents=True, exist_ok=True)
        images = {target: source for source, target in app.builder.images.items()}

        def picture(source: str) -> pathlib.Path:
            return pathlib.Path(app.srcdir) / images[pathlib.PurePosixPath(source).name]

        body = BeautifulSoup(context["body"], "html.parser")
        plain = texts(copy.copy(body), cite.address(app, pagename), picture)
        nbformat.write(notebook(results[name], plain), path)
        address = f"notebooks/{name}.ipynb"
        offered.append((address, ".ipynb", "The executed notebook", "fas fa-code", "notebook"))
        if address := sheets.write(app, pagename, body):
            offered.append((address, "exercises", "A sheet to print", "fas fa-pencil", "exercises"))
    if printing.printed(app):
        whole = (
            printing.NAME,
            printing.NAME,
            "The whole book, to print",
            "fas fa-file-pdf",
            "book",
        )
        offered.append(whole)
    site = "The whole site, to read without network"
    offered.append((offline.NAME, offline.NAME, site, "fas fa-file-zipper", "offline"))
    buttons = [
        {
            "type": "link",
            "url": context["pathto"](target, 1),
            "text": text,
            "icon": icon,
            "tooltip": tooltip,
            "label": f"download-{label}-button",
        }
        for target, text, tooltip, icon, label in offered
    ]
    for group in context.get("header_buttons", []):
        if group.get("label") == "download-buttons":
            theirs = [b for b in group["buttons"] if b["label"] == "download-source-button"]
            group["buttons"] = [*buttons, *theirs]
