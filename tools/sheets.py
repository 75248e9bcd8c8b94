"""A chapter's exercises as a sheet to print, ``problems/NAME.html``: their text, without solutions."""

from __future__ import annotations

import html
import pathlib
from urllib.parse import urljoin

import cite
from bs4 import Tag

SHEET = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Exercises: {title}</title>
<style>
body {{ font: 1.05rem/1.5 "STIX Two Text", "Times New Roman", Times, serif; max-width: 42rem; margin: 2rem auto;
  padding: 0 1rem; }}
h1 {{ font-size: 1.6rem; line-height: 1.2; }}
.exercise {{ margin-top: 2rem; }}
.exercise p:first-child {{ break-after: avoid; }}
.admonition-title {{ font-weight: bold; }}
.eqno {{ float: right; }}
.math {{ overflow-x: auto; }}
pre {{ font-size: 0.85rem; overflow-x: auto; white-space: pre-wrap; }}
footer {{ margin-top: 3rem; font-size: 0.85rem; }}
@media print {{ a {{ color: inherit; text-decoration: none; }} }}
</style>
<script>window.MathJax = {{}}</script>
<script defer src="{static}/mathjax/tex-chtml.js"></script>
</head>
<body>
<main>
<h1>{title}: exercises</h1>
{exercises}
</main>
<footer>{source}</footer>
</body>
</html>
"""


def place(out: pathlib.Path, name: str) -> pathlib.Path:
    """Where the site keeps a chapter's sheet."""
    return out / "problems" / f"{name}.html"


def write(app, pagename: str, body: Tag) -> str | None:
    """Write the sheet of a chapter, whose page's text is ``body``, which is changed.

    Returns its address within the site, or None if the chapter has no exercises.
    """
    exercises = body.select("div.exercise")
    if not exercises:
        return None
    path = place(pathlib.Path(app.outdir), pagename.removeprefix("chapters/"))
    address = path.relative_to(app.outdir).as_posix()
    up = "../" * address.count("/")
    for exercise in exercises:
        for mark in exercise.select(".headerlink, .cell_output, summary"):
            mark.decompose()
        for link in exercise.select("a.internal[href]"):
            link["href"] = urljoin(f"{up}{pagename}.html", link["href"])
    title = app.env.titles[pagename].astext()
    here = title, cite.number(app, pagename), cite.address(app, pagename)
    source = cite.sentence(pathlib.Path(app.srcdir), *here)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        SHEET.format(
            language=app.config.language, title=html.escape(title), static=f"{up}_static",
            exercises="\n".join(map(str, exercises)), source=source,
        ),
        "utf-8",
    )  # fmt: skip
    return address
