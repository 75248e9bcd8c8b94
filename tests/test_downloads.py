"""What readers download: executed notebooks that run in any folder, and the printed book."""

import json
import re

import chapters
import downloads
import inputs
import nbformat
import pytest
import ranks
from conftest import ROOT
from nbclient import NotebookClient


@pytest.fixture(scope="module")
def notebooks(built):
    """The site's notebooks, by chapter."""
    names = chapters.chapter_names(ROOT)
    return {name: nbformat.read(downloads.place(built, name), as_version=4) for name in names}


#: The first chapter that needs no Firedrake.
PLAIN_PYTHON = next(
    name for name in chapters.chapter_names(ROOT) if name not in ranks.distributed_chapters(ROOT)
)
#: Roles, directives, labels and breaks of MyST.
RAW = re.compile(r"\{[a-z:-]+\}`|^ *[`:]{3,}\{|^\([\w-]+\)=$|^\+\+\+|\[@", flags=re.M)
#: Formulas, code and comments, where such things may stand.
ASIDE = re.compile(r"\$\$.*?\$\$|(?<!\\)\$.*?(?<!\\)\$|```\n.*?```", flags=re.S)


@pytest.mark.parametrize("chapter", chapters.chapter_names(ROOT))
def test_notebook_is_complete(notebooks, chapter):
    notebook = notebooks[chapter]
    nbformat.validate(notebook)
    assert any(cell.get("outputs") for cell in notebook.cells), "it was not executed"
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    for text in texts:
        prose = ASIDE.sub("", text)
        assert not RAW.findall(prose), "left in the book's own language"
        assert not re.findall(r"(?<!\\)\$", prose), f"half a formula: {text}"
        assert not re.findall(r"\]\((?!https?:|data:)[^)]*\)", prose), "leads nowhere from there"
    whole = "\n".join(texts)
    tagged = re.findall(r"\\tag\{([\d.]+)\}", whole)
    assert tagged == [str(number) for number in range(1, len(tagged) + 1)]
    shown = re.findall(r"^\*Fig\. ([\d.]+) ", whole, flags=re.M)
    assert shown == sorted(shown, key=lambda n: int(n.split(".")[1])) and len(shown) > 2


PAGE = """\
# One of everything

(here)=
## Here

We met {eq}`law` and {numref}`shown` in {prf:ref}`theorem`; {cite:t}`polyak1964` says *more*
{ref}`here`. It costs 3\\$ and weighs {glue:text}`mass:.1e` kg.

```{index} law
```

```{code-cell} ipython3
from book import key_number
import matplotlib.pyplot as plt
```

$$
a |x| &= b \\\\
c &= d
$$ (law)

- one $x$,
- two.

```{prf:theorem} Of all
:label: theorem
It is $|x| > 0$.
```

```{code-cell} ipython3
---
tags: [figure]
mystnb: {figure: {name: shown, caption: "What is $x$?"}, image: {alt: a line}}
---
key_number("mass", 3.4e-8)
fig, ax = plt.subplots()
ax.plot([1, 2]);
```

| of $x$ | and |
| --- | --- |
| 1 | $\\|y\\|$ |

```{exercise-start} Do it
:label: exercise-it
```
Now.

```{code-cell} ipython3
1 + 1
```

```{exercise-end}
```

```{solution-start} exercise-it
```
See {numref}`exercise-it`.
```{solution-end}
```
"""

PLAIN = [
    "# One of everything",
    "## Here\n\nWe met [(1)](SITE#equation-law) and [Fig. 1](SITE#shown) in [Theorem 1](SITE#theorem);"
    " Polyak [[1964](INTRO#id6)] says *more* [Here](SITE#here). It costs 3\\$ and weighs 3.4 · 10⁻⁸ kg.",
    "from book import",
    "$$\n\\begin{split} a |x| &= b \\\\ c &= d \\end{split} \\tag{1}\n$$\n\n- one $x$,\n- two."
    "\n\n**Theorem 1 (Of all)**\n\nIt is $|x| > 0$.",
    "key_number",
    "*Fig. 1 What is $x$?*\n\n| of $x$ | and |\n| --- | --- |\n| 1 | $\\vert y\\vert $ |"
    "\n\n**Exercise 1 (Do it)**\n\nNow.",
    "1 + 1",
    "**Solution to [Exercise 1 (Do it)](SITE#exercise-it)**\n\nSee [Exercise 1](SITE#exercise-it).",
]


def test_text_is_plain_markdown(book, monkeypatch):
    """What knows no MyST shows the numbers, names and formulas that the page has."""
    monkeypatch.setenv("GITHUB_REPOSITORY", "owner/name")
    book.write(PAGE)
    (book.root / "tests/key_numbers/page.yml").write_text("mass: {expected: 3.4e-8, why: it is}\n")
    done = book.build()
    assert done.returncode == 0, done.stdout
    notebook = nbformat.read(downloads.place(book.root / "_build/html", "page"), as_version=4)
    home = "https://owner.github.io/name/"
    for cell, text in zip(notebook.cells[1:], PLAIN, strict=True):
        text = text.replace("SITE", f"{home}chapters/page.html").replace(
            "INTRO", f"{home}intro.html"
        )
        if cell.cell_type == "markdown":
            assert cell.source.replace("\u2009", " ") == text
        else:
            assert cell.source.startswith(text)


def test_notebook_runs_from_an_empty_folder(notebooks, tmp_path, monkeypatch):
    """A chapter that imports the helper finds it, though nothing else of the book is there."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    notebook = notebooks[PLAIN_PYTHON]
    notebook.cells = notebook.cells[:12]
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    assert (tmp_path / "book.py").read_text() == (ROOT / "chapters" / "book.py").read_text()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    assert len(ran) > 2


def test_notebook_keeps_a_helper_that_is_there(notebooks, tmp_path):
    """A reader's own changes to the helper are not overwritten."""
    first = notebooks[PLAIN_PYTHON].cells[0]
    (tmp_path / "book.py").write_text("# mine\n")
    notebook = nbformat.v4.new_notebook(cells=[first])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": tmp_path}}).execute()
    assert (tmp_path / "book.py").read_text() == "# mine\n"


def test_companions_are_text():
    """What a notebook brings along must fit into it: text, and not much."""
    for name in chapters.chapter_names(ROOT):
        companions = inputs.chapter(ROOT, name).contents
        assert "book.py" in companions
        assert len(json.dumps({k: v.decode() for k, v in companions.items()})) < 200_000
