"""How to cite a chapter: a sentence and BibTeX at its end, and in its head what reference managers read.

Authors, title and date are those of ``CITATION.cff``; the revision is git's.
"""

from __future__ import annotations

import datetime
import functools
import html
import pathlib
import re
import subprocess

import printing
import yaml


@functools.cache
def book(root: pathlib.Path) -> dict:
    """The book's title, its authors, each as (family, given) or (name,), its version and its date."""
    cff = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    authors = [
        (one["family-names"], one.get("given-names", ""))
        if "family-names" in one
        else (one["name"],)
        for one in cff["authors"]
    ]
    date = datetime.date.fromisoformat(str(cff["date-released"]))
    return {"title": cff["title"], "authors": authors, "version": cff["version"], "date": date}


@functools.cache
def revision(root: pathlib.Path) -> str:
    """The revision that the pages are built from, or nothing where git does not know."""
    command = ["git", "-C", str(root), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def edition(root: pathlib.Path) -> str:
    found = revision(root)
    return f"version {book(root)['version']}" + (f", revision {found}" if found else "")


def bibtex(root: pathlib.Path, name: str, title: str, number: str, address: str) -> str:
    """An entry for a chapter."""
    whole = book(root)
    names = [
        ", ".join(author) if len(author) > 1 else f"{{{author[0]}}}" for author in whole["authors"]
    ]

    def kept(text: str) -> str:  # BibTeX's styles would write its capitals small
        return re.sub(r"\b\w*[A-ZÀ-Þ][\w–]*", r"{\g<0>}", text.replace("&", r"\&"))

    fields = {
        "author": " and ".join(names),
        "title": kept(title),
        "booktitle": kept(whole["title"]),
        "chapter": number,
        "year": whole["date"].year,
        "note": edition(root).capitalize(),
        "url": address,
    }
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value]
    return "\n".join([f"@incollection{{{name},", *lines, "}"])


def sentence(root: pathlib.Path, title: str, number: str, address: str) -> str:
    """How a text cites a chapter, as HTML."""
    whole = book(root)
    names = ", ".join(" ".join(reversed(author)) for author in whole["authors"])
    place = f"chapter {number} of" if number else "in"
    text = f"{names}, “{html.escape(title)}”, {place} <em>{html.escape(whole['title'])}</em>"
    text += f", {edition(root)}, {whole['date']:%-d %B %Y}"
    return text + (f", <code>{address}</code>." if address else ".")


def number(app, pagename: str) -> str:
    """The number of a chapter, or nothing."""
    return ".".join(map(str, app.env.toc_secnumbers.get(pagename, {}).get("", ())))


def address(app, pagename: str) -> str:
    """Where a page is published, or nothing where that is not known."""
    site = app.config.ogp_site_url
    return f"{site}{pagename}.html" if site else ""


def offer(app, pagename, templatename, context, doctree) -> None:
    """Say at the end of a chapter how to cite it, and in its head."""
    name, root = pagename.removeprefix("chapters/"), pathlib.Path(app.srcdir)
    if not pagename.startswith("chapters/"):
        return
    title = app.env.titles[pagename].astext()
    here, whole = (title, number(app, pagename), address(app, pagename)), book(root)
    meta = [("title", title), ("inbook_title", whole["title"])]
    meta += [("author", ", ".join(filter(None, author))) for author in whole["authors"]]
    meta += [("publication_date", f"{whole['date']:%Y/%m/%d}"), ("language", app.config.language)]
    if site := app.config.ogp_site_url:
        meta.append(("public_url", address(app, pagename)))
        meta += [("pdf_url", f"{site}{printing.NAME}")] if printing.printed(app) else []
    context["metatags"] += "".join(
        f'<meta name="citation_{key}" content="{html.escape(value)}">\n' for key, value in meta
    )
    context["body"] += (
        '<details id="cite"><summary>Cite this chapter</summary>\n'
        f"<p>{sentence(root, *here)}</p>\n"
        f'<div class="highlight"><pre>{html.escape(bibtex(root, name, *here))}</pre></div>\n'
        "</details>\n"
    )


def setup(app) -> None:
    app.connect("html-page-context", offer, priority=503)  # after the notebook was made of the page
