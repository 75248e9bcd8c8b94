"""The front page: what each chapter asks, which leads to which, and one movie at work.

A chapter's front matter holds its card::

    card:
      question: Why does the wake beat?    # not the method
      picture: fig-karman-movie            # a figure of the chapter
      alt: Whirls of alternating sense behind a cylinder.
      after: [mantle-convection]           # chapters to read before, [] if none

- ``{cards}``: the chapters as cards, under the captions of ``_toc.yml``.
- ``{routes}``: a drawing of which chapter leads to which.
- ``{movie} NAME FIGURE``: a chapter's movie.
- ``{worth}``: how many numbers are compared with what.
"""

from __future__ import annotations

import base64
import dataclasses
import functools
import html
import io
import pathlib
import re

import ledger
from chapters import BELOW, BookError, page, parts, read_chapter, title
from directives import Shown, figures
from docutils import nodes
from edition import SOLUTION
from PIL import Image
from ranks import distributed_chapters

THUMBNAIL = (560, 360)  # pixels; a card is 280 wide, and screens have two pixels to one
WORDS_A_MINUTE = 150  # of a text with formulas
ASIDE = re.compile(r"(?:Beyond|Verification|Exercises|Further reading)")  # no part of the main line
# Of the drawing, in pixels: from chapter to chapter, where their names begin, the widest arc.
ROW, LEFT, REACH = 30, 92, 84


@dataclasses.dataclass(frozen=True)
class Card:
    """What the front page says of a chapter."""

    question: str
    picture: str
    alt: str
    after: list[str]


def card(root: pathlib.Path, name: str) -> Card:
    """The card in a chapter's front matter; raises BookError if there is none, or an unfit one."""
    given = read_chapter(root, name).metadata.get("card")
    wanted = [field.name for field in dataclasses.fields(Card)]
    if not isinstance(given, dict) or sorted(given) != sorted(wanted):
        raise BookError(
            f"chapters/{name}.md: expected a `card` with {', '.join(wanted)} in its front matter, got {given!r}"
        )
    return Card(**given)


def minutes(root: pathlib.Path, name: str) -> int:
    """How long the main line of a chapter takes to read."""
    cells = [cell.source for cell in read_chapter(root, name).cells if cell.cell_type != "code"]
    text = re.sub(r"^[`:]{3,}.*$", "", SOLUTION.sub("", "\n".join(cells)), flags=re.M)
    sections = [part for part in re.split(r"^## ", text, flags=re.M) if not ASIDE.match(part)]
    return max(1, round(len(re.findall(r"\w+", " ".join(sections))) / WORDS_A_MINUTE))


class FrontPage(Shown):
    """A directive of the front page; what is wrong with a card is said there."""

    @functools.cached_property
    def cards(self) -> dict[str, Card]:
        try:
            cards = {name: card(self.root, name) for name in self.results}
        except BookError as error:
            raise self.error(str(error)) from None
        for name in self.results:
            self.env.note_dependency(str(page(self.root, name)))
        return cards

    def before(self, name: str) -> list[str]:
        """The chapters of this book that are to be read before another one."""
        return [other for other in self.cards[name].after if other in self.cards]


class Cards(FrontPage):
    def lines(self) -> list[str]:
        lines, self.distributed = [], distributed_chapters(self.root)
        for caption, pages in parts(self.root):
            names = [page.removeprefix(BELOW) for page in pages if page.startswith(BELOW)]
            if not names:
                continue
            lines += [f"### {caption}", ""] if caption else []
            lines += ["`````{only} html", "::::{grid} 1 2 2 2", ":gutter: 3", ""]
            for name in names:
                lines += self.card(name)
            lines += ["::::", "`````", "", "`````{only} latex"]
            lines += [f"- {{doc}}`/chapters/{name}`: {self.cards[name].question}" for name in names]
            lines += ["`````", ""]
        return lines

    def card(self, name: str) -> list[str]:
        card, result = self.cards[name], self.results[name]
        after = ", ".join(title(self.root, other) for other in self.before(name))
        library = "Firedrake" if name in self.distributed else "NumPy"
        cost = f"{minutes(self.root, name)} min to read · {library}, {result.seconds:.0f} s"
        return [
            ":::{grid-item-card}", f":link: chapters/{name}", ":link-type: doc", "",
            f"![{card.alt}](/{self.thumbnail(name).as_posix()})", "",
            f"**{title(self.root, name)}.** {card.question}", "",
            "```{card-footer}", cost + (f" · after *{after}*" if after else ""), "```", ":::", "",
        ]  # fmt: skip

    def thumbnail(self, name: str) -> pathlib.Path:
        """A chapter's picture, small; its path from the root."""
        found = {
            figure: data["image/png"]
            for figure, data in figures(self.results[name])
            if "image/png" in data
        }
        wanted = self.cards[name].picture
        if wanted not in found:
            known = ", ".join(sorted(found))
            raise self.error(
                f"chapters/{name}.md: card: expected a picture ({known}), got {wanted!r}"
            )
        picture = Image.open(io.BytesIO(base64.b64decode(found[wanted]))).convert("RGB")
        picture.thumbnail(THUMBNAIL)
        canvas = Image.new("RGB", THUMBNAIL, "white")
        canvas.paste(picture, [(a - b) // 2 for a, b in zip(THUMBNAIL, picture.size, strict=True)])
        path = pathlib.Path("_build") / "pictures" / f"{name}.png"
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        canvas.quantize(128).save(self.root / path, "PNG", optimize=True)
        return path


class Routes(FrontPage):
    def run(self) -> list[nodes.Node]:
        names = list(self.cards)
        rows = {name: ROW * (k + 0.5) for k, name in enumerate(names)}
        parts = []
        for name in names:
            for other in self.before(name):
                y, z = rows[other], rows[name]
                reach = REACH * min(1, abs(z - y) / (6 * ROW)) ** 0.5
                parts.append(
                    f'<path d="M{LEFT - 14},{y} C{LEFT - 14 - reach:.0f},{y} {LEFT - 14 - reach:.0f},{z}'
                    f' {LEFT - 18},{z}"/><path class="head" d="M{LEFT - 12},{z} l-8,-4 v8 z"/>'
                )
        for name, y in rows.items():
            parts.append(
                f'<a href="chapters/{name}.html"><circle cx="{LEFT - 8}" cy="{y}" r="3"/>'
                f'<text x="{LEFT}" y="{y + 5}">{html.escape(title(self.root, name))}</text></a>'
            )
        size = f"{LEFT + 250} {ROW * len(names)}"
        drawing = (
            f'<svg class="routes" viewBox="0 0 {size}" width="{size.split()[0]}" role="group"'
            ' aria-label="Arrows lead from a chapter to those that build on it.">'
            f"{''.join(parts)}</svg>"
        )
        text = [
            f"- {{doc}}`/chapters/{name}` builds on {', '.join(f'{{doc}}`/chapters/{o}`' for o in before)}."
            for name in names
            if (before := self.before(name))
        ]
        on_paper = self.parse_text_to_nodes("\n".join(["```{only} latex", *text, "```"]))
        return [nodes.raw("", drawing, format="html"), *on_paper]


class Movie(FrontPage):
    required_arguments = 2

    def run(self) -> list[nodes.Node]:
        name, figure = self.arguments
        found = {
            at: data["text/html"]
            for at, data in figures(self.results.get(name))
            if "<video" in data.get("text/html", "")
        }
        if figure not in found:
            known = ", ".join(sorted(found)) or "none"
            raise self.error(f"movie: expected a movie of {name} ({known}), got {figure!r}")
        playing = found[figure].replace("<video", "<video autoplay", 1)
        return [nodes.raw("", playing, format="html")]


class Worth(FrontPage):
    def lines(self) -> list[str]:
        book = ledger.load(self.root)
        kinds = [row.kind for name in self.results for row in book.get(name, {}).values()]
        independent = [f"{kinds.count(kind)} {text}" for kind, text in (
            ("source", "with what a source printed"),
            ("reference", "with an exact or published value"),
            ("check", "with a second way to them"),
        )]  # fmt: skip
        return [
            f"Of {len(kinds)} numbers on these pages, {', '.join(independent)} are compared, and"
            f" {kinds.count('regression')} only with earlier builds: the {{doc}}`ledger </ledger>` says which."
        ]


def setup(app) -> None:
    """Called by ``booksite``'s own."""
    for directive in (Cards, Routes, Movie, Worth):
        app.add_directive(directive.__name__.lower(), directive)
