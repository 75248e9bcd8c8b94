"""An interrupted and resumed run ends as if it had not been; a wrong checkpoint is refused."""

import os
import shutil
import subprocess
import sys
import time

import checkpoint
import numpy as np
import pytest
import ranks
from chapters import chapter_names, page
from conftest import ROOT

RESUMABLE = [n for n in chapter_names(ROOT) if "load_checkpoint(" in page(ROOT, n).read_text()]
ABOUT = {"chapter": "test", "Ra": 1e6}


def flow(firedrake, cells=3, degree=2):
    """A velocity and a pressure, as one function on a small mesh."""
    mesh = firedrake.UnitSquareMesh(cells, cells)
    V = firedrake.VectorFunctionSpace(mesh, "CG", degree)
    z = firedrake.Function(V * firedrake.FunctionSpace(mesh, "CG", 1))
    x, y = firedrake.SpatialCoordinate(mesh)
    z.subfunctions[0].interpolate(firedrake.as_vector((firedrake.sin(x), x * y / 3)))
    z.subfunctions[1].interpolate(firedrake.cos(y))
    return z


@pytest.fixture
def saved(firedrake, tmp_path):
    """A checkpoint's path, and what is in it."""
    z = flow(firedrake)
    path = tmp_path / "run.h5"
    checkpoint.save_checkpoint(path, ABOUT, {"flow": z}, force=np.arange(6.0).reshape(3, 2), step=3)
    return path, z


def load(firedrake, path, about=ABOUT, **sizes):
    """Load into a function of zeros, which a refusal must leave as it is."""
    z = flow(firedrake, **sizes).assign(0)
    try:
        return checkpoint.load_checkpoint(path, about, {"flow": z}), z
    except ValueError:
        assert all(not part.dat.data_ro.any() for part in z.subfunctions)
        raise


def test_everything_comes_back(firedrake, saved):
    path, z = saved
    series, back = load(firedrake, path)
    for one, other in zip(z.subfunctions, back.subfunctions, strict=True):
        assert np.array_equal(one.dat.data_ro, other.dat.data_ro)
    assert np.array_equal(series["force"], np.arange(6.0).reshape(3, 2))
    assert int(series["step"]) == 3
    assert [file.name for file in path.parent.iterdir()] == ["run.h5"], "no .partial is left"


def test_rounding_makes_no_other_run(firedrake, saved):
    about = ABOUT | {"Ra": ABOUT["Ra"] * (1 + 1e-15)}
    assert load(firedrake, saved[0], about)[0]["step"] == 3


def test_no_checkpoint_is_no_error(firedrake, tmp_path):
    assert load(firedrake, tmp_path / "none.h5")[0] is None


def test_a_half_written_file_is_not_taken(firedrake, saved, monkeypatch):
    path, z = saved
    before = path.read_bytes()
    monkeypatch.setattr(checkpoint.os, "fsync", lambda _: 1 / 0)  # as late as it can be interrupted
    with pytest.raises(ZeroDivisionError):
        checkpoint.save_checkpoint(path, ABOUT, {"flow": z}, step=4)
    assert path.read_bytes() == before
    assert load(firedrake, path)[0]["step"] == 3


@pytest.mark.parametrize("damage", ["cut off", "one bit", "empty", "text"])
def test_a_damaged_checkpoint_is_refused(firedrake, saved, damage):
    path, _ = saved
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(
        {
            "cut off": path.read_bytes()[: len(content) // 2],
            "one bit": bytes(content),
            "empty": b"",
            "text": b"not a checkpoint at all\n",
        }[damage]
    )
    with pytest.raises(ValueError, match=r"run\.h5: damaged.* expected \w{12}.* got b"):
        load(firedrake, path)


@pytest.mark.parametrize(
    "about, sizes, message",
    [
        ({"Ra": 2e6}, {}, r"Ra: expected 2000000\.0, got 1000000\.0$"),
        ({"chapter": "other"}, {}, r"chapter: expected other, got test$"),
        ({"tolerance": 1e-9}, {}, r"tolerance: expected 1e-09, got None$"),
        ({}, {"cells": 4}, r"mesh: expected 25 vertices, 32 cells, .* got 16 vertices, 18 cells"),
        ({}, {"degree": 3}, r"functions: expected .*CG3 .* got .*CG2 "),
    ],
)
def test_a_foreign_checkpoint_is_refused(firedrake, saved, about, sizes, message):
    with pytest.raises(ValueError, match=r"run\.h5 is of another run: " + message):
        load(firedrake, saved[0], ABOUT | about, **sizes)


MARCH = """
# A page

```{code-cell} python
import os
import numpy as np
from firedrake import *
from book import key_number
from checkpoint import load_checkpoint, save_checkpoint

mesh = UnitSquareMesh(6, 6)
V = FunctionSpace(mesh, "CG", 2)
u, new, φ = Function(V), Function(V), TestFunction(V)
x, y = SpatialCoordinate(mesh)
u.interpolate(sin(3 * x) * y)
solver = LinearVariationalSolver(
    LinearVariationalProblem(
        (TrialFunction(V) * φ + 0.01 * inner(grad(TrialFunction(V)), grad(φ))) * dx,
        u * φ * dx,
        new,
    ),
    solver_parameters={"ksp_type": "cg", "pc_type": "jacobi", "ksp_rtol": 1e-10},
)
state, energies = {"u": u, "new": new}, []
saved = load_checkpoint(os.environ["CHECKPOINT"], {"δt": 0.01}, state)
if saved:
    energies = list(saved["energies"])
key_number("resumed_at", len(energies), "d")
for step in range(len(energies), int(os.environ["STEPS"])):
    solver.solve()
    u.assign(new)
    energies.append(assemble(u**2 * dx))
    save_checkpoint(os.environ["CHECKPOINT"], {"δt": 0.01}, state, energies=energies)
key_number("energy", energies[-1])
key_number("sum", sum(energies))
```
"""


@pytest.mark.mpi
def test_resumed_equals_uninterrupted(book):
    book.write(MARCH)

    def march(n, steps, file):
        environment = {"CHECKPOINT": str(book.root / file), "STEPS": str(steps)}
        return ranks.run(book.root, "page", n, environment)

    whole = march(2, 6, "whole.h5")
    march(2, 3, "part.h5")
    shutil.copy(book.root / "part.h5", book.root / "copy.h5")
    assert march(2, 6, "part.h5") == whole | {"resumed_at": 3}, "not equal to the bit"
    on_one = march(1, 6, "copy.h5")  # another partition, and another sequence of sums
    assert on_one == pytest.approx(whole | {"resumed_at": 3}, rel=1e-8)


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("chapter", RESUMABLE)
def test_a_killed_chapter_resumes(chapter, n, tmp_path):
    file = tmp_path / "run.h5"
    command = [sys.executable, str(ROOT / "tools" / "ranks.py"), chapter, "-n", str(n)]
    first = subprocess.Popen(command, env=os.environ | {"CHECKPOINT": str(file)})
    while not file.exists():
        assert first.poll() is None, "it ended before it could be interrupted"
        time.sleep(0.1)
    time.sleep(1)  # in the midst of the run: a file is written every few seconds
    first.terminate()  # as a batch system does; SIGINT is ignored in the background
    first.wait()
    numbers = ranks.run(ROOT, chapter, n, {"CHECKPOINT": str(file)})
    assert ranks.compare(ROOT, chapter, numbers) == []
