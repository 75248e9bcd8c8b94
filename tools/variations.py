"""Make the changes that a reader would make to a chapter's parameters, and see that the rest follows.

usage: variations.py [NAME ...] [--root DIR] [--jobs N]

NAME is a chapter; every chapter with a section in tests/variations.yml if none is given.  A chapter
runs as a script, its drawings included.  It has to end well, to write nothing to standard error and to
meet its rows that hold ``always``; or to refuse the change with the message that the list states.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Callable

import ledger
import trials
from chapters import ROOT, BookError, code_cells, command_line, page, run_tool, whole

FILE = "variations.yml"


@dataclasses.dataclass(frozen=True)
class Variation:
    """An entry of the list."""

    what: str
    set: dict
    message: str | None = None
    limit: float | None = None

    def __str__(self) -> str:
        return f"{self.what} ({', '.join(f'{name} = {value}' for name, value in self.set.items())})"


def malformed(section) -> str | None:
    """What is wrong with a chapter's section, or None."""
    if not isinstance(section, list):
        return f"expected a list, got {section!r:.60}"
    for item in section:
        optional = {"message": str, "limit": (int, float)}
        if complaint := trials.wrong_fields(item, {"what": str, "set": dict}, optional):
            return complaint
        if not item["set"]:
            return f"{item['what']}: nothing is set"
    return None


def load(root: pathlib.Path) -> dict[str, list[Variation]]:
    """``{chapter: variations}``, of the chapters that have some.

    Raises
    ------
    ValueError
        If the list is malformed.
    """
    sections = trials.load_list(root, FILE, malformed)
    return {name: [Variation(**item) for item in section] for name, section in sections.items()}


def prepare(root: pathlib.Path, chapter: str, variation: Variation) -> trials.Trial:
    """The trial of a variation.

    Raises
    ------
    ValueError
        If the list no longer fits the chapter.
    """
    try:
        cells = trials.with_parameters(code_cells(page(root, chapter)), variation.set)
    except ValueError as error:
        raise ValueError(f"tests/{FILE}: {chapter}: {variation.what}: {error}") from None
    limit = variation.limit or trials.LIMIT * trials.budget(root, chapter)
    return trials.Trial(root, chapter, cells, limit, figures=True)


def complaints(
    variation: Variation, outcome: trials.Outcome, rows: dict[str, ledger.Row]
) -> list[str]:
    """Everything in which a chapter did not do what a variation asks for."""
    failure, found = outcome.failure, []
    if outcome.complaint.strip():
        found.append(f"standard error is not empty:\n{outcome.complaint.strip()[-2000:]}")
    if variation.message is not None:
        expected = f"expected a ValueError of the chapter with {variation.message!r}"
        if failure is None:
            found.append(f"{expected}, but it ended well")
        elif not (failure.get("is_value_error") and failure["own"]) or (
            variation.message not in failure["text"]
        ):
            found.append(f"{expected}, got {outcome.explanation}")
        return found
    if failure:
        found.append(outcome.explanation)
    always = {name: row for name, row in rows.items() if row.always}
    recorded = {name: value for name, value in outcome.numbers.items() if name in always}
    if failure:  # what it did not come to is no news
        always = {name: row for name, row in always.items() if name in recorded}
    return found + ledger.check(always, recorded)


def try_all(
    root: pathlib.Path,
    chosen: list[tuple[str, Variation]],
    jobs: int = trials.JOBS,
    say: Callable[[str], None] = print,
) -> list[list[str]]:
    """The complaints of each chosen variation, ``(chapter, variation)``.

    Raises
    ------
    ValueError
        If the list no longer fits a chapter; nothing has run then.
    """
    todo = [prepare(root, chapter, variation) for chapter, variation in chosen]
    ledgers, found = ledger.load(root), {}

    def report(k: int, outcome: trials.Outcome) -> None:
        (chapter, variation), rows = chosen[k], ledgers.get(chosen[k][0], {})
        found[k] = complaints(variation, outcome, rows)
        if found[k]:
            result = "FAILED"
        elif outcome.failure:
            result = f"refused, {outcome.summary}"
        else:
            result = f"ends well, {sum(row.always for row in rows.values())} rows met"
        say(f"{chapter}: {variation}: {result} ({outcome.seconds:.1f} s)")
        for complaint in found[k]:
            say("    " + complaint.replace("\n", "\n    "))

    trials.run(todo, report, jobs)
    return [found[k] for k in range(len(chosen))]


def main() -> int:
    parser = command_line(__doc__, names=True)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--jobs", type=whole, default=trials.JOBS)
    options = parser.parse_args()
    try:
        lists = load(options.root)
        names = trials.asked(lists, FILE, options.names)
        chosen = [(name, variation) for name in names for variation in lists[name]]
        found = try_all(options.root, chosen, options.jobs)
    except (ValueError, BookError) as error:
        print(error, file=sys.stderr)
        return 1
    failed = sum(map(bool, found))
    print(f"{len(found)} variations of {len(names)} chapters, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    run_tool(main)
