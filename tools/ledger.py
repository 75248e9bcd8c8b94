"""The ledger of key numbers: read it, tell what kind each row is, check numbers against their rows.

Each chapter has a file of rows, ``tests/key_numbers/NAME.yml``; CONTRIBUTING.md explains the fields.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re

import yaml

RTOL = 1e-9  # where a row does not say
RTOL_WITHOUT_REASON = 1e-6

#: What a number is compared with, and so what a reader may conclude; the last is the build itself.
KINDS = ("source", "reference", "check", "regression")
INDEPENDENT = KINDS[:3]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What the ledger says of one number; the fields are those of the file."""

    what: str
    source: float | None = None
    reference: float | None = None
    cite: str | None = None
    check: float | None = None
    expected: float | None = None
    rtol: float | None = None
    atol: float | None = None
    min: float | None = None
    max: float | None = None
    why: str | None = None
    always: bool = False

    @property
    def kind(self) -> str:
        """One of ``KINDS``, by the fields that the row has."""
        if self.expected is not None:
            return "regression"
        if self.reference is not None:
            return "reference"
        if self.check is not None or self.bounds:
            return "check"
        return "source"

    @property
    def bounds(self) -> dict[str, float]:
        """The bounds that the row has, ``{"min": ..., "max": ...}``."""
        return {name: b for name in ("min", "max") if (b := getattr(self, name)) is not None}

    @property
    def target(self) -> float | None:
        """What the number is compared with; None where there are only bounds."""
        for value in (self.expected, self.reference, self.check):
            if value is not None:
                return value
        return self.source if self.kind == "source" else None

    @property
    def tolerance(self) -> float:
        """How far from its target a number may lie."""
        if isinstance(self.target, int) and self.rtol is None and self.atol is None:
            return 0.0
        relative = self.rtol if self.rtol is not None else RTOL if self.atol is None else 0.0
        return (self.atol or 0.0) + relative * abs(self.target)

    def close(self, value: float) -> bool:
        """Whether a value lies within the tolerance of the target (True without a target)."""
        return self.target is None or abs(value - self.target) <= self.tolerance

    def complaint(self, value: float) -> str | None:
        """What is wrong with a number, or None."""
        if not self.close(value):
            return (
                f"got {value!r}, expected {self.target!r} within {self.tolerance:.3g}"
                f" (off by {value - self.target:.3g})"
            )
        if self.min is not None and not value >= self.min:
            return f"got {value!r}, expected at least {self.min!r}"
        if self.max is not None and not value <= self.max:
            return f"got {value!r}, expected at most {self.max!r}"
        return None


FIELDS = [field.name for field in dataclasses.fields(Row)]
NUMBERS = set(FIELDS) - {"what", "cite", "why", "always"}


def malformed(fields: dict) -> str | None:
    """What is wrong with the fields of a row as they stand in a file, or None."""
    if not isinstance(fields, dict):
        return f"expected a row of fields, got {fields!r}"
    if unknown := set(fields) - set(FIELDS):
        return f"unknown field {', '.join(sorted(unknown))}; there are {', '.join(FIELDS)}"
    if not fields.get("what"):
        return "no 'what': say what the number is, with its unit"
    for field in NUMBERS & set(fields):
        value = fields[field]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return f"{field} is {value!r}, expected a number (YAML reads 1e-3 as text, 1.0e-3 as a number)"
    if ("reference" in fields) != ("cite" in fields):
        return "'reference' and 'cite' go together ('cite: exact' for an exact value)"
    if fields.get("always", True) is not True:
        return f"always is {fields['always']!r}, expected 'true' or nothing"

    row = Row(**fields)
    if row.target is None and not row.bounds:
        return (
            "nothing to compare with: expected one of source, reference, check, min, max, expected"
        )
    if row.kind == "regression" and row.always:
        return "'always' with 'expected': what this build gave holds for its own parameters only"
    if row.why:
        return None
    if row.kind == "check":
        return "a check wants its reason: 'why' says which two independent ways agree"
    if max(row.rtol or 0, row.atol or 0) > RTOL_WITHOUT_REASON or row.bounds:
        return "a tolerance or a bound wants its reason: 'why'"
    if row.source is not None and not row.close(row.source):
        return "it differs from the source beyond its tolerance: 'why'?"
    return None


def load(root: pathlib.Path, only: str | None = None) -> dict[str, dict[str, Row]]:
    """``{chapter: {number: row}}``, of every chapter that has a file or of one.

    Raises
    ------
    ValueError
        If a row lacks what it needs, has a field that is not known, or stands twice; it says in
        which file and line.
    """
    cited = set(re.findall(r"^@\w+\{(\S+?),", (root / "references.bib").read_text(), flags=re.M))
    ledger = {}
    for path in sorted((root / "tests" / "key_numbers").glob(f"{only or '*'}.yml")):
        file = f"tests/key_numbers/{path.name}"
        rows = read(root, file)
        for name, fields in rows.items():
            complaint = malformed(fields)
            if complaint is None and fields.get("cite", "exact") not in {"exact", *cited}:
                complaint = (
                    f"cite is {fields['cite']!r}, expected 'exact' or a key of references.bib"
                )
            if complaint:
                raise ValueError(f"{file}:{rows.lines[name]}: {name}: {complaint}")
        ledger[path.stem] = {name: Row(**fields) for name, fields in rows.items()}
    return ledger


def check(rows: dict[str, Row], numbers: dict[str, float]) -> list[str]:
    """Everything in which a chapter's numbers and its rows disagree, one sentence each."""
    complaints = [
        f"{name}: recorded, but the ledger has no row" for name in numbers if name not in rows
    ]
    for name, row in rows.items():
        if name not in numbers:
            complaints.append(f"{name}: in the ledger, but the chapter records no such number")
        elif complaint := row.complaint(numbers[name]):
            complaints.append(f"{name}: {complaint}")
    return complaints


# ------------------------------------------------------------------------------- files


class Mapping(dict):
    """A mapping of a YAML file; ``lines`` has the line of each of its own keys."""

    def __init__(self):
        super().__init__()
        self.lines: dict[str, int] = {}


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML's loader, but a key that stands twice is an error: the second would hide the first."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Mapping:
    found = Mapping()
    for key_node, _ in node.value:
        if key_node.tag != "tag:yaml.org,2002:merge":  # what `<<` brings may be overruled
            key, line = loader.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if key in found.lines:
                first = found.lines[key]
                raise ValueError(f"{line}: {key} stands here a second time, first in line {first}")
            found.lines[key] = line
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        found[key] = loader.construct_object(value_node, deep=True)
    return found


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def read(root: pathlib.Path, file: str) -> Mapping:
    """The mapping that a YAML file of the book holds; an empty one where it holds nothing.

    Raises
    ------
    ValueError
        If it is not YAML, holds something else, or a key stands twice; it says in which line.
    """
    try:
        content = yaml.load((root / file).read_text(), _Loader)
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"{file}:{error.problem_mark.line + 1}: {error.problem}") from None
    except ValueError as error:
        raise ValueError(f"{file}:{error}") from None
    if content is None:
        return Mapping()
    if not isinstance(content, Mapping):
        raise ValueError(f"{file}: expected a mapping, got {content!r:.60}")
    return content
