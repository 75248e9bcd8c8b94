"""A page's text as plain Markdown, for readers that know neither MyST nor this book.

What Jupyter, VS Code and GitHub show is CommonMark with formulas between dollars.  Numbers, names and
citations are on the page already, so the page is what is translated.
"""

from __future__ import annotations

import base64
import mimetypes
import pathlib
import re
from collections.abc import Callable
from urllib.parse import unquote, urljoin

from bs4 import Tag
from markdownify import ATX, MarkdownConverter

CELL = "\n\n\u241e\n\n"  # a code cell, which no text contains


class Plain(MarkdownConverter):
    """From the site's HTML.

    ``address`` is that of the page, where it is published, or empty: then a reference is its text.
    ``picture`` gives for the source of an image its file.
    """

    def __init__(self, address: str, picture: Callable[[str], pathlib.Path]):
        super().__init__(heading_style=ATX, bullets="-", wrap=True, wrap_width=None)
        self.address, self.picture = address, picture

    def escape(self, text, parent_tags):
        return super().escape(text, parent_tags).replace("$", "\\$")

    def convert_div(self, el, text, parent_tags):
        kinds = el.get("class", [])
        if "cell" in kinds:
            return CELL + text
        if "math" in kinds:
            number = el.find(class_="eqno")
            tag = f" \\tag{{{number.extract().get_text().strip(' ()#')}}}" if number else ""
            return f"\n\n$$\n{formula(el)}{tag}\n$$\n\n"
        return f"\n\n{text}\n\n"

    def convert_span(self, el, text, parent_tags):
        if "math" not in el.get("class", []):
            return text
        tex = formula(el)
        if parent_tags & {"td", "th"}:  # a bar would end the cell
            tex = tex.replace("\\|", "\\Vert ").replace("|", "\\vert ")
        return f"${tex}$"

    def convert_p(self, el, text, parent_tags):
        if "admonition-title" in el.get("class", []):
            text = f"**{' '.join(text.split())}**"
        return super().convert_p(el, text, parent_tags)

    def convert_figcaption(self, el, text, parent_tags):
        return f"\n\n*{text.strip()}*\n\n" if text.strip() else ""

    def convert_a(self, el, text, parent_tags):
        if "headerlink" in el.get("class", []):
            return ""
        target = el.get("href", "")
        if "internal" in el.get("class", []) or target.startswith("#"):
            target = self.address and urljoin(self.address, target)
        if not target or not text.strip():
            return text
        space = " " * text.startswith(" ")  # of a title that begins with a reference
        return f"{space}[{text.strip()}]({target})"

    def convert_img(self, el, text, parent_tags):
        path = self.picture(unquote(el["src"]))
        kind = mimetypes.guess_type(path.name)[0]
        data = base64.b64encode(path.read_bytes()).decode()
        return f"![{el.get('alt', '')}](data:{kind};base64,{data})"


def formula(el: Tag) -> str:
    """The TeX of a formula, without the marks that the site's MathJax looks for."""
    tex = " ".join(el.get_text().split("\n")).strip()
    return re.sub(r"^\\[\[(]|\\[\])]$", "", tex).strip()


def texts(body: Tag, address: str, picture: Callable[[str], pathlib.Path]) -> list[str]:
    """The text before the first code cell of a page, between any two, and after the last; ``body`` is changed."""
    for cell in body.select("div.cell"):  # of which the notebook has all but the captions
        captions = cell.find_all("figcaption")
        cell.clear()
        cell.extend(captions)
    return [text.strip() for text in Plain(address, picture).convert_soup(body).split(CELL.strip())]
