"""The students' edition: the book without its solutions.

``make book EDITION=students`` builds it into ``_build/students``.  Nothing of a solution is in any of its
files: not in the pages, their search and index, the sources and notebooks to download, or the ledger.
A solution's cells run all the same, since the text may quote what they compute.
"""

from __future__ import annotations

import pathlib
import re

import nbformat
from chapters import FULL, BookError, chosen_edition
from sphinx.errors import ExtensionError
from sphinx.transforms import SphinxTransform
from sphinx_exercise.nodes import solution_node

SOLUTION = re.compile(
    r"^(?P<fence>`{3,}|:{3,})\{solution(?:-start\}.*?\{solution-end\}|\}).*?^(?P=fence)[ \t]*(?:\n|\Z)",
    flags=re.M | re.S,
)


def solution_cells(notebook: nbformat.NotebookNode) -> set[int]:
    """The positions of the code cells that belong to solutions."""
    inside, found = False, set()
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            found |= {index} if inside else set()
        else:
            for edge in re.findall(r"^[`:]{3,}\{solution-(start|end)\}", cell.source, flags=re.M):
                inside = edge == "start"
    return found


def hidden_cells(notebook: nbformat.NotebookNode) -> set[int]:
    """The positions of the code cells that this edition does not show."""
    return set() if chosen_edition() == FULL else solution_cells(notebook)


class DropSolutions(SphinxTransform):
    default_priority = (
        20  # after their pieces were put together, before anything is collected from them
    )

    def apply(self) -> None:
        for solution in list(self.document.findall(solution_node)):
            solution.parent.remove(solution)


def strip_sources(app, exception) -> None:
    """Take the solutions out of the sources that the pages offer."""
    if exception is None and chosen_edition() != FULL:
        for path in (pathlib.Path(app.outdir) / "_sources").rglob("*.md"):
            path.write_text(SOLUTION.sub("", path.read_text("utf-8")), "utf-8")


def setup(app) -> None:
    try:
        name = chosen_edition()
    except BookError as error:
        raise ExtensionError(str(error)) from None
    if name != FULL:
        app.add_transform(DropSolutions)
    app.connect("build-finished", strip_sources)
