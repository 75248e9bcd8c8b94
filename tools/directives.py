"""What the book shows of its own execution: its cost, its versions, its pictures.

- ``{costs}``: seconds and memory of each chapter, and where it ran.
- ``{versions}``: what the numbers were computed with.
- ``{picture} NAME FIGURE``: a picture of a chapter, small, that leads to the chapter.
"""

from __future__ import annotations

import base64
import io
import pathlib
import re
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from PIL import Image
from sphinx.util.docutils import SphinxDirective

THUMBNAIL = (560, 360)  # pixels; a card is 280 wide, and screens have two pixels to one


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
        return self.env.book_results

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class Costs(Shown):
    def lines(self) -> list[str]:
        rows, places = [], {}
        for name, result in self.results.items():
            place = f"{result.machine}, {result.date}"
            mark = places.setdefault(place, len(places) + 1)
            row = [result.seconds, result.budget["seconds"], result.cpu_seconds, result.peak_mib]
            row = [f"{number:.0f}" for number in [*row, result.budget["mib"]]]
            rows.append([f"{{doc}}`/chapters/{name}`", *row, str(mark)])
        seconds = sum(result.seconds for result in self.results.values())
        spent = sum(result.cpu_seconds for result in self.results.values())
        rows.append(["all", f"{seconds:.0f}", "", f"{spent:.0f}", "", "", ""])
        head = ["chapter", "time, s", "budget, s", "processor time, s", "memory, MiB"]
        lines = table([*head, "budget, MiB", "where"], rows)
        return lines + [f"{mark}. {place}" for place, mark in places.items()]


class Versions(Shown):
    def lines(self) -> list[str]:
        found: dict[str, dict[str, list[str]]] = {}  # {package: {version: chapters}}
        for name, result in self.results.items():
            for package, version in result.versions.items():
                found.setdefault(package, {}).setdefault(version, []).append(name)

        def wanted(file: str) -> list[str]:
            return re.findall(r"^([\w.+-]+)", (self.root / file).read_text("utf-8"), flags=re.M)

        def rows(names: list[str]) -> list[list[str]]:
            return [[name, "; ".join(self.where(found[name]))] for name in names if name in found]

        packages = ["Python", *sorted(wanted("requirements.in"), key=str.lower)]
        lines = table(["Python package", "version"], rows(packages))
        if system := rows(["libc6", *wanted("apt.txt")]):
            lines += table(["system package", "version"], system)
        return lines

    @staticmethod
    def where(versions: dict[str, list[str]]) -> list[str]:
        """Each version; and, where there are several, the chapters that ran with it."""
        if len(versions) == 1:
            return list(versions)
        return [f"{version} ({', '.join(names)})" for version, names in versions.items()]


class Picture(SphinxDirective):
    required_arguments = 2
    option_spec: ClassVar = {"alt": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        root, (name, figure) = pathlib.Path(self.env.srcdir), self.arguments
        if name not in self.env.book_results:
            raise self.error(f"picture: expected a chapter that has run, got {name!r}")
        notebook = self.env.book_results[name].executed()
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
