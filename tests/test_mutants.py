"""What the checks can catch: the lists fit the chapters, and only what is independent counts."""

import json
import subprocess
import sys
import time

import mutants
import psutil
import pytest
import trials
from conftest import ROOT

LISTS = mutants.load(ROOT)
LEAST = 10


@pytest.mark.parametrize("chapter", LISTS)
def test_the_list_fits_the_chapter(chapter):
    assert len(LISTS[chapter].mutants) >= LEAST
    mutants.prepare(ROOT, chapter, LISTS[chapter])


# The runner itself, on a chapter that takes no time.

PAGE = """
# A page

```{code-cell} python
import math

from book import key_number
```

```{code-cell} python
---
tags: [parameters]
---
n = 1000  # terms
```

```{code-cell} python
class Lost(Exception):
    pass

def total(m):
    s = 0.0
    for k in range(1, m + 1):
        s += k**-2.0
    return s

rest = total(2 * n) - total(n)
if rest <= 0:
    raise Lost("the rest is negative")
if rest > 9:
    raise RuntimeError("the rest is large")
key_number("order", math.log2(rest / (total(4 * n) - total(2 * n))))
key_number("sum", total(n))
key_number("terms", len(range(n)))
key_number("half", math.sqrt(0.25))
```

```{code-cell} python
---
tags: [figure]
---
raise RuntimeError("a drawing is left out")
```
"""

ROWS = """
order: {what: order of the rest, check: 1, atol: 0.02, why: "sum against integral"}
sum: {what: sum, reference: 1.6449340668482264, cite: exact, atol: 0.011, why: the rest is 1/n}
terms: {what: number of terms, source: 1000}
half: {what: a half, expected: 0.5}
"""

LIST = """
page:
  cheap: {n: 100}
  limit: 5
  mutants:
  - {what: power, replace: "k**-2.0", with: "k**-3.0", row: order}
  - {what: sign, replace: "k**-2.0", with: "-(k**-2.0)", message: rest is negative}
  - {what: factor, replace: "k**-2.0", with: "99999 * k**-2.0", message: rest is large}
  - {what: a term less, replace: "range(1, m + 1)", with: "range(1, m)", survives: within the rest}
  - {what: other terms, replace: "len(range(n))", with: "5", survives: the row is not met by cheap parameters}
  - {what: no half, replace: "0.25", with: "0.36", survives: only a regression knows}
  - {what: a name, replace: "return s", with: "return t", survives: a crash}
  - {what: not finite, replace: "return s", with: "return math.nan", survives: a crash}
  - {what: late crash, replace: "len(range(n))", with: "[].pop()", survives: a crash}
  - {what: wrong and crash, replace: "math.log2(rest", with: "math.log2(8 * rest", row: order}
  - {what: no end, replace: "return s", with: "return total(m) if pow(7, 7**9) else 0", survives: no end}
"""


@pytest.fixture
def page(book):
    book.write(PAGE)
    (book.root / "tests/key_numbers/page.yml").write_text(ROWS)
    (book.root / "tests/mutants.yml").write_text(LIST)
    return book


def digest(root) -> str:
    return mutants.digest(root, "page", mutants.load(root)["page"])


def test_what_is_caught(page, capsys):
    (page.root / "tests/mutants.yml").write_text(
        LIST.replace("pow(7, 7**9)", "any(iter(int, 1))")  # for ever
    )
    kept = {"other": {"date": "2026-01-01"}}
    (page.root / "tests/mutants-result.json").write_text(json.dumps(kept))
    assert mutants.try_all(page.root, ["page"]) == []
    result = trials.load_result(page.root, mutants.RESULT)
    assert result["other"] == kept["other"], "only the chapters that ran are updated"
    assert result["page"]["digest"] == digest(page.root)
    assert result["page"]["rows"] == {"source": 0, "reference": 1, "check": 1, "regression": 1}
    found = {m["what"]: (m["verdict"], m["rows"]) for m in result["page"]["mutants"]}
    assert found == {
        "power": ("caught", {"sum": "reference", "order": "check"}),
        "sign": ("caught", {}),
        "factor": ("caught", {}),
        "a term less": ("survived", {}),
        "other terms": ("survived", {}),
        "no half": ("only a regression", {"half": "regression"}),
        "a name": ("crashed", {}),
        "not finite": ("crashed", {}),
        "late crash": ("crashed", {}),
        "wrong and crash": ("caught", {"order": "check"}),
        "no end": ("no end", {}),
    }
    said = capsys.readouterr().out
    assert "page: unchanged, 3 of 4 rows met" in said
    assert "power: caught by order (check) and 1 more (" in said
    assert f"sign: caught by the chapter: line {page.line('raise Lost')}: Lost: the rest" in said
    assert "no half: only a regression by half (regression); only a regression knows" in said
    assert "no end after 5 s" in said
    table = mutants.table("page", result["page"], mutants.load(page.root)["page"])
    assert table[0] == "page: 4 of 11 caught; rows that count: 1 reference, 1 check, 1 regression"
    assert len(table) == 12


@pytest.mark.parametrize(
    "mutant, verdict, complaint",
    [
        ({"row": "a"}, ("caught", {"a": "check", "b": "check"}), None),
        ({"row": "a"}, ("caught", {"b": "check"}), "not by a"),
        ({"row": "a"}, ("survived", {}), "survived"),
        ({"row": "a"}, ("crashed", {}), "crashed"),
        ({"row": "a"}, ("no end", {}), "no end"),
        ({"row": "a"}, ("only a regression", {"a": "regression"}), "only a regression"),
        ({"message": "cold"}, ("caught", {}, "line 3: ValueError: too hot"), "the message 'cold'"),
        ({"message": "hot"}, ("caught", {}, "line 3: ValueError: too hot"), None),
        ({"survives": "it is small"}, ("survived", {}), None),
        ({"survives": "it is small"}, ("crashed", {}), None),
        ({"survives": "it is small"}, ("caught", {"a": "check"}), "says that it survives"),
    ],
)
def test_the_list_says_what_is_expected(mutant, verdict, complaint):
    found = mutants.Verdict("a mistake", *verdict)
    answer = mutants.unexpected(mutants.Mutant("a mistake", "", "", **mutant), found)
    assert (answer is None) if complaint is None else complaint in answer


@pytest.mark.parametrize(
    "entry, complaint",
    [
        ("replace: k**-4.0, with: k, row: order", "it is there 0 times"),
        ("replace: total(, with: k, row: order", "it is there 6 times"),
        ("replace: a drawing, with: k, row: order", "it is there 0 times"),
        ("replace: return s, with: return (, row: order", "not Python any more"),
        ("replace: return s, with: return, row: other", "row other is not in the ledger"),
        ("replace: return s, with: return, row: half", "row half is a regression"),
        ("replace: return s, with: return", "expected one of row, message, survives"),
        ("replace: return s, with: return, row: sum, survives: a", "expected one of"),
        ("replace: return s, with: return, rows: sum", "unknown field rows"),
        ("replace: return s, row: sum", "no with"),
    ],
)
def test_a_list_out_of_date_is_an_error(page, entry, complaint):
    (page.root / "tests/mutants.yml").write_text(f"page: {{mutants: [{{what: a, {entry}}}]}}\n")
    with pytest.raises(ValueError, match=r"tests/mutants\.yml") as error:
        mutants.try_all(page.root, ["page"])
    assert complaint in str(error.value)


def test_an_unchanged_chapter_must_end_well(page):
    page.write(PAGE.replace("return s", "return t"))
    (page.root / "tests/mutants.yml").write_text(LIST.replace("return s", "return t"))
    (complaint,) = mutants.try_all(page.root, ["page"])
    assert "unchanged, it does not end well" in complaint
    assert "NameError" in complaint
    assert trials.load_result(page.root, mutants.RESULT) == {}


@pytest.mark.parametrize(
    "where, old, new, changed",
    [
        ("chapters/page.md", "s += k", "s = s + k", True),
        ("tests/key_numbers/page.yml", "atol: 0.02", "atol: 0.2", True),
        ("tests/mutants.yml", "what: power", "what: a power", True),
        ("chapters/page.md", "# A page", "# Another page", False),
        ("chapters/page.md", "a drawing is", "drawings are", False),
        ("tests/key_numbers/page.yml", "what: sum", "what: the sum", False),
    ],
)
def test_a_result_knows_what_it_is_of(page, where, old, new, changed):
    before = digest(page.root)
    file = page.root / where
    file.write_text(file.read_text().replace(old, new, 1))
    assert (digest(page.root) != before) == changed


def test_an_interrupted_run_keeps_what_was(page):
    kept = page.root / "tests/mutants-result.json"
    kept.write_text('{"page": "as it was"}')
    sleep = "return __import__('time').sleep(987)"
    one = f'page: {{mutants: [{{what: a, replace: return s, with: "{sleep}", row: sum}}]}}\n'
    (page.root / "tests/mutants.yml").write_text(one)
    command = [sys.executable, str(ROOT / "tools/mutants.py"), "--root", str(page.root)]
    runner = psutil.Popen(command, stdout=subprocess.PIPE, text=True)
    assert "unchanged" in runner.stdout.readline()
    deadline, family = time.monotonic() + 60, []
    while not family and time.monotonic() < deadline:
        time.sleep(0.1)
        family = runner.children(recursive=True)
    runner.terminate()
    assert runner.wait(30) == 143
    assert family
    assert not psutil.wait_procs(family, timeout=10)[1]
    assert kept.read_text() == '{"page": "as it was"}'
    assert not list(kept.parent.glob("*.partial"))


def test_the_page_shows_what_is_caught(page):
    head = "# A page\n\n```{mutants}\n```\n\n```{kinds}\n```\n\n```{ledger} page\n```\n\n"
    page.write(
        head
        + PAGE.replace("# A page", "## Code").replace('raise RuntimeError("a dr', 'print("a dr')
    )
    built = page.build()
    assert built.returncode == 0, built.stdout
    assert "none tried yet" in page.words()
    rows = {kind: 0 for kind in ("source", "reference", "check", "regression")}
    verdicts = [
        mutants.Verdict("power", mutants.CAUGHT, {"order": "check", "sum": "reference"}),
        mutants.Verdict("half", mutants.REGRESSION, {"half": "regression"}, None, "no other knows"),
        mutants.Verdict("sign", mutants.CAUGHT, {}, "line 9: Lost: the rest is negative"),
    ]
    result = {"date": "2026-01-31", "revision": "abc", "digest": "old", "rows": rows}
    result["mutants"] = [vars(verdict) for verdict in verdicts]
    trials.keep(page.root, mutants.RESULT, "page", result)
    built = page.build()
    assert built.returncode == 0, built.stdout
    words = page.words()
    assert "2026-01-31, abc, changed since" in words
    assert "A page: 2 of 3 caught" in words
    assert "order (check), sum (reference)" in words
    assert "the chapter’s own check, “Lost: the rest is negative”" in words
    assert "only a regression notices, half (regression): no other knows" in words
    assert "page 4 1 1 1 1" in words.replace("A page 4", "page 4"), "rows of each kind"
    assert "1 regression: compared with earlier builds" in words
    assert page.page().index("sum</p>") < page.page().index("a half</p>")
    result["digest"] = digest(page.root)
    trials.keep(page.root, mutants.RESULT, "page", result)
    page.build()
    assert "changed since" not in page.words()


def test_a_number_that_its_format_cannot_show_is_named(page):
    code = (
        '```{code-cell} python\nfrom book import key_number\nkey_number("terms", 1000, "d")\n```\n'
    )
    page.write("# A page\n\n```{ledger} page\n```\n\n" + code)
    rows = page.root / "tests/key_numbers/page.yml"
    rows.write_text("terms: {what: number of terms, source: 1000.0}")
    built = page.build()
    assert built.returncode != 0
    assert (
        "page.yml: terms: expected a number that the format 'd' can show, got 1000.0"
        in built.stdout
    )
    rows.write_text("terms: {what: number of terms, source: 1000}")
    assert page.build().returncode == 0
