"""The students' edition: nothing of a solution in any published file."""

import pathlib
import subprocess

import chapters
import nbformat
import pytest
from bs4 import BeautifulSoup

PAGE = """\
# A page

```{code-cell} ipython3
from book import key_number
import matplotlib.pyplot as plt
key_number("seen", 1.5)
```

```{exercise-start} Think
:label: exercise-think
```
How many?

```{code-cell} ipython3
print("asked" + " aloud")
```

```{exercise-end}
```

```{solution-start} exercise-think
:class: dropdown
```
It is an okapi, as {cite:t}`polyak1964` says, and {numref}`fig-animal` shows.

```{index} okapi
```

```{code-cell} ipython3
---
tags: [figure]
mystnb: {figure: {name: fig-animal, caption: The okapi}, image: {alt: an okapi}}
---
key_number("stripes", 42.5)
okapi = plt.subplots()[0]
```

```{solution-end}
```

:::{solution} exercise-think
No okapi.
:::

## After it

The text may quote {glue:text}`stripes:.1f` of them.
"""

LEDGER = """\
seen: {expected: 1.5, what: what is seen, why: it is seen}
stripes: {expected: 42.5, what: stripes of the okapi, why: they were counted}
"""


def published(root: pathlib.Path) -> dict[str, str]:
    """What any file of the site says, by its path, and the names of all."""
    site = chapters.folder(root) / "_build" / "html"
    return {
        path.relative_to(site).as_posix(): path.read_bytes().decode("utf-8", "ignore")
        for path in site.rglob("*")
        if path.is_file()
    }


def test_no_solution_is_published(book, monkeypatch):
    book.write(PAGE)
    (book.root / "tests/key_numbers/page.yml").write_text(LEDGER)
    toc = (book.root / "_toc.yml").read_text().replace("]", ", {file: ledger}]")
    (book.root / "_toc.yml").write_text(toc)
    (book.root / "ledger.md").write_text(
        "# Ledger\n\n## All\n\n```{ledger}\n```\n\n```{kinds}\n```\n"
    )

    whole = book.build()
    assert whole.returncode == 0, whole.stdout
    files = published(book.root)
    found = {name for name, text in files.items() if "okapi" in text}
    assert found >= {  # so that what is looked for below can be found
        "chapters/page.html", "_sources/chapters/page.md", "notebooks/page.ipynb", "ledger.html",
        "searchindex.js", "genindex.html",
    }  # fmt: skip

    monkeypatch.setenv("EDITION", "students")
    students = book.build()
    assert students.returncode == 0, students.stdout
    files = published(book.root)
    assert len(files) > 20
    for name, text in files.items():
        assert "okapi" not in name + text, f"a solution in {name}"
    page = BeautifulSoup(files["chapters/page.html"], "html.parser").find("article").get_text()
    assert "How many?" in page and "asked aloud" in page and "quote 42.5 of them" in page
    notebook = nbformat.reads(files["notebooks/page.ipynb"], as_version=4)
    code = [cell.source for cell in notebook.cells[1:] if cell.cell_type == "code"]
    assert len(code) == 2 and 'print("asked' in code[1]
    sheet = BeautifulSoup(files["problems/page.html"], "html.parser").find("main").get_text()
    assert "Exercise 1  (Think)" in sheet and "How many?" in sheet and 'print("asked' in sheet
    assert "seen" in files["ledger.html"] and "42.5" not in files["ledger.html"]


def test_an_edition_there_is_not(book, monkeypatch):
    command = chapters.build_command(book.root)
    monkeypatch.setenv("EDITION", "teachers")
    with pytest.raises(chapters.BookError, match="expected full or students, got 'teachers'"):
        chapters.folder(book.root)
    for refused in (
        command,
        ["make", "-n", "-C", str(chapters.ROOT), "book"],
    ):  # before anything runs
        done = subprocess.run(refused, capture_output=True, text=True)
        assert done.returncode != 0
        assert "EDITION: expected full or students, got 'teachers'" in done.stdout + done.stderr
