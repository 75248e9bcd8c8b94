"""The helper module says what it expected and what came."""

import importlib
import sys

import book
import matplotlib
import numpy as np
import pytest

matplotlib.use("agg")
import matplotlib.pyplot as plt


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("no good", 1.0, ValueError, "expected a name of letters"),
        ("vector", np.ones(2), TypeError, "expected one real number"),
        ("text", "1", TypeError, "expected one real number"),
        ("truth", True, TypeError, "expected one real number"),
        ("nothing", np.nan, ValueError, "expected a finite number"),
    ],
)
def test_key_number_refuses(name, value, error, message):
    with pytest.raises(error, match=message):
        book.key_number(name, value)


def test_key_number_in_a_script(tmp_path, monkeypatch, capsys):
    importlib.import_module("ipykernel")  # as libraries do: a script is a script all the same
    monkeypatch.setenv("KEY_NUMBERS", str(tmp_path / "numbers"))
    book.key_number("half", np.array(0.5), ".2f")
    assert capsys.readouterr().out == "half = 0.50\n"
    assert (tmp_path / "numbers").read_text() == '{"name": "half", "value": 0.5}\n'


def film(frames, **options):
    fig, ax = plt.subplots(figsize=(1, 1))
    (line,) = ax.plot([0, 1], [0, 1])
    return book.movie(
        fig, lambda k: line.set_ydata([0, k]), frames, **({"alt": "a line"} | options)
    )


def test_movie():
    video = film(range(3))
    data = video._repr_mimebundle_()
    assert "<video controls" in data["text/html"] and 'preload="none"' in data["text/html"]
    assert video.mp4[4:8] == b"ftyp" and video.poster[1:4] == b"PNG"
    assert not plt.get_fignums(), "the figure is left open, and the notebook would show it"


@pytest.mark.parametrize(
    "frames, options, message",
    [
        (range(3), {"alt": " "}, "alternative text"),
        (range(301), {}, "at most 300 frames, got 301"),
        (iter(range(301)), {}, "at most 300 frames, got more"),
        ([], {}, "at least one frame"),
        (range(3), {"megabytes": 1e-4}, "at most 0.0001 MB, got 0.00"),
    ],
)
def test_movie_refuses(frames, options, message):
    with pytest.raises(ValueError, match=message):
        film(frames, **options)


def test_progress_passes_everything_on(monkeypatch, tmp_path):
    assert list(book.progress(range(3), "steps")) == [0, 1, 2]
    status = tmp_path / "status"
    monkeypatch.setenv("BOOK_PROGRESS", str(status))
    steps = book.progress(range(3), "steps")
    assert next(steps) == 0
    assert status.read_text() == "steps 0 of 3"
    assert list(steps) == [1, 2]
    assert not status.exists()


def test_extrema_and_triangles(firedrake):
    mesh = firedrake.UnitSquareMesh(4, 4)
    x, y = firedrake.SpatialCoordinate(mesh)
    scalar = firedrake.Function(firedrake.FunctionSpace(mesh, "CG", 1)).interpolate(x - 2 * y)
    vector = firedrake.Function(firedrake.VectorFunctionSpace(mesh, "CG", 1))
    vector.interpolate(firedrake.as_vector((3 * x, 4 * x)))
    assert book.extrema(scalar) == pytest.approx((-2, 1))
    assert book.extrema(vector) == pytest.approx((0, 5))
    drawn = book.triangles(mesh)
    assert len(drawn.triangles) == 32
    assert drawn.x - 2 * drawn.y == pytest.approx(scalar.dat.data_ro)
    with pytest.raises(ValueError, match="4 nodes a cell"):
        book.triangles(firedrake.UnitSquareMesh(2, 2, quadrilateral=True))


def test_triangles_of_quadratic_elements(firedrake):
    mesh = firedrake.UnitSquareMesh(3, 2, diagonal="crossed")
    V = firedrake.FunctionSpace(mesh, "CG", 2)
    drawn = book.triangles(V)
    x, y = drawn.x[drawn.triangles].T, drawn.y[drawn.triangles].T
    areas = np.abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])) / 2
    assert areas == pytest.approx(1 / (3 * 2 * 4 * 4)), "the quarters do not cover their cells"
    values = firedrake.Function(V).interpolate(firedrake.SpatialCoordinate(mesh)[0] ** 2)
    assert values.dat.data_ro == pytest.approx(drawn.x**2)
    with pytest.raises(ValueError, match="expected scalar quadratic elements, got"):
        book.triangles(firedrake.FunctionSpace(mesh, "CG", 3))
