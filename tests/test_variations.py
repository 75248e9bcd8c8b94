"""What a reader may change holds: the lists fit the chapters, and the runner tells well from wrong."""

import re
import subprocess
import sys
import time

import chapters
import psutil
import pytest
import ranks
import variations
from conftest import ROOT

LISTS = variations.load(ROOT)
QUICK = [name for name in LISTS if name not in ranks.distributed_chapters(ROOT)]
LEAST = 5


@pytest.mark.parametrize("chapter", LISTS)
def test_the_list_fits_the_chapter(chapter):
    assert len(LISTS[chapter]) >= LEAST
    for variation in LISTS[chapter]:
        variations.prepare(ROOT, chapter, variation)


@pytest.fixture(scope="module")
def tried(request):
    """The complaints about the first variation of each chapter that is asked for, two run at once."""
    asked = [
        item.callspec.params["chapter"]
        for item in request.session.items
        if item.name.startswith("test_a_reader_changes_a_number[")
    ]
    chosen = [(chapter, LISTS[chapter][0]) for chapter in asked]
    return dict(zip(asked, variations.try_all(ROOT, chosen), strict=True))


@pytest.mark.parametrize("chapter", QUICK)
def test_a_reader_changes_a_number(tried, chapter):
    assert not tried[chapter], f"{LISTS[chapter][0]}\n" + "\n".join(tried[chapter])


# The runner itself, on a chapter that takes no time.

PAGE = """
# A page

```{code-cell} python
import math
import sys

from book import key_number
```

```{code-cell} python
---
tags: [parameters]
---
n = 100  # terms
γ = 2.0  # their exponent; the end of the line stays
words = [
    "one",
    "two",
]
a, b = 1, 2
```

```{code-cell} python
if γ <= 1:
    raise ValueError(f"expected an exponent γ > 1, got {γ}")
```

```{code-cell} python
def tail(m):
    return sum(k**-γ for k in range(m + 1, 2 * m + 1))

key_number("order", math.log2(tail(n) / tail(2 * n)) - (γ - 1))
key_number("terms", n)
if n == 7:
    print("an unlucky number", file=sys.stderr)
if n == 8:
    math.sqrt(-1)
```

```{code-cell} python
---
tags: [figure]
---
assert n != 9, "no picture of nine"
```
"""

ROWS = """
order: {what: order less the exponent, check: 0, atol: 0.02, why: "sum against integral", always: true}
terms: {what: number of terms, source: 100}
"""


@pytest.fixture
def page(book):
    book.write(PAGE)
    (book.root / "tests/key_numbers/page.yml").write_text(ROWS)
    return book


def test_what_comes_of_a_change(page, capsys):
    line = page.line
    refused = {"message": "expected an exponent γ > 1, got 1"}
    expected = {
        "fewer terms": ({"n": 50, "γ": "3 / 2", "words": "['a']"}, {}, []),
        "no sum": ({"γ": 1}, refused, []),
        "another message": ({"γ": 1}, {"message": "a large γ"}, ["with 'a large γ', got line"]),
        "not refused": ({"n": 60}, refused, ["but it ended well"]),
        "one term": ({"n": 1}, {}, ["order: got -"]),
        "unlucky": ({"n": 7}, {}, ["standard error is not empty:\nan unlucky number", "order: got"]),
        "crash": ({"n": 8}, {}, [f"line {line('math.sqrt')}: ValueError", "order: got"]),
        "not its own": ({"n": 8}, {"message": "math"}, ["expected a ValueError of the chapter"]),
        "drawing": ({"n": 9}, {}, [f"line {line('no picture')}: AssertionError: no picture of nine"]),
    }  # fmt: skip
    chosen = [
        ("page", variations.Variation(what, change, **more))
        for what, (change, more, _) in expected.items()
    ]
    found = variations.try_all(page.root, chosen)
    said = capsys.readouterr().out
    for (what, (_, _, words)), complaints in zip(expected.items(), found, strict=True):
        for word in words:
            assert any(word in complaint for complaint in complaints), (what, complaints)
        assert bool(words) == bool(complaints), (what, complaints)
    assert re.search(r"page: fewer terms \(n = 50, γ = 3 / 2, .*\): ends well, 1 rows met", said)
    assert f"no sum (γ = 1): refused, line {line('raise ValueError')}: ValueError: expected" in said
    assert '    math.sqrt(-1)\n' in said, "the traceback shows the page's line"  # fmt: skip


def test_no_end(page):
    page.write(PAGE.replace("def tail(m):", "while n > 100:\n    pass\ndef tail(m):"))
    started = time.monotonic()
    variation = variations.Variation("more terms", {"n": 200}, limit=3)
    assert variations.try_all(page.root, [("page", variation)]) == [["no end after 3 s"]]
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    "change, complaint",
    [
        ({"m": 1}, "does 0 times"),
        ({"a": 1}, "does 1 times, not in this form"),
        ({"n": "1 +"}, "n: expected a value as Python text, got '1 +'"),
    ],
)
def test_a_list_out_of_date_is_an_error(page, change, complaint):
    with pytest.raises(ValueError, match=r"tests/variations.yml: page: a change") as error:
        variations.prepare(page.root, "page", variations.Variation("a change", change))
    assert complaint in str(error.value)


def test_a_chapter_without_parameters(page):
    page.write("# A page\n\n```{code-cell} python\nn = 1\n```\n")
    with pytest.raises(ValueError, match="one cell tagged 'parameters', the chapter has 0"):
        variations.prepare(page.root, "page", variations.Variation("a change", {"n": 1}))


def test_no_line_moves(page):
    changes = {"words": "('a', 'b')", "γ": 1.5}
    trial = variations.prepare(page.root, "page", variations.Variation("a change", changes))
    before = chapters.code_cells(chapters.page(page.root, "page"))
    for old, new in zip(before, trial.cells, strict=True):
        assert old.source.count("\n") == new.source.count("\n")
    assert "γ = 1.5  # their exponent; the end of the line stays\n" in trial.cells[1].source


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("nobody:\n- {what: a, set: {n: 1}}\n", "yml:1: nobody: no such chapter"),
        ("page:\n  {what: a}\n", "yml:1: page: expected a list"),
        ("page:\n- {what: a}\n", "a: no set"),
        ("page:\n- {what: a, set: {}}\n", "a: nothing is set"),
        ("page:\n- {what: a, set: {n: 1}, tolerance: b}\n", "unknown field tolerance"),
        ("page:\n- {what: a, set: {n: 1, n: 2}}\n", "yml:2: n stands here a second time"),
    ],
)
def test_a_malformed_list_is_refused(page, text, complaint):
    (page.root / "tests/variations.yml").write_text(text)
    with pytest.raises(ValueError) as error:
        variations.load(page.root)
    assert complaint in str(error.value)


def test_sigterm_ends_all(page):
    (page.root / "tests/variations.yml").write_text("page:\n- {what: a, set: {n: 200}}\n")
    asleep = "import subprocess\nsubprocess.run(['sleep', '987'])\ndef tail(m):"
    page.write(PAGE.replace("def tail(m):", asleep))
    command = [sys.executable, str(ROOT / "tools/variations.py"), "--root", str(page.root)]
    runner = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline, family = time.monotonic() + 60, []
    while len(family) < 2 and time.monotonic() < deadline:  # the chapter, and what it started
        time.sleep(0.1)
        family = runner.children(recursive=True)
    runner.terminate()
    assert runner.wait(30) == 143
    assert len(family) == 2
    assert not psutil.wait_procs(family, timeout=10)[1]
