"""The ledger as the book shows it: which kinds of rows there are, their numbers, what they catch.

- ``{kinds}``: how many rows of each kind each chapter has.
- ``{ledger} NAME``: a chapter's key numbers beside what they are compared with, those that the build
  compares with itself closed below; all chapters, with headings, without NAME.
- ``{mutants}``: the deliberate mistakes that were tried, and which row caught each.
- ``{growth}``: how the cost of each chapter's own work grows with its size.
"""

from __future__ import annotations

import edition
import growth
import ledger
import mutants
import trials
from chapters import read_chapter, title
from directives import Shown, table
from docutils import nodes
from keynumbers import typeset

SHOWN_ROWS = 3  # of those that catch a mistake
CAUGHT_BY = {  # what a page says of each verdict
    mutants.REGRESSION: "not caught: only a regression notices,",
    mutants.SURVIVED: "not caught",
    mutants.CRASHED: "not counted: it crashes",
    mutants.LATE: "not counted: it does not end",
}


def label(chapter: str, number: str) -> str:
    """The label of the cell that records a number."""
    return f"{chapter}-number-{number.encode().hex()}"  # Sphinx minds neither case nor accents


def mark_numbers(app, doctree) -> None:
    """Give each cell that records a key number a label, for the ledger to lead to."""
    name = app.env.docname.removeprefix("chapters/")
    result = app.env.book_results.get(name)
    cells = result.cells if result else {}
    numbers: dict[int, list[str]] = {}
    for number, index in cells.items():
        numbers.setdefault(index, []).append(number)
    domain = app.env.get_domain("std")
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") == "cell_code":
            for number in numbers.get(cell["cell_index"], []):
                anchor = f"number-{number}"  # docutils' own ids have no other letters than a to z
                cell["ids"].append(anchor)
                domain.anonlabels[label(name, number).lower()] = (app.env.docname, anchor)
                domain.labels[label(name, number).lower()] = (app.env.docname, anchor, number)


def closed(title: str, lines: list[str]) -> list[str]:
    """Lines that a reader opens on demand."""
    return [f"````{{dropdown}} {title}", *lines, "````", ""]


def counted(number: int, things: str) -> str:
    """``"1 row"``, ``"2 rows"``."""
    return f"{number} {things}" if number != 1 else f"1 {things.removesuffix('s')}"


class Rows(Shown):
    """A directive that shows the ledger."""

    @property
    def book(self) -> dict[str, dict[str, ledger.Row]]:
        return ledger.load(self.root)

    def numbers(self, name: str) -> list[str]:
        """The key numbers of a chapter whose cells are on its page."""
        hidden = edition.hidden_cells(read_chapter(self.root, name))
        return [number for number, cell in self.results[name].cells.items() if cell not in hidden]


class Kinds(Rows):
    def lines(self) -> list[str]:
        chapters, rows = self.book, []
        for name in self.results:
            kinds = [row.kind for row in chapters.get(name, {}).values()]
            rows.append([len(kinds), *(kinds.count(kind) for kind in ledger.KINDS)])
        names = [f"{{doc}}`/chapters/{name}`" for name in self.results]
        rows.append([sum(column) for column in zip(*rows, strict=True)])
        text = [[name, *map(str, row)] for name, row in zip([*names, "all"], rows, strict=True)]
        return table(["chapter", "rows", *ledger.KINDS], text)


class Ledger(Rows):
    optional_arguments = 1

    def lines(self) -> list[str]:
        chapters, lines = self.book, []
        for name in self.arguments or list(self.results):
            if name not in self.results:
                known = ", ".join(self.results)
                raise self.error(f"ledger: expected a chapter ({known}), got {name!r}")
            if not self.arguments:
                lines += [f"### {title(self.root, name)}", "", f"In {{doc}}`/chapters/{name}`.", ""]
            lines += self.tables(name, chapters.get(name, {}))
        return lines

    def tables(self, name: str, rows: dict[str, ledger.Row]) -> list[str]:
        numbers = self.numbers(name)
        unknown = {n: ledger.Row(what=f"`{n}` (no row)", expected=float("nan")) for n in numbers}
        rows = {number: rows.get(number, unknown[number]) for number in numbers}
        independent = [n for n in numbers if rows[n].kind in ledger.INDEPENDENT]
        head = ["number", "source", "reference or bound", "here", "difference", "passed"]
        lines = table(head, [self.row(name, number, rows[number]) for number in independent])
        if others := [n for n in numbers if n not in independent]:
            head = ["number", "source", "before", "here", "difference", "passed"]
            inside = table(head, [self.row(name, number, rows[number]) for number in others])
            lines += closed(
                f"{counted(len(others), 'regressions')}: compared with earlier builds", inside
            )
        return lines

    def row(self, name: str, number: str, row: ledger.Row) -> list[str]:
        result = self.results[name]
        value, fmt = result.key_numbers[number], result.formats[number]

        def shown(x) -> str:
            try:
                return "" if x is None else typeset(format(x, fmt))
            except ValueError:
                raise self.error(
                    f"tests/key_numbers/{name}.yml: {number}: expected a number that the format {fmt!r} can show, got {x!r}"
                ) from None

        expected = []
        if row.kind == "reference":
            cite = " (exact)" if row.cite == "exact" else f" {{cite}}`{row.cite}`"
            expected.append(shown(row.reference) + cite)
        elif row.kind != "source" and row.target is not None:
            expected.append(shown(row.target))
        signs = {"min": "≥", "max": "≤"}
        expected += [f"{signs[k]} {typeset(f'{bound:g}')}" for k, bound in row.bounds.items()]
        difference = ""
        if row.target is not None:
            difference = abs(value - row.target) / (abs(row.target) or 1)
            difference = typeset(f"{difference:.1e}") if difference else "0"
        here = f"{{ref}}`{shown(value)} <{label(name, number)}>`"
        passed = "✓" if row.complaint(value) is None else "✗"
        return [row.what, shown(row.source), ", ".join(expected), here, difference, passed]


class Mutants(Rows):
    def lines(self) -> list[str]:
        kept, lists = trials.load_result(self.root, mutants.RESULT), mutants.load(self.root)
        self.env.note_dependency(str(self.root / "tests" / mutants.RESULT))
        summary, details = [], []
        for name in self.results:
            link = f"{{doc}}`/chapters/{name}`"
            if name not in kept:
                summary.append([link, "none tried yet", "", "", "", ""])
                continue
            result = kept[name]
            verdicts = [mutants.Verdict(**verdict) for verdict in result["mutants"]]
            found = [verdict.verdict for verdict in verdicts]
            caught = found.count(mutants.CAUGHT)
            changed = result["digest"] != mutants.digest(self.root, name, lists.get(name))
            when = f"{result['date']}, `{result['revision']}`" + ", **changed since**" * changed
            missed = len(found) - caught - found.count(mutants.REGRESSION)
            row = [len(found), caught, found.count(mutants.REGRESSION), missed]
            summary.append([link, *map(str, row), when])
            named = {m.what: m.row for m in lists[name].mutants} if name in lists else {}
            links = {row: label(name, row) for row in self.numbers(name)}
            rows = [[v.what, caught_by(v, named.get(v.what), links)] for v in verdicts]
            heading = f"{title(self.root, name)}: {caught} of {len(found)} caught"
            details += closed(heading, table(["mistake", "caught by"], rows))
        head = ["chapter", "mistakes", "caught", "only by a regression", "not caught", "tried"]
        return table(head, summary) + details


def caught_by(verdict: mutants.Verdict, first: str | None, links: dict[str, str]) -> str:
    """What caught a mistake, the row ``first`` before others; or why nothing did.

    ``links`` holds the label of each row that a page shows.
    """
    names = sorted(verdict.rows, key=lambda row: row != first)  # stable: the rest as it was
    rows = [
        (f"{{ref}}`{row} <{links[row]}>`" if row in links else f"`{row}`")
        + f" ({verdict.rows[row]})"
        for row in names[:SHOWN_ROWS]
    ]
    if len(names) > SHOWN_ROWS:
        rows.append(f"and {len(names) - SHOWN_ROWS} more")
    if verdict.verdict == mutants.CAUGHT:
        return ", ".join(rows) or f"the chapter's own check, “{verdict.error.partition(': ')[2]}”"
    text = CAUGHT_BY[verdict.verdict]
    if verdict.verdict == mutants.REGRESSION:
        text += " " + ", ".join(rows)
    return text + (f": {verdict.reason}" if verdict.reason else "")


class Growth(Shown):
    def lines(self) -> list[str]:
        kept, lists = trials.load_result(self.root, growth.RESULT), growth.load(self.root)
        self.env.note_dependency(str(self.root / "tests" / growth.RESULT))
        rows, places = [], {}
        for name in self.results:
            link = f"{{doc}}`/chapters/{name}`"
            if name not in kept:
                rows.append([link, "not measured yet", "", "", "", ""])
                continue
            result = kept[name]
            changed = result["digest"] != growth.digest(self.root, name, lists.get(name, []))
            place = f"{result['machine']}, {result['date']}, `{result['revision']}`"
            mark = str(places.setdefault(place, len(places) + 1)) + ", **changed since**" * changed
            for row in result["rows"]:
                count, seconds = row["count"], row["seconds"]
                sizes = ", ".join(f"{n:,.0f}".replace(",", "\u202f") for n in count)
                costs = ", ".join(typeset(f"{s:.2g}") for s in seconds)
                slope = f"{growth.exponent(count, seconds):.2f}"
                rows.append([link, row["what"], f"{sizes} {row['unit']}", costs, slope, mark])
        head = ["chapter", "what", "size", "processor time, s", "exponent", "where"]
        return table(head, rows) + [f"{mark}. {place}" for place, mark in places.items()]


def setup(app) -> None:
    """Called by ``booksite``'s own."""
    for directive in (Kinds, Ledger, Mutants, Growth):
        app.add_directive(directive.__name__.lower(), directive)
    app.connect("doctree-read", mark_numbers)
