"""How cost grows with size: the list fits the chapters, the runner measures, the page shows it."""

import math

import growth
import pytest
import trials
from chapters import chapter_names
from conftest import ROOT

LISTS = growth.load(ROOT)

PAGE = """
# A page

```{growth}
```

## Code

```{code-cell} python
import time

from book import key_number
```

```{code-cell} python
---
tags: [parameters]
---
n = 3  # terms
```

```{code-cell} python
raise RuntimeError("a cell that is not needed")
```

```{code-cell} python
def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
```
"""

LIST = """
page:
- {what: the square, unit: terms, sizes: [1, 2, 4], count: 10 * size, cells: [def busy], cost: busy(size**2 / 50)}
- {what: the parameter, unit: terms, sizes: [2, 4, 8], parameter: n, cells: [def busy], ready: busy(0.1), cost: busy(n / 50)}
"""


@pytest.fixture
def page(book):
    book.write(PAGE)
    (book.root / "tests" / growth.FILE).write_text(LIST)
    return book


@pytest.mark.parametrize("chapter", LISTS)
def test_the_list_fits_the_chapter(chapter):
    for entry in LISTS[chapter]:
        growth.prepare(ROOT, chapter, entry, entry.sizes[0])


def test_what_is_kept_is_of_this_book():
    kept = trials.load_result(ROOT, growth.RESULT)
    assert set(LISTS) == set(kept) & set(chapter_names(ROOT)), "make bench-growth"
    for name, entries in LISTS.items():
        rows = kept[name]["rows"]
        assert [row["what"] for row in rows] == [entry.what for entry in entries]
        for row in rows:
            assert len(row["count"]) >= growth.LEAST
            assert 0.3 < growth.exponent(row["count"], row["seconds"]) < 3


def test_costs_are_measured_and_shown(page):
    page.write(PAGE.replace('raise RuntimeError("', 'print("'))
    assert page.build().returncode == 0
    assert "not measured yet" in page.words()
    page.write(PAGE)
    said = []
    assert growth.measure(page.root, ["page"], said.append) == []
    square, parameter = trials.load_result(page.root, growth.RESULT)["page"]["rows"]
    assert square["count"] == [10, 20, 40] and parameter["count"] == [2, 4, 8]
    assert growth.exponent(square["count"], square["seconds"]) == pytest.approx(2, abs=0.1)
    assert parameter["seconds"] == pytest.approx([0.04, 0.08, 0.16], rel=0.2)
    assert "terms 10: 0.02 s, 20: 0.08 s, 40: 0.32 s; exponent" in said[0]
    page.write(PAGE.replace('raise RuntimeError("', 'print("'))
    page.build()
    assert "10, 20, 40 terms" in page.words() and "changed since" not in page.words()
    for old, new in [("busy(n / 50)", "busy(n / 25)"), ("def busy", "def lazy")]:
        (page.root / "tests" / growth.FILE).write_text(LIST.replace(old, new))
        assert page.build().returncode == 0
        assert "changed since" in page.words()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("def busy", "def lazy", "page: the square: expected one cell with 'def lazy', there are 0"),
        ("parameter: n", "parameter: m", "page: the parameter: expected the parameter cell to assign m"),
        ("[1, 2, 4]", "[1, 2]", "tests/growth.yml:2: page: the square: expected 3 sizes or more"),
        ("unit: terms, ", "", "page: the square: no unit"),
    ],
)  # fmt: skip
def test_a_list_that_does_not_fit_is_refused(page, old, new, message):
    (page.root / "tests" / growth.FILE).write_text(LIST.replace(old, new))
    with pytest.raises(ValueError) as caught:
        growth.measure(page.root, ["page"], print)
    assert message in str(caught.value)


def test_a_failure_is_named_and_keeps_nothing(page):
    (page.root / "tests" / growth.FILE).write_text(LIST.replace("busy(n / 50)", "lazy(n)"))
    (complaint,) = growth.measure(page.root, ["page"], lambda text: None)
    assert "page: the parameter: line" in complaint and "'lazy' is not defined" in complaint
    assert trials.load_result(page.root, growth.RESULT) == {}


def test_an_exponent_is_a_slope():
    assert growth.exponent([1, 10, 100], [3, 3 * math.sqrt(10), 30]) == pytest.approx(0.5)
