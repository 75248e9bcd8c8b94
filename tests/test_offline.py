"""The packed site, opened from disk."""

import shutil
import zipfile

import offline
import pytest
from browser import chromium
from chapters import BookError
from conftest import ROOT
from playwright.sync_api import expect, sync_playwright

PAGE = """\
# Waves

A word that is rare: Brezhnev.  $x^2$

```{code-cell} ipython3
---
tags: [figure]
mystnb: {figure: {name: moved, caption: It moves}, image: {alt: a line}}
---
from book import explore
import matplotlib.pyplot as plt

def draw(n):
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, n])
    ax.set(xlim=(0, 1), ylim=(0, 3))
    return fig

explore(draw, alt="A line to {n}", n=[1, 2, 3])
```
"""


def test_it_works_from_disk(book, tmp_path):
    book.write(PAGE)
    shutil.copytree(ROOT / "_static", book.root / "_static", dirs_exist_ok=True)
    done = book.build()
    assert done.returncode == 0, done.stdout
    site = book.root / "_build" / "html"
    made = offline.pack(site)
    assert offline.pack(site) is None, "nothing has changed"
    zipfile.ZipFile(made).extractall(tmp_path / "elsewhere")
    home, asked, complaints = (tmp_path / "elsewhere" / "book").as_uri(), [], []
    with sync_playwright() as playwright:
        page = chromium(playwright).new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on(
            "console", lambda said: complaints.append(said.text) if said.type == "error" else None
        )
        page.goto(f"{home}/search.html?q=brezhnev")
        expect(page.locator("#search-results a", has_text="Waves")).to_be_visible()
        page.goto(f"{home}/chapters/page.html")
        expect(page.locator("mjx-container")).to_be_visible()
        page.locator(".explorable input").press("End")
        expect(page.locator(".explorable-picture img")).to_have_attribute("alt", "A line to 3")
        assert page.locator("[href$='book.zip']").count() == 0, "it is not in itself"
        page.context.browser.close()
    assert not complaints
    assert not [address for address in asked if not address.startswith((home, "data:", "blob:"))]


def test_nothing_to_pack(tmp_path):
    with pytest.raises(BookError, match="expected the built site"):
        offline.pack(tmp_path)
