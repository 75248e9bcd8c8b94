"""What the book shows of its own execution: its numbers, its cost, its versions, its pictures.

- ``{ledger} NAME``: the chapter's key numbers beside what they are compared with; all, without NAME.
- ``{costs}``: seconds and memory of each chapter, and where it ran.
- ``{versions}``: what the numbers were computed with.
- ``{picture} NAME FIGURE``: a picture of a chapter, small, that leads to the chapter.
"""

from __future__ import annotations

import base64
import importlib.metadata
import io
import pathlib
import platform
import re
import shutil
import subprocess
from typing import ClassVar

import execute
import ledger
from docutils import nodes
from docutils.parsers.rst import directives
from keynumbers import typeset
from PIL import Image
from sphinx.util.docutils import SphinxDirective

THUMBNAIL = (560, 360)  # pixels; a card is 280 wide, and screens have two pixels to one


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table in Markdown, line by line."""
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines), ""]


def label(chapter: str, number: str) -> str:
    """The label of the cell that records a number."""
    return f"{chapter}-number-{number}"


def mark_numbers(app, doctree) -> None:
    """Give each cell that records a key number a label, for the ledger to lead to."""
    name = app.env.docname.removeprefix("chapters/")
    cells = app.env.book_results["chapters"].get(name, {}).get("cells", {})
    numbers: dict[int, list[str]] = {}
    for number, index in cells.items():
        numbers.setdefault(index, []).append(number)
    domain = app.env.get_domain("std")
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") == "cell_code":
            for number in numbers.get(cell["cell_index"], []):
                anchor = nodes.make_id(f"number-{number}")
                cell["ids"].append(anchor)
                domain.anonlabels[label(name, number).lower()] = (app.env.docname, anchor)
                domain.labels[label(name, number).lower()] = (app.env.docname, anchor, number)


class Shown(SphinxDirective):
    """A directive that writes Markdown from the results of the execution."""

    @property
    def root(self) -> pathlib.Path:
        return pathlib.Path(self.env.srcdir)

    @property
    def results(self) -> dict:
        return self.env.book_results["chapters"]

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class Ledger(Shown):
    optional_arguments = 1

    def lines(self) -> list[str]:
        for file in (self.root / "tests" / "key_numbers").glob("*.yml"):
            self.env.note_dependency(str(file))
        rows = ledger.load(self.root)
        lines = []
        for name in self.arguments or list(self.results):
            if name not in self.results:
                known = ", ".join(self.results)
                raise self.error(f"ledger: expected a chapter ({known}), got {name!r}")
            if not self.arguments:
                text = (self.root / "chapters" / f"{name}.md").read_text()
                title = re.search(r"^# (.+)$", text, flags=re.M)[1]
                lines += [f"## {title}", "", f"In {{doc}}`/chapters/{name}`.", ""]
            lines += self.numbers(name, rows.get(name, {}))
        return lines

    def numbers(self, name: str, rows: dict) -> list[str]:
        result = self.results[name]
        out = []
        for number, value in result["key_numbers"].items():
            row = rows.get(number, {"what": f"`{number}` (no row)", "expected": float("nan")})
            fmt = result["formats"][number]
            if (goal := ledger.target(row)) is None:
                signs = {"min": "≥", "max": "≤"}
                difference = ", ".join(
                    f"{signs[k]} {typeset(f'{row[k]:g}')}" for k in signs if k in row
                )
            else:
                difference = abs(value - goal) / (abs(goal) or 1)
                difference = typeset(f"{difference:.1e}") if difference else "0"
            reference = self.shown(row.get("reference"), fmt)
            if row.get("cite", "exact") != "exact":
                reference += f" {{cite}}`{row['cite']}`"
            elif "reference" in row:
                reference += " (exact)"
            here = f"{{ref}}`{self.shown(value, fmt)} <{label(name, number)}>`"
            passed = "✓" if ledger.check(value, row) is None else "✗"
            source = self.shown(row.get("source"), fmt)
            out.append([row["what"], source, reference, here, difference, passed])
        return table(["number", "source", "reference", "here", "difference", "passed"], out)

    @staticmethod
    def shown(value, fmt: str) -> str:
        return "" if value is None else typeset(format(value, fmt))


class Costs(Shown):
    def lines(self) -> list[str]:
        rows, places = [], {}
        for name, row in self.results.items():
            budget = execute.read_chapter(self.root, name).metadata["budget"]
            place = f"{row['machine']}, {row['date']}"
            mark = places.setdefault(place, len(places) + 1)
            rows.append(
                [
                    f"{{doc}}`/chapters/{name}`",
                    f"{row['seconds']:.0f}",
                    f"{budget['seconds']}",
                    f"{row['cpu_seconds']:.0f}",
                    f"{row['peak_mib']:.0f}",
                    f"{budget['mib']}",
                    str(mark),
                ]
            )
        seconds = sum(row["seconds"] for row in self.results.values())
        spent = sum(row["cpu_seconds"] for row in self.results.values())
        rows.append(["all", f"{seconds:.0f}", "", f"{spent:.0f}", "", "", ""])
        head = ["chapter", "time, s", "budget, s", "processor time, s", "memory, MiB"]
        lines = table([*head, "budget, MiB", "where"], rows)
        return lines + [f"{mark}. {place}" for place, mark in places.items()]


class Versions(Shown):
    def lines(self) -> list[str]:
        wanted = re.findall(r"^([\w.-]+)", (self.root / "requirements.in").read_text(), flags=re.M)
        rows = [["Python", platform.python_version()]]
        rows += [[name, importlib.metadata.version(name)] for name in sorted(wanted, key=str.lower)]
        lines = table(["Python package", "version"], rows)
        if shutil.which("dpkg-query"):
            text = (self.root / "apt.txt").read_text()
            packages = re.findall(r"^([a-z0-9.+-]+)", text, flags=re.M)
            command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "libc6", *packages]
            answer = subprocess.run(command, capture_output=True, text=True)
            system = [line.split() for line in answer.stdout.splitlines()]
            lines += table(["system package", "version"], [row for row in system if len(row) == 2])
        return lines


class Picture(SphinxDirective):
    required_arguments = 2
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        root, (name, figure) = pathlib.Path(self.env.srcdir), self.arguments
        notebook = execute.executed(root, name)
        pictures = {
            cell.metadata.get("mystnb", {}).get("figure", {}).get("name"): output.data["image/png"]
            for cell in notebook.cells
            for output in cell.get("outputs", [])
            if "image/png" in output.get("data", {})
        }
        if figure not in pictures:
            known = ", ".join(sorted(filter(None, pictures)))
            raise self.error(f"picture: expected a figure of {name} ({known}), got {figure!r}")
        picture = Image.open(io.BytesIO(base64.b64decode(pictures[figure]))).convert("RGB")
        picture.thumbnail(THUMBNAIL)
        canvas = Image.new("RGB", THUMBNAIL, "white")
        canvas.paste(picture, [(a - b) // 2 for a, b in zip(THUMBNAIL, picture.size, strict=True)])
        path = root / "_build" / "pictures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        canvas.quantize(128).save(path, "PNG", optimize=True)
        self.env.note_dependency(str(root / "chapters" / f"{name}.md"))
        image = nodes.image(uri=f"/_build/pictures/{name}.png", alt=self.options.get("alt", ""))
        return [image]


def setup(app) -> None:
    """Called by ``booksite``'s own."""
    for directive in (Ledger, Costs, Versions, Picture):
        app.add_directive(directive.__name__.lower(), directive)
    app.connect("doctree-read", mark_numbers)
