"""Run the cells of a chapter one after the other in this process, and write down what came of it.

usage: runcells.py FOLDER

``trials.py`` starts it, in FOLDER, where ``cells.json`` has the cells.  If they include those that
draw, each picture is rendered as the page would show it, and closed.  A traceback names the page's
lines and shows them as they were changed.  ``outcome.json`` has null, or the failure.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import os
import pathlib
import sys
import traceback
import types


def run(page: str, cells: list[dict], figures: bool) -> None:
    """Run cells, ``{"line": of its first line on the page, "source": text}``, in module __main__."""
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    for cell in cells:
        tree = ast.parse("\n" * (cell["line"] - 1) + cell["source"], page)
        shown = None
        if figures and tree.body and isinstance(tree.body[-1], ast.Expr):
            shown = ast.Expression(tree.body.pop().value)
        exec(compile(tree, page, "exec"), module.__dict__)
        if shown:
            show(eval(compile(shown, page, "eval"), module.__dict__))
        if figures and (plt := sys.modules.get("matplotlib.pyplot")):
            for number in plt.get_fignums():
                plt.figure(number).savefig(io.BytesIO(), bbox_inches="tight")
            plt.close("all")


def show(value) -> None:
    """Ask a cell's value for the text that a notebook would show of it.

    Not for its bundle: a movie is finished when it is made, and of an explorable a script draws a part.
    """
    for method in ("_repr_markdown_", "_repr_html_"):
        if not isinstance(value, type) and hasattr(value, method):
            getattr(value, method)()
            return


def failure(error: BaseException, page: str, cells: list[dict]) -> dict:
    """What went wrong, in which line of the page, and whether the page itself raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == page]
    ours = next((k for k, frame in enumerate(frames) if frame.filename == page), 0)
    trace = traceback.TracebackException.from_exception(error)
    trace.stack[:] = trace.stack[ours:]  # without this file's own
    return {
        "type": type(error).__name__,
        "is_value_error": isinstance(error, ValueError),
        "text": str(error),
        "line": lines[-1] if lines else getattr(error, "lineno", None),
        "own": own(error, frames, page, cells),
        "trace": "".join(trace.format()),
    }


def own(error: BaseException, frames, page: str, cells: list[dict]) -> bool:
    """Whether the error is the chapter's own: its class, or raised by its ``raise`` or ``assert``."""
    if type(error).__module__ == "__main__":
        return True
    if not frames or frames[-1].filename != page:
        return False
    line, column = frames[-1].lineno, frames[-1].colno
    statements = [
        node
        for cell in cells if cell["line"] <= line
        for node in ast.walk(ast.parse("\n" * (cell["line"] - 1) + cell["source"]))
        if isinstance(node, (ast.Raise, ast.Assert)) and node.lineno <= line <= node.end_lineno
    ]  # fmt: skip
    return any(  # and not by what stands in such a statement
        isinstance(error, AssertionError)
        if isinstance(node, ast.Assert)
        else (node.lineno, node.col_offset) == (line, column)
        for node in statements
    )


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    job = json.loads((folder / "cells.json").read_text())
    page, cells = job["page"], job["cells"]
    text: list[str] = []
    for cell in cells:
        text += [""] * (cell["line"] - 1 - len(text)) + cell["source"].splitlines()
    linecache.cache[page] = (0, None, [line + "\n" for line in text], page)
    sys.argv[:] = [page]  # PETSc would take ours for its own
    sys.path[0] = os.getcwd()  # not the folder of this file
    found = None
    try:
        run(page, cells, job["figures"])
    except BaseException as error:
        found = failure(error, page, cells)
    partial = folder / "outcome.partial"
    partial.write_text(json.dumps(found))
    partial.replace(folder / "outcome.json")


if __name__ == "__main__":
    main()
