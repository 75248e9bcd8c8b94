"""The set-up refuses what would fail later, and leaves nothing running."""

import os
import shutil
import signal
import subprocess
import time

import psutil
import pytest
from conftest import ROOT

FILES = ["Makefile", "apt.txt", "requirements.txt", "tools/setup.sh"]
NEEDED = ["PATH", "HOME", "LANG"]


@pytest.fixture
def fresh(tmp_path):
    """A function that makes a folder, of the name given, which holds what the set-up needs."""

    def make(name):
        folder = tmp_path / name
        (folder / "tools").mkdir(parents=True)
        for file in FILES:
            shutil.copy(ROOT / file, folder / file)
        return folder

    return make


def python(folder, body):
    """A program that stands for Python: new enough, and with ``body`` in place of ``-m venv``."""
    program = folder / "python"
    program.write_text(
        '#!/bin/sh\ncase "$1" in\n  --version) echo Python 3.12.0;;\n  -c) exit 0;;\n'
        f"  *) {body};;\nesac\n"
    )
    program.chmod(0o755)
    return program


def start(folder, **variables):
    environment = {name: os.environ[name] for name in NEEDED if name in os.environ}
    return subprocess.Popen(
        ["make", "setup"], cwd=folder, env=environment | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


REFUSED = {
    "a space in the path": ("my book", {}, ["my book", "a character"]),
    "a dollar in the path": ("b$ok", {}, ["b$ok", "a character"]),
    "another PETSc": ("book", {"PETSC_DIR": "/opt/petsc"}, ["PETSC_DIR", "/opt/petsc", "env -u"]),
    "no such Python": (
        "book",
        {"PYTHON": "/nowhere/python"},
        ["/nowhere/python", "expected Python"],
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_at_once(fresh, what):
    name, variables, words = REFUSED[what]
    began = time.monotonic()
    folder = fresh(name)
    process = start(folder, **variables)
    said, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert time.monotonic() - began < 5
    assert not (folder / ".venv").exists()
    for word in words:
        assert word in said, said


def test_an_old_python_is_refused(fresh):
    folder = fresh("book")
    program = python(folder, "true")
    program.write_text(program.read_text().replace("exit 0", "exit 1").replace("3.12.0", "3.9.2"))
    said, _ = start(folder, PYTHON=str(program)).communicate(timeout=30)
    assert "expected Python 3.11 or later, got Python 3.9.2" in said


def descendants_named(word):
    return [
        p for p in psutil.process_iter(["cmdline"]) if word in " ".join(p.info["cmdline"] or [])
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_compilers_too(fresh, number):
    folder = fresh("book")
    mark = f"sleep 98765.{os.getpid()}{int(number)}"
    process = start(folder, PYTHON=str(python(folder, f"{mark} & {mark}")))
    deadline = time.monotonic() + 30
    while len(descendants_named(mark)) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert descendants_named(mark)
    os.killpg(process.pid, number)  # what a terminal does at Ctrl-C
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not descendants_named(mark)
    assert not (folder / ".venv" / ".setup" / "environment").exists()


def test_the_second_set_up_waits(fresh):
    folder = fresh("book")
    slow = python(folder, "sleep 2; echo once >> count; exit 1")
    first = start(folder, PYTHON=str(slow))
    time.sleep(0.7)
    second = start(folder, PYTHON=str(slow))
    said = [p.communicate(timeout=60)[0] for p in (first, second)]
    assert "waiting for another set-up" in said[1]
    assert "step 2 (virtual environment and build tools) failed" in said[0]


def test_line_ends_survive_a_checkout_on_windows(tmp_path):
    """A clone that asks git for Windows' line ends gets the shell's all the same."""
    if not (ROOT / ".git").exists():
        pytest.skip("this copy of the book is no clone")
    git = ["git", "-c", "core.autocrlf=true", "clone", "--quiet", "--depth", "1"]
    subprocess.run([*git, f"file://{ROOT}", str(tmp_path / "clone")], check=True)
    for file in ["tools/setup.sh", "Makefile", "chapters/book.py"]:
        assert b"\r" not in (tmp_path / "clone" / file).read_bytes(), file


def test_what_is_installed_is_not_installed_again(fresh):
    """Who may not install needs not to, where Debian's packages and a browser are there."""
    folder = fresh("book")
    fakes = folder / "fakes"
    fakes.mkdir()
    for name in ("apt-get", "sudo"):
        (fakes / name).write_text(f"#!/bin/sh\necho {name} was called >> {folder}/calls\n")
        (fakes / name).chmod(0o755)
    stub = python(folder, "echo no environment; exit 7")
    run = start(folder, PATH=f"{fakes}:{os.environ['PATH']}", PYTHON=str(stub))
    said, _ = run.communicate(timeout=60)
    assert "no environment" in said, said
    assert not (folder / "calls").exists(), said
