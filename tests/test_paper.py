"""The book on paper: a small one with one of everything is typeset, and read back."""

import re
import shutil
import subprocess

import paper
import printing
import pytest
from chapters import BookError
from conftest import ROOT, ThrowAwayBook
from docutils import nodes

CHAPTER = r"""
# One of everything

An angle is written {math}`\vartheta`, and **bold** stays. See {numref}`fig-line`, {eq}`eq-line`,
{prf:ref}`theorem-line`, {ref}`exercise-line`, {numref}`fig-rise`, {numref}`fig-slope`, {numref}`fig-path`, the
[host](https://example.org/there) and {cite:t}`levesque1993`. {{{index}}}`straight line`

```{code-cell} python
---
tags: [hide-input]
---
import matplotlib.pyplot as plt
import numpy as np

from book import explore, movie, table
from myst_nb import glue
```

```{code-cell} python
δt = 0.25  # step ≤ 1, ∂φ/∂t → 0, ∇·u = 0
line = "a word " * 3  # and a comment that is longer than the ninety or so characters of a line on paper, by far
glue("answer", 41.5)
```

The answer is {glue:text}`answer`, seen at δt → 0.

```{math}
:label: eq-line
y = \gamma x
```

```{code-cell} python
---
tags: [figure, hide-input]
mystnb:
  figure: {name: fig-line, caption: "A line."}
  image: {alt: "A line that rises."}
---
fig, ax = plt.subplots()
ax.plot([0, 1])
not_on_paper = 1
```

```{code-cell} python
---
tags: [figure, hide-input]
mystnb:
  figure: {name: fig-rise, caption: "The line rises."}
---
fig, ax = plt.subplots()
(curve,) = ax.plot([0, 1], [0, 1])
movie(fig, lambda k: curve.set_ydata([0, k / 9]), range(10), alt="A line that rises.")
```

```{code-cell} python
---
tags: [figure, hide-input]
mystnb:
  figure: {name: fig-slope, caption: "Its slope."}
---
def draw(γ):
    fig, ax = plt.subplots()
    ax.plot([0, 1], [0, γ])
    ax.set(xlim=(0, 1), ylim=(0, 3))
    return fig


explore(draw, alt="Slope {γ}", labels={"γ": "slope γ = {:.1f} m"}, γ=[1.0, 2.0, 3.0])
```

```{figure} ../figures/minimization-path.svg
:name: fig-path
:alt: A path.

A path.
```

````{prf:theorem} Straightness
:label: theorem-line
It is straight.
````

````{prf:proof}
Look along it.
````

```{exercise} Bend it
:label: exercise-line
Bend the line.
```

```{solution} exercise-line
It is bent.
```

```{dropdown} On the site only
Opened by a click.
```

```{code-cell} python
table(["row", "value", "what is said of it"], [[f"row {k}", f"$x_{{{k}}}$", "words " * 20] for k in range(60)])
```

```{code-cell} python
from IPython.display import HTML

HTML("<table><thead><tr><th>height</th></tr></thead><tbody><tr><td>8 848 m</td></tr></tbody></table>")
```

```{glossary}
line
  What is straight.
```
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    book = ThrowAwayBook(tmp_path_factory.mktemp("paper"))
    book.write(CHAPTER.replace("{{{index}}}", "{index}"))
    (book.root / "_toc.yml").write_text(
        "format: jb-book\nroot: intro\nparts: [{caption: First things, numbered: true,"
        " chapters: [{file: chapters/page}]}, {caption: Last things, chapters: [{file: sources}]}]\n"
    )
    (book.root / "intro.md").write_text("# A book\n\nIt is small.\n")
    (book.root / "sources.md").write_text("# Sources\n\n```{bibliography}\n```\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GITHUB_REPOSITORY", "somebody/physics")
        return printing.typeset(book.root)[0]


@pytest.fixture(scope="module")
def said(printed):
    """What is on the pages, without the heads and feet that run along."""
    done = subprocess.run(["pdftotext", "-layout", printed, "-"], capture_output=True, text=True)
    return done.stdout


def slow(test):
    return pytest.mark.pdf(pytest.mark.slow(test))


@slow
def test_references_have_the_sites_numbers(said):
    words = " ".join(said.split())
    for reference in ["Fig. 1.1, (1), Theorem 1.1, Exercise 1.1, Fig. 1.2, Fig. 1.3, Fig. 1.4"]:
        assert reference in words
    for title in [
        "Theorem 1.1 (Straightness). It is",
        "Exercise 1.1 (Bend it). Bend",
        "Fig. 1.4 A path.",
        "Solution to Exercise 1.1 (Bend it)",
        "Proof. Look",
    ]:
        assert title in re.sub(r"\s+", " ", words)
    assert "??" not in words


@slow
def test_signs_are_there(said):
    for sign in ["δt = 0.25", "≤", "∂φ/∂t → 0", "∇·u", "41.5", "δt → 0", "8 848 m"]:
        assert sign in said


@slow
def test_what_is_for_the_screen_only_is_not(said):
    for text in ["not_on_paper", "Opened by a click", "import numpy", "IPython.core"]:
        assert text not in said


@slow
def test_what_moves_stands_still(said, printed):
    """Four frames of a movie; an explorable's default with its two ends, each with its value."""
    done = subprocess.run(["pdfimages", "-list", printed], capture_output=True, text=True)
    images = [line for line in done.stdout.splitlines()[2:] if line.split()[2] == "image"]
    assert len(images) == 1 + paper.FRAMES + 3
    values = [f"slope γ = {value} m" for value in ("1.0", "2.0", "3.0")]
    assert all(value in said for value in values)
    for figure in ("fig-rise", "fig-slope"):
        address = f"https://somebody.github.io/physics/chapters/page.html#{figure}"
        assert address in re.sub(r"\s", "", said)


@slow
def test_solutions_come_last(said):
    page = re.search(r"Solution on page\s+(\d+)", said)[1]
    pages = said.split("\f")
    found = [text for text in pages if "It is bent." in text]
    assert len(found) == 1
    assert page in found[0].split()
    assert said.index("It is bent.") > said.index("row 59")


@slow
def test_the_frame_of_a_book(said, printed):
    for text in [
        "Contents",
        "Part I",
        "First things",
        "Chapter 1",
        "Preface",
        "Index",
        "https://example.org/there",
    ]:
        assert text in said
    facts = subprocess.run(["pdfinfo", printed], capture_output=True, text=True).stdout
    assert re.search(r"Title: +Computational physics", facts)
    assert re.search(r"Author: +The authors", facts)
    assert re.search(r"Page size: .*A4", facts)


@slow
def test_a_long_table_breaks(said):
    assert sum("row 1" in text or "row 5" in text for text in said.split("\f")) >= 2


LOG = """\
LaTeX Warning: Reference `fig-nowhere' on page 1 undefined on input line 7.
Missing character: There is no ☃ (U+2603) in font STIXTwoText!
Overfull \\hbox (9.9pt too wide) in paragraph at lines 1--2
\\TU/STIXTwoText(0)/m/n/10 little
Overfull \\hbox (10.1pt too wide) in paragraph at lines 3--4
\\TU/STIXTwoText(0)/m/n/10 much
Overfull \\hbox (30.0pt too wide) in paragraph at lines 5--6
\\TU/DejaVuSansMono(1)/m/n/8 code
LaTeX Warning: There were undefined references.
"""


def test_what_a_log_holds_against_a_book():
    found, code = printing.complaints(LOG)
    assert ["nowhere" in found[0], "undefined references" in found[1], "☃" in found[2]] == [
        True
    ] * 3
    assert found[3:] == ["10.1 pt too wide, in paragraph at lines 3--4: much"]
    assert code == ["30.0 pt too wide, in paragraph at lines 5--6: code"]
    assert printing.complaints("This is LuaHBTeX\nOverfull nothing\n") == ([], [])


@slow
@pytest.mark.parametrize("text", ["a snowman: ☃︎𓀀", "$" + "a" * 200 + "$"])
def test_a_bad_page_ends_it(book, text):
    book.write(f"# A page\n\n{text}\n")
    with pytest.raises(BookError, match=r"Missing character|too wide"):
        printing.typeset(book.root)
    assert not (book.root / "_build" / "html" / printing.NAME).exists()


@slow
def test_students_have_no_solutions(book, monkeypatch):
    monkeypatch.setenv("EDITION", "students")
    exercise = "```{exercise} Bend it\n:label: bend\nBend.\n```\n"
    book.write(f"# A page\n\n{exercise}\n```{{solution}} bend\nIt is bent.\n```\n")
    printed = printing.typeset(book.root)[0]
    assert printed.is_relative_to(book.root / "_build" / "students")
    said = subprocess.run(["pdftotext", printed, "-"], capture_output=True, text=True).stdout
    assert "Exercise 1 (Bend it)" in said
    assert not re.search("[Ss]olution|bent", said)


def test_width_of_a_cell():
    entry = nodes.entry(
        "", nodes.paragraph("", "a ", nodes.math("", r"\frac{a}{b}"), nodes.Text(" 1 234"))
    )
    assert paper.words(entry) == "a mab 1 234"


def test_offered_where_it_is(book):
    """The site offers the book, and tells reference managers, once it was typeset."""
    book.write("# A page\n")
    assert book.build().returncode == 0
    assert printing.NAME not in book.page()
    shutil.copy(ROOT / "figures" / "logo.svg", book.root / "_build" / "html" / printing.NAME)
    assert book.build().returncode == 0
    assert f"../{printing.NAME}" in book.page()
