"""What can be said of the image that Binder builds without building it (no container engine here)."""

import ast
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires

import chapters
import pytest
from conftest import ROOT
from packaging.requirements import Requirement

DOCKERFILE = ROOT / "binder" / "Dockerfile"
PINNED = dict(re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.txt").read_text(), re.M))

#: What the image brings, built against its own PETSc.
BROUGHT = {
    "firedrake",
    "firedrake-rtree",
    "h5py",
    "libsupermesh",
    "mpi4py",
    "petsc",
    "petsc4py",
    "slepc",
    "slepc4py",
}


def instructions() -> list[list[str]]:
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.M).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.strip()]


def asked_of(installer: str) -> list[str]:
    """The packages that ``pip`` or ``apt-get`` is asked to install."""
    words = next(line for line in instructions() if line[0] == "RUN" and installer in line)
    words = words[words.index(installer) :]
    words = words[words.index("install") + 1 :]
    words = words[: words.index("&&")]
    return [w for w in words if not w.startswith(("-", ":", "/"))]


def closure(names: list[str]) -> set[str]:
    """The packages that these need, themselves included, by what is installed here."""
    found, waiting = set(), [re.split("[=<>]", name)[0] for name in names]
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        try:
            needs = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        waiting += [n.name for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]
    return found


def test_hadolint_finds_nothing():
    command = [ROOT / ".venv/bin/hadolint", DOCKERFILE]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_image_is_of_the_books_firedrake():
    (image,) = [line[1] for line in instructions() if line[0] == "FROM"]
    name, _, tag = image.partition(":")
    assert name.startswith("firedrakeproject/firedrake")
    assert tag == PINNED["firedrake"]
    assert f"== '{PINNED['firedrake']}'" in DOCKERFILE.read_text()  # what the image is asked


def test_nothing_is_compiled():
    """No package that is installed, nor one that it needs, is PETSc or built against it."""
    assert "--only-binary :all:" in DOCKERFILE.read_text()
    assert not closure(asked_of("pip")) & BROUGHT


def test_versions_are_those_of_the_book():
    for package in asked_of("pip"):
        assert package.partition("==")[0] in PINNED or "==" in package


@pytest.mark.parametrize("library", ["ffmpeg", "libglu1", "libxcursor1", "libxft2", "libxinerama1"])
def test_libraries_are_those_of_the_book(library):
    books = (ROOT / "apt.txt").read_text()
    assert any(package.startswith(library) and package in books for package in asked_of("apt-get"))


def test_chapters_import_nothing_else():
    """Each package that a chapter or the helper imports is in the image or installed into it."""
    helpers = sorted((ROOT / "chapters").glob("*.py"))
    sources = [path.read_text() for path in helpers]
    for name in chapters.chapter_names(ROOT):
        sources += [
            c.source for c in chapters.read_chapter(ROOT, name).cells if c.cell_type == "code"
        ]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    imported = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    imported |= {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    imported = {name.partition(".")[0] for name in imported}
    names = {
        "ROL": "pyroltrilinos",
        "IPython": "ipython",
        "PIL": "pillow",
        "myst_nb": "myst-nb",
        "pyadjoint": "firedrake",
        "ufl": "firedrake",
    }
    known = closure(asked_of("pip")) | closure(["firedrake"]) | BROUGHT
    foreign = {
        names.get(n, n).lower()
        for n in imported - sys.stdlib_module_names - {path.stem for path in helpers}
    }
    assert foreign <= known


def test_binders_rules():
    """A user of the number that Binder gives, who owns the book; no entry point in the way."""
    lines = instructions()
    assert {"NB_USER", "NB_UID"} <= {
        line[1].partition("=")[0] for line in lines if line[0] == "ARG"
    }
    assert [line[1] for line in lines if line[0] == "USER"][-1] == "${NB_UID}"
    assert ["COPY", "--chown=${NB_UID}", ".", "${HOME}"] in lines
    assert "ENTRYPOINT" not in {line[0] for line in lines}
    assert "HOME=/home/${NB_USER}" in next(
        line for line in lines if line[:2] == ["ENV", "USER=${NB_USER}"]
    )
    assert {"jupyterlab", "jupyterlab-myst", "jupytext"} <= set(asked_of("pip"))


def test_binder_and_make_lab_have_the_same_settings():
    settings = re.search(r"JUPYTER_CONFIG_PATH=\$\{HOME\}/(\S+)", DOCKERFILE.read_text())[1]
    assert f"JUPYTER_CONFIG_PATH={settings} " in (ROOT / "Makefile").read_text()
    assert (ROOT / settings / "labconfig" / "default_setting_overrides.json").exists()
