"""The ledger: each chapter runs, and each of its numbers is what it should be."""

import execute
import ledger
import pytest
from conftest import ROOT

CHAPTERS = execute.chapter_names(ROOT)
LEDGER = ledger.load(ROOT)
ROWS = [
    pytest.param(chapter, name, id=f"{chapter}-{name}")
    for chapter, rows in LEDGER.items() if chapter in CHAPTERS for name in rows
]  # fmt: skip


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter_runs(execution, chapter):
    results, failures = execution
    assert chapter in results["chapters"], failures


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_number_has_a_row(execution, chapter):
    results, _ = execution
    if chapter not in results["chapters"]:
        pytest.skip("the chapter did not run: its own test has failed")
    missing = set(results["chapters"][chapter]["key_numbers"]) - set(LEDGER.get(chapter, {}))
    assert not missing, f"tests/key_numbers/{chapter}.yml: no row for {', '.join(sorted(missing))}"


@pytest.mark.parametrize("chapter, name", ROWS)
def test_number(execution, chapter, name):
    results, _ = execution
    if chapter not in results["chapters"]:
        pytest.skip("the chapter did not run: its own test has failed")
    numbers = results["chapters"][chapter]["key_numbers"]
    assert name in numbers, (
        f"chapters/{chapter}.md records no number {name!r}, but the ledger expects it"
    )
    complaint = ledger.check(numbers[name], LEDGER[chapter][name])
    assert complaint is None, f"{LEDGER[chapter][name]['what']}: {complaint}"


def test_rows_belong_to_chapters():
    strangers = [chapter for chapter, rows in LEDGER.items() if rows and chapter not in CHAPTERS]
    assert not strangers, (
        f"tests/key_numbers has files for {strangers}, which _toc.yml does not name"
    )


def test_chapters_stay_within_their_memory(execution):
    results, _ = execution
    over = {}
    for name, row in results["chapters"].items():
        budget = execute.read_chapter(ROOT, name).metadata["budget"]
        assert budget["mib"] <= 1536, f"chapters/{name}.md asks for more than 1.5 GiB"
        if row["peak_mib"] > budget["mib"]:
            over[name] = f"{row['peak_mib']:.0f} MiB of {budget['mib']}"
    assert not over, f"over their memory: {over}"


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
        (1e-12, {"max": 1e-10}, None),
        (1e-9, {"max": 1e-10}, "at most"),
        (1.8, {"min": 1.9, "max": 2.1}, "at least"),
        (0.0, {"expected": 0.0}, None),
        (1e-12, {"expected": 0.0}, "expected 0.0"),
        (float("nan"), {"source": 1.0}, "expected 1.0"),
        (float("nan"), {"max": 1.0}, "at most"),
    ],
)
def test_check(value, row, complaint):
    answer = ledger.check(value, row)
    assert (answer is None) if complaint is None else complaint in answer


@pytest.mark.parametrize(
    "row, complaint",
    [
        ({"what": "a number", "source": 1}, None),
        ({"source": 1}, "what"),
        ({"what": "a number"}, "nothing to compare"),
        ({"what": "a number", "sauce": 1}, "sauce"),
        ({"what": "a number", "source": "1e-3"}, "'1e-3'"),
        ({"what": "a number", "source": 1.0, "rtol": 1e-3}, "reason"),
        ({"what": "a number", "max": 1.0}, "reason"),
        ({"what": "a number", "reference": 1.0}, "cite"),
        ({"what": "a number", "source": 1.0, "expected": 2.0}, "differs from the source"),
        ({"what": "a number", "source": 1.0, "expected": 2.0, "why": "a slip"}, None),
    ],
)
def test_malformed(row, complaint):
    answer = ledger.malformed(row)
    assert (answer is None) if complaint is None else complaint in answer
