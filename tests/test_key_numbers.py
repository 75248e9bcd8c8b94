"""The ledger: each chapter runs, and each of its numbers is what it should be."""

import chapters
import ledger
import pytest
from conftest import ROOT

CHAPTERS = chapters.chapter_names(ROOT)
LEDGER = ledger.load(ROOT)
ROWS = [
    pytest.param(chapter, name, id=f"{chapter}-{name}")
    for chapter, rows in LEDGER.items() if chapter in CHAPTERS for name in rows
]  # fmt: skip


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_runs(execution, chapter):
    results, failures = execution
    assert chapter in results, failures


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_number_has_a_row(execution, chapter):
    results, _ = execution
    if chapter not in results:
        pytest.skip("the chapter did not run: its own test has failed")
    missing = set(results[chapter].key_numbers) - set(LEDGER.get(chapter, {}))
    assert not missing, f"tests/key_numbers/{chapter}.yml: no row for {', '.join(sorted(missing))}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_nothing_goes_to_standard_error(execution, chapter):
    results, _ = execution
    if chapter not in results:
        pytest.skip("the chapter did not run: its own test has failed")
    assert results[chapter].standard_error() == []


@pytest.mark.parametrize("chapter, name", ROWS)
def test_number(execution, chapter, name):
    results, _ = execution
    if chapter not in results:
        pytest.skip("the chapter did not run: its own test has failed")
    numbers = results[chapter].key_numbers
    assert name in numbers, (
        f"chapters/{chapter}.md records no number {name!r}, but the ledger expects it"
    )
    row = LEDGER[chapter][name]
    complaint = row.complaint(numbers[name])
    assert complaint is None, f"{row.what}: {complaint}"


def test_rows_belong_to_chapters():
    strangers = [chapter for chapter, rows in LEDGER.items() if rows and chapter not in CHAPTERS]
    assert not strangers, (
        f"tests/key_numbers has files for {strangers}, which _toc.yml does not name"
    )


def test_chapters_stay_within_their_memory(execution):
    results, _ = execution
    over = {}
    for name, row in results.items():
        budget = chapters.read_chapter(ROOT, name).metadata["budget"]
        assert budget["mib"] <= 1536, f"chapters/{name}.md asks for more than 1.5 GiB"
        if row.peak_mib > budget["mib"]:
            over[name] = f"{row.peak_mib:.0f} MiB of {budget['mib']}"
    assert not over, f"over their memory: {over}"


def test_explorables_are_drawn_soon(execution):
    """A chapter's explorables take 15 s of the processor together; a busy machine may need half as much again."""
    results, _ = execution
    drawn = {name: sum(x["seconds"] for x in row.explorables()) for name, row in results.items()}
    assert any(drawn.values())
    slow = {name: f"{seconds:.1f} s" for name, seconds in drawn.items() if seconds > 1.5 * 15}
    assert not slow, f"expected 15 s of drawing, got {slow}"


# The rules of the ledger themselves.


@pytest.mark.parametrize(
    "value, row, complaint",
    [
        (50, {"source": 50}, None),
        (51, {"source": 50}, "expected 50"),
        (1.0 + 1e-8, {"source": 1.0}, "expected 1.0"),
        (1.0 + 1e-8, {"source": 1.0, "rtol": 1e-7}, None),
        (2.0, {"source": 1.0, "expected": 2.0}, None),
        (1.0, {"source": 1.0, "reference": 2.0, "cite": "exact"}, "expected 2.0"),
        (1.0, {"source": 1.0, "check": 2.0}, "expected 2.0"),
        (2.0, {"check": 2.0, "expected": 1.0}, "expected 1.0"),
        (3, {"check": 2}, "expected 2"),
        (1e-12, {"max": 1e-10}, None),
        (1e-9, {"max": 1e-10}, "at most"),
        (1.8, {"min": 1.9, "max": 2.1}, "at least"),
        (2.2, {"source": 3.0, "min": 1.9, "max": 2.1}, "at most"),
        (2.0, {"source": 3.0, "min": 1.9, "max": 2.1}, None),  # the source stands beside a check
        (2.0, {"reference": 2.0, "cite": "exact", "max": 1.0}, "at most"),
        (0.0, {"expected": 0.0}, None),
        (1e-12, {"expected": 0.0}, "expected 0.0"),
        (float("nan"), {"source": 1.0}, "expected 1.0"),
        (float("nan"), {"max": 1.0}, "at most"),
    ],
)
def test_complaint(value, row, complaint):
    answer = ledger.Row(what="a number", **row).complaint(value)
    assert (answer is None) if complaint is None else complaint in answer


@pytest.mark.parametrize(
    "row, kind",
    [
        ({"source": 1}, "source"),
        ({"source": 1, "rtol": 0.1}, "source"),
        ({"source": 1, "check": 2}, "check"),
        ({"source": 1, "max": 2}, "check"),
        ({"min": 0.0}, "check"),
        ({"check": 0}, "check"),
        ({"reference": 0, "cite": "exact", "source": 1, "min": 0}, "reference"),
        ({"expected": 0, "reference": 1, "cite": "exact", "max": 2}, "regression"),
    ],
)
def test_kind(row, kind):
    assert ledger.Row(what="a number", **row).kind == kind


@pytest.mark.parametrize(
    "row, complaint",
    [
        ({"what": "a number", "source": 1}, None),
        ({"what": "a number", "source": 1, "always": True}, None),
        ("a number", "a row of fields"),
        ({"source": 1}, "what"),
        ({"what": "a number"}, "nothing to compare"),
        ({"what": "a number", "sauce": 1}, "sauce"),
        ({"what": "a number", "source": "1e-3"}, "'1e-3'"),
        ({"what": "a number", "source": True}, "True"),
        ({"what": "a number", "source": 1.0, "rtol": 1e-3}, "reason"),
        ({"what": "a number", "max": 1.0}, "independent ways"),
        ({"what": "a number", "check": 1.0}, "independent ways"),
        ({"what": "a number", "check": 1.0, "why": "the one and the other"}, None),
        ({"what": "a number", "reference": 1.0, "cite": "exact", "max": 2.0}, "reason"),
        ({"what": "a number", "reference": 1.0}, "cite"),
        ({"what": "a number", "source": 1.0, "always": "yes"}, "always"),
        ({"what": "a number", "expected": 1.0, "always": True}, "own parameters"),
        ({"what": "a number", "source": 1.0, "expected": 2.0}, "differs from the source"),
        ({"what": "a number", "source": 1.0, "expected": 2.0, "why": "a slip"}, None),
    ],
)
def test_malformed(row, complaint):
    answer = ledger.malformed(row)
    assert (answer is None) if complaint is None else complaint in answer


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("a: {what: one, source: 1}\nb: {what: two}\n", "page.yml:2: b: nothing to compare"),
        ("a: {what: one, source: 1}\n\na: {what: two, source: 2}\n", "page.yml:3: a stands here a second time, first in line 1"),
        ("a: {what: one, source: 1, source: 2}\n", "page.yml:1: source stands here a second time"),
        ("a: {what: one, reference: 1, cite: nobody1900}\n", "page.yml:1: a: cite is 'nobody1900'"),
        ("a: {what: one\n", "page.yml:2: "),
        ("- a\n", "page.yml: expected a mapping"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(book, text, complaint):
    (book.root / "tests" / "key_numbers" / "page.yml").write_text(text)
    with pytest.raises(ValueError) as error:
        ledger.load(book.root)
    assert f"tests/key_numbers/{complaint}" in str(error.value)


def test_rows_may_share_their_fields(book):
    (book.root / "tests" / "key_numbers" / "page.yml").write_text(
        "a: &a {what: one, expected: 1, rtol: 0.1, why: noise}\nb: {<<: *a, what: two, expected: 2}\n"
    )
    rows = ledger.load(book.root)["page"]
    assert [rows["b"].what, rows["b"].expected, rows["b"].rtol] == ["two", 2, 0.1]


def test_numbers_and_rows_fit():
    rows = {name: ledger.Row(what=name, source=1) for name in ("a", "b", "c")}
    assert ledger.check(rows, {"a": 1, "b": 1, "c": 1}) == []
    assert ledger.check(rows, {"a": 1, "b": 2, "d": 1}) == [
        "d: recorded, but the ledger has no row",
        "b: got 2, expected 1 within 0 (off by 1)",
        "c: in the ledger, but the chapter records no such number",
    ]
