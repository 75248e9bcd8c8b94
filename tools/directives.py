"""What the book shows of its own execution: its cost, its versions, its pictures.

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
from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.util.docutils import SphinxDirective

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
THUMBNAIL = (560, 360)  # pixels; a card is 280 wide, and screens have two pixels to one


def typeset(number: str) -> str:
    """A formatted number as it is printed: ``-3.4e-08`` becomes ``−3.4 · 10⁻⁸`` (thin spaces)."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)(?:e([+-]\d+))?(%?)", number)
    if not match:
        return number
    mantissa, exponent, percent = match[1].replace("-", "−"), match[2], match[3]
    if exponent is not None:
        mantissa += "\u2009·\u200910" + str(int(exponent)).translate(SUPERSCRIPTS)
    return mantissa + ("\u202f%" if percent else "")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A table in Markdown, line by line."""
    lines = [head, ["---"] * len(head), *rows]
    return [*("| " + " | ".join(c.replace("|", "\\|") for c in row) + " |" for row in lines), ""]


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
    for directive in (Costs, Versions, Picture):
        app.add_directive(directive.__name__.lower(), directive)
