"""On several ranks a chapter meets the same ledger, and a rank that fails is heard."""

import time

import chapters
import pytest
import ranks
from conftest import ROOT

CHEAP = [
    (name, 2) for name in ranks.distributed_chapters(ROOT)[:1]
]  # what `make test` runs too; `make test-mpi` runs all of it
RUNS = [
    pytest.param(name, n, id=f"{name}-{n}", marks=[] if (name, n) in CHEAP else pytest.mark.slow)
    for name in ranks.distributed_chapters(ROOT) for n in ranks.RANKS
]  # fmt: skip

pytestmark = pytest.mark.mpi


@pytest.mark.parametrize("chapter, n", RUNS)
def test_chapter_on_ranks(chapter, n):
    assert ranks.compare(ROOT, chapter, ranks.run(ROOT, chapter, n)) == []


PAGE = """
# A page

```{code-cell} python
from mpi4py import MPI
from book import key_number
```

Text between the cells.

```{code-cell} python
---
tags: [figure]
---
raise RuntimeError("a figure is no part of the script")
```

```{code-cell} python
---
tags: [hide-input]
---
world = MPI.COMM_WORLD
print("a line")
key_number("ranks", world.size, "d")
```
"""

FAILURE = """
```{code-cell} python
def step():
    if world.rank == 1:
        raise ValueError("too hot")

step()
world.barrier()
```
"""


def test_output_comes_once(book, capfd):
    book.write(PAGE)
    assert ranks.run(book.root, "page", 3) == {"ranks": 3}
    assert capfd.readouterr().out == "a line\nranks = 3\n"
    assert not (book.root / "_build/ranks/page-3").exists()


def test_one_rank_fails(book):
    book.write(PAGE + FAILURE)
    start = time.monotonic()
    with pytest.raises(chapters.BookError) as failure:
        ranks.run(book.root, "page", 2)
    assert time.monotonic() - start < 30, "the other rank waited at the barrier"
    line = book.line('raise ValueError("too hot")')
    message = str(failure.value)
    assert f"chapters/page.md:{line}: rank 1 of 2: ValueError: too hot" in message
    assert 'raise ValueError("too hot")\n' in message, "the traceback shows the page's line"
    assert "ended with status 1" in message


def test_a_crash_and_a_deadlock_end(book, monkeypatch):
    kill = "import os, signal\nif world.rank == 1:\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    book.write(PAGE + f"```{{code-cell}} python\n{kill}world.barrier()\n```\n")
    with pytest.raises(chapters.BookError, match=r"page\.md on 2 ranks ended with status"):
        ranks.run(book.root, "page", 2)
    monkeypatch.setattr(ranks, "LIMIT", 0.1)  # of the 60 s that a chapter without a budget has
    book.write(PAGE + "```{code-cell} python\nif world.rank == 1:\n    world.barrier()\n```\n")
    with pytest.raises(chapters.BookError, match=r"no end after 6\.0 s"):
        ranks.run(book.root, "page", 2)


def test_the_ledger_is_met_both_ways(book):
    ledger = book.root / "tests" / "key_numbers" / "page.yml"
    ledger.write_text("ranks: {what: number of ranks, expected: 2}\n")
    assert ranks.compare(book.root, "page", {"ranks": 2}) == []
    assert "expected 2" in ranks.compare(book.root, "page", {"ranks": 3})[0]
    assert "records no such number" in ranks.compare(book.root, "page", {})[0]
    assert "no row" in ranks.compare(book.root, "page", {"ranks": 2, "other": 1})[0]


def test_chapters_are_found_by_their_imports(book):
    for name, code in {"one": "import firedrake as fd", "two": "# import firedrake"}.items():
        book.write(f"# A page\n\n```{{code-cell}} python\n{code}\n```\n", name=name)
    book.contents("one", "two")
    assert ranks.distributed_chapters(book.root) == ["one"]
