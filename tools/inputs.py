"""What a chapter depends on: its code, the files it uses, what is installed; and the surroundings it runs in.

A file counts if the chapter imports it, or names it in its code, from beside the page or from
``chapters/``; a module's own imports and names count with it.  Whatever else lies there is nobody's.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import nbformat
from chapters import BookError, code_cells, page, read_chapter
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement

#: What chapters write and do not read from earlier runs: JupyterLab leaves it beside them.
WRITTEN = {".h5", ".log", ".msh", ".mp4", ".pdf", ".png", ".pvd", ".pvtu", ".vtu"}
NAMED = re.compile(r"[^\n\\:<>|]{1,200}")
PATTERN = re.compile(r"[^\n\\:<>|]*\*[^\n\\:<>|]*\.\w+")  # a name that is made when the code runs
DATA_MEGABYTES = 1.0

# ------------------------------------------------------------------------------ files


def files(root: pathlib.Path, name: str) -> dict[str, pathlib.Path]:
    """The files beside its page that a chapter uses: the name by which it finds each, and its path.

    Raises
    ------
    BookError
        If one is too large for a notebook that brings it along.
    """
    here = page(root, name).parent
    places = list(dict.fromkeys([here, root / "chapters"]))
    sources = [cell.source for cell in code_cells(page(root, name))]
    found: dict[str, pathlib.Path] = {}
    for source in sources:  # grows while modules are found
        imported, named, patterns = _mentions(source)
        modules = [(p, m) for m in imported for p in places]
        candidates = [(p, f"{m}.py") for p, m in modules]
        candidates += [
            (p, file.relative_to(p).as_posix())
            for p, m in modules if (p / m / "__init__.py").is_file()
            for file in sorted((p / m).rglob("*.py"))
        ]  # fmt: skip
        folders = [p / text for text in named for p in places if os.path.isdir(f"{p}/{text}")]
        for place in [*places, *folders]:
            paths = [place / text for text in named if os.path.isfile(f"{place}/{text}")]
            paths += [path for pattern in patterns for path in sorted(place.glob(pattern))]
            candidates += [
                (p, path.relative_to(p).as_posix())
                for path in paths if path.suffix not in WRITTEN
                for p in places if path.is_relative_to(p)
            ]  # fmt: skip
        for place, text in candidates:
            hidden = any(part.startswith((".", "__pycache__")) for part in text.split("/"))
            path = place / text
            if text in found or hidden or not path.is_file():
                continue
            if (size := path.stat().st_size) > DATA_MEGABYTES * 1e6:
                raise BookError(
                    f"chapters/{name}.md: {text} is too large for a chapter's data: expected at most"
                    f" {DATA_MEGABYTES} MB, got {size / 1e6:.1f} MB"
                )
            found[text] = path
            if path.suffix == ".py":
                sources.append(path.read_text("utf-8"))
    return found


@functools.lru_cache(maxsize=2000)
def _mentions(source: str) -> tuple[set[str], set[str], set[str]]:
    """Modules that code imports, texts that may name a file, and patterns of names it composes."""
    imported, named, patterns = set(), set(), set()
    for node in ast.walk(_parsed(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.replace(".", "/") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.replace(".", "/"))
        elif isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", "*") for part in node.values]
            patterns.add("".join(part if isinstance(part, str) else "*" for part in parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            (patterns if "*" in node.value else named).add(node.value)
    imported |= {module.split("/")[0] for module in imported}
    inside = {"..", "", "/"}
    named = {t for t in named if NAMED.fullmatch(t) and not inside & {*t.split("/"), t[:1]}}
    patterns = {t for t in patterns if PATTERN.fullmatch(t) and ".." not in t and t[0] != "/"}
    return imported, named, patterns


def _parsed(source: str) -> ast.Module:
    """The syntax tree of a cell; an empty one where there is none, which the execution will say.

    It is not kept: of so many objects Python's garbage collection takes longer than the parsing.
    """
    for code in (lambda: source, lambda: TransformerManager().transform_cell(source)):  # %magic
        with contextlib.suppress(SyntaxError):
            return ast.parse(code())
    return ast.Module(body=[], type_ignores=[])


# -------------------------------------------------------------------------- installed


def installed(root: pathlib.Path, name: str, used: dict[str, pathlib.Path]) -> dict[str, str]:
    """Versions of what a chapter that uses these files runs on: Python, the packages it imports and theirs, Debian's.

    The libraries that PETSc is linked to count for a chapter that imports PETSc.
    """
    modules = {"ipykernel"}
    for cell in code_cells(page(root, name)):
        modules |= {module.partition("/")[0] for module in _mentions(cell.source)[0]}
    for text, path in used.items():
        if text.endswith(".py"):
            modules |= _imports(path.read_text("utf-8"))
    packages = closure(modules)
    system = ["libc6", "ffmpeg"]
    if "petsc" in packages and (root / "apt.txt").exists():
        wanted = re.findall(r"^([a-z0-9.+-]+)", (root / "apt.txt").read_text("utf-8"), flags=re.M)
        system = ["libc6", *(package for package in wanted if package != "chromium")]
    return {"Python": platform.python_version()} | packages | debian(tuple(system))


@functools.lru_cache(maxsize=2000)
def _imports(source: str) -> set[str]:
    """What a module imports at once: not inside functions."""
    modules = set()
    for node in _parsed(source).body:
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module.partition(".")[0])
    return modules


@functools.cache
def _distributions() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


@functools.cache
def package(name: str) -> tuple[str, list[str]] | None:
    """Version of an installed package, and what it needs; None where it is not installed."""
    try:
        needs = [Requirement(need) for need in importlib.metadata.requires(name) or []]
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    needed = [n.name for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]
    return version, needed


def closure(modules: set[str]) -> dict[str, str]:
    """The packages that bring these modules, and those that they need, with their versions."""
    waiting = sorted({d for module in modules for d in _distributions().get(module, [])})
    found: dict[str, str] = {}
    for name in waiting:  # grows
        name = re.sub(r"[-_.]+", "-", name).lower()
        if name not in found and (known := package(name)):
            found[name] = known[0]
            waiting += known[1]
    return dict(sorted(found.items()))


@functools.cache
def debian(packages: tuple[str, ...]) -> dict[str, str]:
    """Versions of those of Debian's packages that are installed."""
    if shutil.which("dpkg-query") is None:
        return {}
    command = ["dpkg-query", "-W", "-f", "${Package}\t${Version}\n", *packages]
    answer = subprocess.run(command, capture_output=True, text=True)
    rows = (line.split("\t") for line in answer.stdout.splitlines())
    return {package: version for package, version in rows if version}


@dataclasses.dataclass(frozen=True)
class Chapter:
    """A chapter as it stands, with all that its execution depends on."""

    root: pathlib.Path
    name: str
    notebook: nbformat.NotebookNode
    contents: dict[str, bytes]  # of the files that it uses
    versions: dict[str, str]

    @functools.cached_property
    def key(self) -> str:
        """A name for the execution: another page with the same code has the same."""
        cells = [cell for cell in self.notebook.cells if cell.cell_type == "code"]
        code = [[cell.source, cell.metadata.get("tags", [])] for cell in cells]
        digests = {k: hashlib.sha256(v).hexdigest() for k, v in self.contents.items()}
        all_of_it = json.dumps([code, digests, self.versions], sort_keys=True)
        return hashlib.sha256(all_of_it.encode()).hexdigest()[:20]

    def lay_out(self, folder: pathlib.Path) -> None:
        """Write the files that the chapter uses to the folder in which it will run."""
        for text, content in self.contents.items():
            (folder / text).parent.mkdir(parents=True, exist_ok=True)
            (folder / text).write_bytes(content)


def chapter(root: pathlib.Path, name: str) -> Chapter:
    used = files(root, name)
    contents = {text: path.read_bytes() for text, path in used.items()}
    return Chapter(root, name, read_chapter(root, name), contents, installed(root, name, used))


# ----------------------------------------------------------------------- surroundings

#: What is the machine's and not its user's taste.
PASSED = (
    "PATH", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH", "CHECKPOINT",
    "FIREDRAKE_CACHE_DIR", "PYOP2_CACHE_DIR", "FIREDRAKE_TSFC_KERNEL_CACHE_DIR",
)  # fmt: skip


def surroundings() -> dict[str, str]:
    """The environment variables of every program that computes: the book's own, and UTF-8.

    The home is one inside ``.venv``, so that nobody's settings of matplotlib, IPython, Jupyter, MPI or PETSc
    reach a page, and no cache is left in anybody's home.
    """
    home = pathlib.Path(sys.prefix) / ".home"
    home.mkdir(exist_ok=True)
    return {name: os.environ[name] for name in PASSED if name in os.environ} | {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
