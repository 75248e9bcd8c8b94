"""Print time, memory and page weight of each chapter, and what its explorables cost.

usage: bench.py [--compare REV] [NAME ...]

Without --compare the figures are those of the recorded execution.  With it, this revision and
REV (anything that git understands) are checked out side by side, and each chapter, or each NAME, is
executed in one and then in the other, cold, on one core, so that both meet the same machine in the same
hour; ratios are this revision's figure over REV's.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import results
from chapters import ROOT, chapter_names, command_line, page, run_tool


def recorded(names: list[str]) -> None:
    """The table of the recorded execution."""
    found = {name: row for name, row in results.load(ROOT).items() if not names or name in names}
    weights = ROOT / "_build" / "page_kib.json"
    weights = json.loads(weights.read_text()) if weights.exists() else {}
    head = ("chapter", "seconds", "budget", "CPU s", "MiB", "budget", "page KiB")
    print("{:24}{:>9}{:>8}{:>8}{:>8}{:>8}{:>10}".format(*head))
    for name, row in found.items():
        print(
            f"{name:24}{row.seconds:9.1f}{row.budget['seconds']:8d}{row.cpu_seconds:8.1f}"
            f"{row.peak_mib:8.0f}{row.budget['mib']:8d}{weights.get(name, float('nan')):10.0f}"
        )
    seconds = sum(row.seconds for row in found.values())
    print(f"{'all':24}{seconds:9.1f}{'':8}{sum(row.cpu_seconds for row in found.values()):8.1f}")
    if shown := [(name, cost) for name, row in found.items() for cost in row.explorables()]:
        print(f"\n{'explorable':48}{'pictures':>9}{'KB':>8}{'CPU s':>8}")
        for name, cost in shown:
            figure = f"{name}: {cost['name'].removeprefix('fig-').removeprefix(f'{name}-')}"
            print(f"{figure:48}{cost['pictures']:9}{cost['kb']:8.0f}{cost['seconds']:8.1f}")
    if missing := set(names or chapter_names(ROOT)) - set(found):
        print(f"not executed as they stand: {', '.join(sorted(missing))}")


def check_out(revision: str, folder: pathlib.Path) -> pathlib.Path:
    """A copy of the book as it is in ``revision``."""
    git = ["git", "-C", str(ROOT), "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"]
    known = subprocess.run(git, stdout=subprocess.PIPE, text=True)
    if known.returncode:
        sys.exit(f"bench: expected a revision of this repository, got {revision!r}")
    commit = known.stdout.strip()
    tree = folder / commit[:12]
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(tree)], check=True)
    subprocess.run(["git", "-C", str(tree), "checkout", "--quiet", commit], check=True)
    return tree


def measure(tree: pathlib.Path, name: str) -> tuple[float, float] | None:
    """Seconds and MiB of one chapter, cold; None where the revision has no such chapter."""
    if not (tree / "chapters" / f"{name}.md").exists():
        return None
    with tempfile.TemporaryDirectory() as cache:  # of compiled kernels, wherever a revision looks
        kernels = ("FIREDRAKE_CACHE_DIR", "XDG_CACHE_HOME")
        own = {variable: f"{cache}/{variable}" for variable in kernels}
        own |= {"PYOP2_CACHE_DIR": f"{cache}/pyop2", "FIREDRAKE_TSFC_KERNEL_CACHE_DIR": f"{cache}/tsfc"}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "tools/execute.py", "--jobs", "1", name], cwd=tree, env=os.environ | own,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    printed = re.search(rf"\] {re.escape(name)}: ([\d.]+) s, (\d+) MiB", done.stdout)
    if printed is None:
        sys.exit(f"bench: {name} does not run in {tree.name}:\n{done.stdout[-2000:]}")
    return float(printed[1]), float(printed[2])


def compare(revision: str, names: list[str]) -> None:
    """This revision, as it is committed, and another one, chapter by chapter in turn."""
    if subprocess.run(["git", "-C", str(ROOT), "diff", "--quiet", "HEAD"]).returncode:
        print("bench: what is not committed is not measured", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        here, there = (check_out(r, pathlib.Path(folder)) for r in ("HEAD", revision))
        if here == there:
            sys.exit(f"bench: {revision} is this revision")
        if (here / "requirements.txt").read_text() != (there / "requirements.txt").read_text():
            print("bench: both run with this revision's requirements", file=sys.stderr)
        head = ["chapter", "s here", f"s {revision}", "ratio", "MiB here", f"MiB {revision}"]
        print("{:24}{:>9}{:>14}{:>8}{:>10}{:>14}{:>8}".format(*head, "ratio"))
        for name in names:
            mine, theirs = measure(here, name), measure(there, name)
            if mine is None or theirs is None:
                print(f"{name:24} is in one of the two only")
                continue
            print(
                f"{name:24}{mine[0]:9.1f}{theirs[0]:14.1f}{mine[0] / theirs[0]:8.2f}"
                f"{mine[1]:10.0f}{theirs[1]:14.0f}{mine[1] / theirs[1]:8.2f}"
            )


def main() -> None:
    parser = command_line(__doc__, names=True)
    parser.add_argument("--compare", metavar="REV")
    options = parser.parse_args()
    for name in options.names:
        page(ROOT, name)  # or it says which chapters there are
    if options.compare:
        compare(options.compare, options.names or chapter_names(ROOT))
    else:
        recorded(options.names)


if __name__ == "__main__":
    run_tool(main)
