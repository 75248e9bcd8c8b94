"""How to cite a chapter, for readers and for what they keep their references with."""

import re

import cite
import yaml
from bs4 import BeautifulSoup
from conftest import ROOT
from pybtex.database import parse_string

SITE = "https://owner.github.io/name/"


def test_a_page_says_how_to_cite_it(book, monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    authors = [{"family-names": "Noether", "given-names": "Emmy"}, {"name": "The other authors"}]
    cff = {
        "title": "On <all> of Physics",
        "authors": authors,
        "version": "7",
        "date-released": "2026-01-31",
    }
    (book.root / "CITATION.cff").write_text(yaml.safe_dump(cff))
    book.write("# What RATTLE & Kármán do\n\nNothing.\n")
    done = book.build()
    assert done.returncode == 0, done.stdout
    page = BeautifulSoup(book.page(), "html.parser")

    found = page.find(id="cite")
    words = " ".join(found.p.get_text().split())
    address = SITE + "chapters/page.html"
    assert words == (
        "Emmy Noether, The other authors, “What RATTLE & Kármán do”, in On <all> of Physics, version 7,"
        f" 31 January 2026, {address}."
    )
    entry = parse_string(found.pre.get_text(), "bibtex").entries["page"]
    assert [str(person) for person in entry.persons["author"]] == [
        "Noether, Emmy",
        "{The other authors}",
    ]
    assert re.sub("[{}]", "", entry.fields["title"]) == r"What RATTLE \& Kármán do"
    assert "{RATTLE}" in entry.fields["title"], "styles write titles in small letters"
    assert (entry.fields["year"], entry.fields["url"]) == ("2026", address)

    metas = page.find_all("meta", attrs={"name": re.compile("^citation_")})
    told = [(meta["name"].removeprefix("citation_"), meta["content"]) for meta in metas]
    assert told == [
        ("title", "What RATTLE & Kármán do"), ("inbook_title", "On <all> of Physics"),
        ("author", "Noether, Emmy"), ("author", "The other authors"), ("publication_date", "2026/01/31"),
        ("language", "en-GB"), ("public_url", address),
    ]  # fmt: skip


def test_the_revision_is_gits(book):
    assert re.fullmatch(r"version [\d.]+, revision [0-9a-f]{7,}", cite.edition(ROOT))
    assert re.fullmatch(r"version [\d.]+", cite.edition(book.root)), "no repository, no revision"
