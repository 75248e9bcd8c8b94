"""Make deliberate mistakes in the chapters, one at a time, and see which of them the ledger catches.

usage: mutants.py [NAME ...] [--root DIR] [--jobs N]

NAME is a chapter; every chapter with a section in tests/mutants.yml if none is given.  The chapter
runs as a script without its drawings, with the cheap parameters of its section: first as it is, and
the rows that it meets then count; then with each mistake.  A mistake is caught

- if a row that counts is not met by a number that was recorded, and its kind is source, reference
  or check: a regression tells that something has changed, not that it is wrong;
- or if the chapter's own ``raise`` or ``assert``, or an exception of its own, stops it.

Any other crash is not counted as caught, unless a number recorded before it fails its row: a number
that is not finite is such a crash, and one that was never recorded catches nothing.  Nor is a run
that does not end in time.  What came of it is kept in tests/mutants-result.json, which the ledger page shows.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import pathlib
import sys
from collections.abc import Callable

import ledger
import trials
from chapters import ROOT, BookError, Cell, code_cells, command_line, page, run_tool, whole

FILE, RESULT = "mutants.yml", "mutants-result.json"
LIMIT, LEAST = 3, 30  # times what the unchanged chapter took, and at least so many seconds

CAUGHT, REGRESSION, SURVIVED, CRASHED, LATE = (
    "caught", "only a regression", "survived", "crashed", "no end",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A mistake; ``row``, ``message`` or ``survives`` says what is expected to come of it."""

    what: str
    replace: str
    with_: str
    row: str | None = None
    message: str | None = None
    survives: str | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """What the list has for a chapter."""

    mutants: list[Mutant]
    cheap: dict
    limit: float | None


@dataclasses.dataclass
class Verdict:
    """What came of a mistake."""

    what: str
    verdict: str  # one of the five above
    rows: dict[str, str]  # {row that is not met: its kind}, the independent ones first
    error: str | None = None  # how the run ended, where not well
    reason: str | None = None  # why it survives, in the words of the list
    seconds: float = 0.0


def malformed(section) -> str | None:
    """What is wrong with a chapter's section, or None."""
    types = {"cheap": dict, "limit": (int, float)}
    if complaint := trials.wrong_fields(section, {"mutants": list}, types):
        return complaint
    for item in section["mutants"]:
        ends = {"row": str, "message": str, "survives": str}
        required = {"what": str, "replace": str, "with": str}
        if complaint := trials.wrong_fields(item, required, ends):
            return complaint
        if len(set(item) & set(ends)) != 1:
            return f"{item['what']}: expected one of {', '.join(ends)}"
    return None


def load(root: pathlib.Path) -> dict[str, Section]:
    """``{chapter: section}``, of the chapters that have mutants.

    Raises
    ------
    ValueError
        If the list is malformed, or names a row that the ledger lacks or calls a regression.
    """
    lists, rows = {}, ledger.load(root)
    for name, section in trials.load_list(root, FILE, malformed).items():
        mutants = [
            Mutant(**{"with_" if field == "with" else field: text for field, text in item.items()})
            for item in section["mutants"]
        ]
        for mutant in mutants:
            row = rows.get(name, {}).get(mutant.row)
            if mutant.row and (row is None or row.kind not in ledger.INDEPENDENT):
                is_no = "a regression" if row else "not in the ledger"
                raise ValueError(
                    f"tests/{FILE}: {name}: {mutant.what}: row {mutant.row} is {is_no}"
                )
        lists[name] = Section(mutants, section.get("cheap", {}), section.get("limit"))
    return lists


def prepare(root: pathlib.Path, chapter: str, section: Section) -> list[list[Cell]]:
    """The cells of the chapter with cheap parameters: unchanged, then with each mistake.

    Raises
    ------
    ValueError
        If the list no longer fits the chapter.
    """
    cells = [cell for cell in code_cells(page(root, chapter)) if "figure" not in cell.tags]
    what = "cheap"
    try:
        if section.cheap:
            cells = trials.with_parameters(cells, section.cheap)
        changed = [cells]
        for mutant in section.mutants:
            what = mutant.what
            old, new = mutant.replace.rstrip("\n"), mutant.with_.rstrip("\n")
            changed.append(trials.with_replacement(cells, old, new))
    except ValueError as error:
        raise ValueError(f"tests/{FILE}: {chapter}: {what}: {error}") from None
    return changed


def judge(mutant: Mutant, outcome: trials.Outcome, rows: dict[str, ledger.Row]) -> Verdict:
    """What came of a mistake; ``rows`` are those that count."""
    failed = {
        name: row.kind
        for name, row in rows.items()
        if name in outcome.numbers and row.complaint(outcome.numbers[name])
    }
    failed = dict(sorted(failed.items(), key=lambda item: ledger.KINDS.index(item[1])))
    independent = any(kind in ledger.INDEPENDENT for kind in failed.values())
    if outcome.timed_out:
        verdict = LATE
    elif independent or (outcome.failure and outcome.failure.get("own")):
        verdict = CAUGHT
    elif outcome.failure:
        verdict = CRASHED
    else:
        verdict = REGRESSION if failed else SURVIVED
    error = outcome.summary if outcome.failure else None
    return Verdict(mutant.what, verdict, failed, error, mutant.survives, round(outcome.seconds, 1))


def unexpected(mutant: Mutant, verdict: Verdict) -> str | None:
    """How a verdict differs from what the list says, or None."""
    caught = verdict.verdict == CAUGHT
    if mutant.survives:
        return "caught, although the list says that it survives" if caught else None
    if not caught:
        return f"{verdict.verdict}, although the list says that it is caught"
    if mutant.row and mutant.row not in verdict.rows:
        return f"caught, but not by {mutant.row}, as the list says"
    if mutant.message and mutant.message not in (verdict.error or ""):
        return f"caught, but not with the message {mutant.message!r}, as the list says"
    return None


def digest(root: pathlib.Path, chapter: str, section: Section | None) -> str:
    """A name for all that a chapter's result depends on: its code, its rows, its mutants.

    What only draws, the words of the ledger, and what the list expects are not among it.
    """
    code = [cell.source for cell in code_cells(page(root, chapter)) if "figure" not in cell.tags]
    rows = ledger.load(root, only=chapter).get(chapter, {})
    rows = [f"{name} {dataclasses.replace(row, what='', why='')}" for name, row in rows.items()]
    tried = section and [
        section.cheap,
        section.limit,
        [(m.what, m.replace, m.with_) for m in section.mutants],
    ]
    return hashlib.sha256(json.dumps([code, rows, tried]).encode()).hexdigest()[:16]


def try_all(
    root: pathlib.Path,
    names: list[str],
    jobs: int = trials.JOBS,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Try all mutants of some chapters, keep what came of them; everything that the lists got wrong.

    Raises
    ------
    ValueError
        If a list no longer fits its chapter; nothing has run then.
    """
    lists, ledgers = load(root), ledger.load(root)
    prepared = {name: prepare(root, name, lists[name]) for name in names}
    today, here = datetime.date.today().isoformat(), trials.revision(root, RESULT)
    digests = {name: digest(root, name, lists[name]) for name in names}
    complaints = []

    def trial(name: str, cells: list[Cell], seconds: float) -> trials.Trial:
        return trials.Trial(root, name, cells, lists[name].limit or seconds, figures=False)

    counting, todo = {}, []  # {chapter: rows that count}; (chapter, number of the mutant, trial)

    def report_unchanged(k: int, outcome: trials.Outcome) -> None:
        name, rows = names[k], ledgers.get(names[k], {})
        if outcome.failure:
            complaints.append(f"{name}: unchanged, it does not end well: {outcome.explanation}")
            say(complaints[-1])
            return
        counting[name] = {
            key: row
            for key, row in rows.items()
            if key in outcome.numbers and row.complaint(outcome.numbers[key]) is None
        }
        seconds = max(LEAST, LIMIT * outcome.seconds)
        todo.extend(
            (name, n, trial(name, cells, seconds)) for n, cells in enumerate(prepared[name][1:])
        )
        say(
            f"{name}: unchanged, {len(counting[name])} of {len(rows)} rows met ({outcome.seconds:.1f} s)"
        )

    longest = {name: trials.LIMIT * trials.budget(root, name) for name in names}
    trials.run(
        [trial(name, prepared[name][0], longest[name]) for name in names], report_unchanged, jobs
    )
    todo.sort(key=lambda item: names.index(item[0]))
    verdicts = {name: {} for name in names}

    def report(k: int, outcome: trials.Outcome) -> None:
        name, n, _ = todo[k]
        mutants, found = lists[name].mutants, verdicts[name]
        found[n] = judge(mutants[n], outcome, counting[name])
        say(
            f"{name}: {mutants[n].what}: {described(found[n], mutants[n].row)} ({outcome.seconds:.1f} s)"
        )
        if complaint := unexpected(mutants[n], found[n]):
            complaints.append(f"{name}: {mutants[n].what}: {complaint}")
        if len(found) == len(mutants):
            kinds = [row.kind for row in counting[name].values()]
            result = {"date": today, "revision": here, "digest": digests[name]}
            result["rows"] = {kind: kinds.count(kind) for kind in ledger.KINDS}
            result["mutants"] = [dataclasses.asdict(found[n]) for n in sorted(found)]
            trials.keep(root, RESULT, name, result)

    trials.run([item[2] for item in todo], report, jobs)
    return complaints


def described(verdict: Verdict, first: str | None = None) -> str:
    """A verdict in a few words: the row that the list names, if it is among them, and how many more."""
    text = verdict.verdict
    if verdict.rows:
        row = first if first in verdict.rows else next(iter(verdict.rows))
        more = len(verdict.rows) - 1
        text += f" by {row} ({verdict.rows[row]})" + (f" and {more} more" if more else "")
    elif verdict.verdict == CAUGHT:
        text += f" by the chapter: {verdict.error}"
    elif verdict.verdict in (CRASHED, LATE):
        text += f", not counted: {verdict.error}"
    return text + (f"; {verdict.reason}" if verdict.reason else "")


def table(name: str, result: dict, section: Section | None = None) -> list[str]:
    """What is kept of a chapter, as text."""
    verdicts = [Verdict(**verdict) for verdict in result["mutants"]]
    rows = {mutant.what: mutant.row for mutant in section.mutants} if section else {}
    caught = sum(verdict.verdict == CAUGHT for verdict in verdicts)
    counted = ", ".join(f"{number} {kind}" for kind, number in result["rows"].items() if number)
    width = max((len(verdict.what) for verdict in verdicts), default=0)
    return [
        f"{name}: {caught} of {len(verdicts)} caught; rows that count: {counted or 'none'}",
        *(f"  {v.what:{width}}  {described(v, rows.get(v.what))}" for v in verdicts),
    ]


def main() -> int:
    parser = command_line(__doc__, names=True)
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--jobs", type=whole, default=trials.JOBS)
    options = parser.parse_args()
    try:
        lists = load(options.root)
        names = trials.asked(lists, FILE, options.names)
        complaints = try_all(options.root, names, options.jobs)
    except (ValueError, BookError) as error:
        print(error, file=sys.stderr)
        return 1
    kept = trials.load_result(options.root, RESULT)
    for name in names:
        if name in kept:
            print("", *table(name, kept[name], lists[name]), sep="\n")
    if complaints:
        print("\nnot as in the list:", *complaints, sep="\n", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    run_tool(main)
