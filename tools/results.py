"""What executing the chapters has yielded: a file a run in ``_build/runs``, and all else derived from it.

A run's file is named for the chapter and for the key of what it depended on.  The last three of a
chapter stay, so that what is taken back, or moved, need not run again.
"""

from __future__ import annotations

import ast
import copy
import dataclasses
import json
import os
import pathlib

import nbformat
from chapters import chapter_names, read_chapter
from inputs import Chapter, chapter
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

KEPT = 3
GLUED = "application/papermill.record/text/plain"  # where key_number leaves its value


@dataclasses.dataclass(frozen=True)
class Result:
    """What a chapter cost, where it ran and on what, and the key numbers that it recorded."""

    root: pathlib.Path
    name: str
    file: pathlib.Path
    seconds: float
    cpu_seconds: float
    peak_mib: float
    date: str
    machine: str
    versions: dict[str, str]
    key_numbers: dict[str, float]
    formats: dict[str, str]
    cells: dict[str, int]  # the position in the notebook of the cell that recorded it

    @property
    def budget(self) -> dict:
        """Seconds and MiB that the chapter's header allows."""
        return read_chapter(self.root, self.name).metadata.get("budget", {})

    def executed(self) -> nbformat.NotebookNode:
        """The chapter's notebook, its text and outputs included."""
        return _merged(read_chapter(self.root, self.name), json.loads(self.file.read_text("utf-8")))

    def glued(self) -> dict:
        """What the chapter's cells left for a text to quote: its key numbers, other numbers, words."""
        return {mark["name"]: value for _, mark, value in _marks(self.executed())}

    def explorables(self) -> list[dict]:
        """What each explorable cost: its figure's name, pictures, kb (1000 bytes), seconds of the processor."""
        return [
            {"name": cell.metadata.get("mystnb", {}).get("figure", {}).get("name", "")} | cost
            for cell in self.executed().cells
            for output in cell.get("outputs", [])
            if (cost := output.get("metadata", {}).get("explorable"))
        ]

    def standard_error(self) -> list[str]:
        """What the chapter's cells wrote to standard error, each with its place."""
        notebook = self.executed()
        return [
            f"chapters/{self.name}.md:{line + 1}: writes to standard error: {output.text.strip()[:300]}"
            for cell, line in zip(notebook.cells, notebook.metadata.source_map, strict=True)
            for output in cell.get("outputs", [])
            if output.get("name") == "stderr"
        ]


def folder(root: pathlib.Path) -> pathlib.Path:
    return root / "_build" / "runs"


def write(path: pathlib.Path, content) -> None:
    """Write a file of JSON in one stroke: never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content), "utf-8")
    partial.replace(path)


def save(chapter: Chapter, executed: nbformat.NotebookNode, costs: dict) -> None:
    """Keep a run, and of the chapter's earlier ones the last few."""
    outputs = [cell.outputs for cell in executed.cells if cell.cell_type == "code"]
    name = chapter.name.replace("/", "~")
    run = costs | {"versions": chapter.versions, "outputs": outputs}
    write(folder(chapter.root) / f"{name}.{chapter.key}.json", run)
    runs = folder(chapter.root).glob(f"{name}.{'?' * len(chapter.key)}.json")
    for old in sorted(runs, key=lambda path: -path.stat().st_mtime)[KEPT:]:
        old.unlink()


def find(chapter: Chapter) -> Result | None:
    """The run of a chapter as it stands, whatever its page is called; None if there is none."""
    for file in sorted(folder(chapter.root).glob(f"*.{chapter.key}.json")):
        os.utime(file)  # the last to go
        run = json.loads(file.read_text("utf-8"))
        values, formats, cells = _glued(_merged(copy.deepcopy(chapter.notebook), run))
        rest = {field: run[field] for field in run if field != "outputs"}
        return Result(chapter.root, chapter.name, file, **rest, key_numbers=values, formats=formats, cells=cells)  # fmt: skip
    return None


def last_seconds(root: pathlib.Path, name: str) -> float | None:
    """What the last run of the chapter took, whatever it depended on."""
    runs = folder(root).glob(f"{name.replace('/', '~')}.*.json")
    last = max(runs, key=lambda path: path.stat().st_mtime, default=None)
    return last and json.loads(last.read_text("utf-8"))["seconds"]


def load(root: pathlib.Path) -> dict[str, Result]:
    """The results of those chapters that have been executed as they stand, in the order of the book."""
    found = (find(chapter(root, name)) for name in chapter_names(root))
    return {result.name: result for result in found if result}


def sphinx_cache(root: pathlib.Path) -> pathlib.Path:
    return root / "_build" / ".jupyter_cache"


def offer_to_sphinx(chapter: Chapter, result: Result) -> None:
    """Put a run into the jupyter-cache from which Sphinx takes it."""
    cache = get_cache(sphinx_cache(chapter.root))
    try:
        if cache.match_cache_notebook(chapter.notebook).data.get("run") == result.file.name:
            return
    except KeyError:
        pass
    facts = {"run": result.file.name, "execution_seconds": result.seconds}
    bundle = CacheBundleIn(result.executed(), f"chapters/{chapter.name}.md", data=facts)
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def _merged(notebook: nbformat.NotebookNode, run: dict) -> nbformat.NotebookNode:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, (cell, outputs) in enumerate(zip(code, run["outputs"], strict=True), start=1):
        cell.outputs, cell.execution_count = nbformat.from_dict(outputs), count
    return notebook


def _glued(executed: nbformat.NotebookNode) -> tuple[dict, dict, dict]:
    """The key numbers an executed notebook recorded, the format of each, and its cell's position."""
    values, formats, cells = {}, {}, {}
    for index, mark, value in _marks(executed):
        if "format" in mark:
            values[mark["name"]], formats[mark["name"]] = value, mark["format"]
            cells[mark["name"]] = index
    return values, formats, cells


def _marks(executed: nbformat.NotebookNode):
    """What cells left for a text to quote: (the cell's position, the mark that names it, the value)."""
    for index, cell in enumerate(executed.cells):
        for output in cell.get("outputs", []):
            if GLUED in output.get("data", {}):
                mark = output["metadata"]["scrapbook"]
                yield index, mark, ast.literal_eval(output["data"][GLUED])
