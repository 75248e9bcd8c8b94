"""The ledger of key numbers: read it, check a number against its row.

Each chapter has a file of rows, ``tests/key_numbers/NAME.yml``; CONTRIBUTING.md explains the fields.
"""

from __future__ import annotations

import pathlib
import re

import yaml

FIELDS = {"what", "source", "reference", "cite", "expected", "rtol", "atol", "min", "max", "why"}
RTOL = 1e-9  # where a row does not say
RTOL_WITHOUT_REASON = 1e-6


def load(root: pathlib.Path, only: str | None = None) -> dict[str, dict[str, dict]]:
    """``{chapter: {number: row}}``, every row (or those of one chapter) checked for its fields.

    Raises
    ------
    ValueError
        If a row lacks what it needs or has a field that is not known.
    """
    files = sorted((root / "tests" / "key_numbers").glob("*.yml"))
    ledger = {file.stem: yaml.safe_load(file.read_text()) or {} for file in files}
    cited = set(re.findall(r"^@\w+\{(\S+?),", (root / "references.bib").read_text(), flags=re.M))
    for chapter, rows in ledger.items():
        for name, row in rows.items() if only in (None, chapter) else ():
            complaint = malformed(row)
            if complaint is None and row.get("cite", "exact") not in {"exact", *cited}:
                complaint = f"cite is {row['cite']!r}, expected 'exact' or a key of references.bib"
            if complaint:
                raise ValueError(f"tests/key_numbers/{chapter}.yml: {name}: {complaint}")
    return ledger


def malformed(row: dict) -> str | None:
    """What is wrong with a row of the ledger, or None."""
    if not isinstance(row, dict):
        return f"expected a row of fields, got {row!r}"
    if unknown := set(row) - FIELDS:
        return f"unknown field {', '.join(sorted(unknown))}; there are {', '.join(sorted(FIELDS))}"
    if not row.get("what"):
        return "no 'what': say what the number is, with its unit"
    numbers = {k: row[k] for k in FIELDS - {"what", "cite", "why"} if k in row}
    for field, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{field} is {value!r}, expected a number (YAML reads 1e-3 as text, 1.0e-3 as a number)"
    if target(row) is None and not {"min", "max"} & set(row):
        return "nothing to compare with: expected one of expected, reference, source, min, max"
    if ("reference" in row) != ("cite" in row):
        return "'reference' and 'cite' go together ('cite: exact' for an exact value)"
    if not row.get("why"):
        if max(row.get("rtol", 0), row.get("atol", 0)) > RTOL_WITHOUT_REASON or {
            "min",
            "max",
        } & set(row):
            return "a tolerance or a bound wants its reason: 'why'"
        if "source" in row and not close(row["source"], row):
            return "it differs from the source beyond its tolerance: 'why'?"
    return None


def target(row: dict) -> float | None:
    """What the number is compared with."""
    for field in ("expected", "reference", "source"):
        if field in row:
            return row[field]
    return None


def tolerance(row: dict) -> float:
    """How far from its target a number may lie."""
    goal = target(row)
    if isinstance(goal, int) and not {"rtol", "atol"} & set(row):
        return 0.0
    relative = row.get("rtol", 0.0 if "atol" in row else RTOL)
    return row.get("atol", 0.0) + relative * abs(goal)


def close(value: float, row: dict) -> bool:
    """Whether a value lies within the row's tolerance of its target (True without a target)."""
    goal = target(row)
    return goal is None or abs(value - goal) <= tolerance(row)


def check(value: float, row: dict) -> str | None:
    """What is wrong with a number, or None."""
    if not close(value, row):
        goal = target(row)
        return f"got {value!r}, expected {goal!r} within {tolerance(row):.3g} (off by {value - goal:.3g})"
    if "min" in row and not value >= row["min"]:
        return f"got {value!r}, expected at least {row['min']!r}"
    if "max" in row and not value <= row["max"]:
        return f"got {value!r}, expected at most {row['max']!r}"
    return None


def check_chapter(root: pathlib.Path, chapter: str, results: dict) -> list[str]:
    """Everything in which a chapter's numbers and its rows disagree."""
    rows = load(root, only=chapter).get(chapter, {})
    numbers = results["chapters"][chapter]["key_numbers"]
    complaints = [
        f"{chapter}: {n}: recorded, but the ledger has no row" for n in numbers if n not in rows
    ]
    for name, row in rows.items():
        if name not in numbers:
            complaints.append(
                f"{chapter}: {name}: in the ledger, but the chapter records no such number"
            )
        elif complaint := check(numbers[name], row):
            complaints.append(f"{chapter}: {name}: {complaint}")
    return complaints
