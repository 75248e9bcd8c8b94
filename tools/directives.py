"""What the book shows of its own execution: its cost and its versions.

- ``{costs}``: seconds and memory of each chapter, and where it ran.
- ``{errata}``, ``{symbols}``: those of each chapter, from ``backmatter/``.
- ``{versions}``: what the numbers were computed with.
"""

from __future__ import annotations

import pathlib
import re

from chapters import title
from docutils import nodes
from leftout import unlinked
from sphinx.util.docutils import SphinxDirective


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


class Pieces(Shown):
    """What each chapter keeps for a page of the book, in ``backmatter/KIND/NAME.md``, with a heading."""

    def lines(self) -> list[str]:
        lines, folder = [], self.root / "backmatter" / self.name
        for name in self.results:
            path = folder / f"{name}.md"
            if path.exists():
                self.env.note_dependency(str(path))
                mark = "##" if self.name == "errata" else "###"
                heading = f"{mark} {title(self.root, name)}"
                lines += [
                    heading,
                    "",
                    f"In {{doc}}`/chapters/{name}`.",
                    "",
                    unlinked(path.read_text("utf-8"), self.config.left_out),
                ]
        return lines


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


def figures(result) -> list[tuple[str, dict]]:
    """The figures of a chapter that has run: name, and what the cell showed in each format."""
    cells = result.executed().cells if result else []
    return [
        (cell.metadata.get("mystnb", {}).get("figure", {}).get("name"), output["data"])
        for cell in cells
        for output in cell.get("outputs", [])
        if "data" in output
    ]


def setup(app) -> None:
    """Called by ``booksite``'s own."""
    app.add_directive("errata", Pieces)
    app.add_directive("symbols", Pieces)
    for directive in (Costs, Versions):
        app.add_directive(directive.__name__.lower(), directive)
