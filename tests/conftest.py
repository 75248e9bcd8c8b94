"""The book's tests share one execution of the chapters, and a way to build a throw-away book."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import textwrap

import execute
import inputs
import pytest
import results
from chapters import ROOT, BookError, build_command, folder

os.environ["MPLCONFIGDIR"] = inputs.surroundings()["HOME"] + "/matplotlib"  # nobody's own
os.environ["IPYTHONDIR"] = inputs.surroundings()["HOME"] + "/.ipython"


def pytest_configure(config):
    """Let SIGTERM end the tests as Ctrl-C does: after what they started."""
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", returncode=143))


def launch_path(name: str) -> str:
    """What a chapter's launch link opens, below the address of the server that it started."""
    return f"/lab/tree/chapters/{name}.md"


@pytest.fixture(scope="session")
def execution(request):
    """What executing the book yields: (results, message of the failures or None)."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():  # it takes minutes, and says how far it is
        print()
        try:
            return execute.execute(ROOT), None
        except BookError as error:
            return results.load(ROOT), str(error)


@pytest.fixture(scope="session")
def built(execution):
    """The folder of the built site."""
    done = subprocess.run(
        build_command(ROOT), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, f"the site was not built:\n{done.stdout[-4000:]}"
    return folder(ROOT) / "_build" / "html"


@pytest.fixture
def firedrake(monkeypatch):
    """Firedrake, for the tests that need it."""
    monkeypatch.setattr(sys, "argv", ["pytest"])  # PETSc would take pytest's options for its own
    return pytest.importorskip("firedrake")


HEADER = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3, language: python}
execution: {timeout: 60}
---
"""


class ThrowAwayBook:
    """A book of one chapter, built by the same tools and settings as this one."""

    def __init__(self, root: pathlib.Path):
        self.root = root
        for below in ("chapters", "tests"):
            (root / below).mkdir()
        shutil.copytree(
            ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copytree(ROOT / "figures", root / "figures")  # the logo is among them
        helpers = [f"chapters/{path.name}" for path in (ROOT / "chapters").glob("*.py")]
        for name in (
            "_config.yml",
            "CITATION.cff",
            "references.bib",
            "requirements.in",
            "apt.txt",
            *helpers,
        ):
            shutil.copy(ROOT / name, root / name)
        self.contents("page")
        (root / "intro.md").write_text("# A book\n\n```{bibliography}\n```\n")
        (root / "tests" / "key_numbers").mkdir()

    def write(self, body: str, header: str = HEADER, name: str = "page") -> None:
        path = self.root / "chapters" / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(header + textwrap.dedent(body))

    def contents(self, *names: str) -> None:
        """Write ``_toc.yml`` with these chapters."""
        files = ", ".join(f"{{file: chapters/{name}}}" for name in names)
        (self.root / "_toc.yml").write_text(f"format: jb-book\nroot: intro\nchapters: [{files}]\n")

    def line(self, text: str) -> int:
        """The number of the line of the chapter that contains ``text``."""
        lines = (self.root / "chapters" / "page.md").read_text().splitlines()
        return next(k for k, line in enumerate(lines, start=1) if text in line)

    def build(self) -> subprocess.CompletedProcess:
        """``make book``'s own command; its output in ``stdout``, errors included."""
        return subprocess.run(
            build_command(self.root), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=300,
        )  # fmt: skip

    def page(self) -> str:
        return (self.root / "_build" / "html" / "chapters" / "page.html").read_text()

    def words(self) -> str:
        """The page without its tags."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", self.page()))

    def execute(self, *names: str) -> dict[str, results.Result]:
        return execute.execute(self.root, list(names))


@pytest.fixture
def book(tmp_path):
    """A throw-away book; write its one chapter, then build it."""
    return ThrowAwayBook(tmp_path)
