"""The helper module says what it expected and what came."""

import importlib
import io
import os
import shutil
import subprocess
import sys

import book
import matplotlib
import numpy as np
import pytest
from PIL import Image

matplotlib.use("agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("no good", 1.0, ValueError, "expected a name of letters"),
        ("vector", np.ones(2), TypeError, "expected one real number"),
        ("text", "1", TypeError, "expected one real number"),
        ("truth", True, TypeError, "expected one real number"),
        ("nothing", np.nan, ValueError, "expected a finite number"),
        (None, 1.0, ValueError, "expected a name of letters"),
    ],
)
def test_key_number_refuses(name, value, error, message):
    with pytest.raises(error, match=message):
        book.key_number(name, value)


@pytest.mark.parametrize("fmt", ["s", "%.3g", "words", 3])
def test_key_number_refuses_a_format(fmt, capsys):
    with pytest.raises(ValueError, match=r"half: expected a format that fits 0.5, such as '.3g'"):
        book.key_number("half", 0.5, fmt)


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
        (range(3), {"alt": " "}, "expected an alternative text .* got ' '"),
        (range(3), {"alt": None}, "expected an alternative text .* got None"),
        (range(301), {}, "at most 300 frames, got 301"),
        (iter(range(301)), {}, "at most 300 frames, got more"),
        ([], {}, "at least one frame"),
        (iter([]), {}, "at least one frame"),
        (0, {}, "at least one frame"),
        (None, {}, "expected frames to go through, got None"),
        (range(3), {"megabytes": 1e-4}, "at most 0.0001 MB, got 0.00"),
        (range(3), {"megabytes": -1}, "expected a positive number as megabytes, got -1"),
        (range(3), {"fps": 0}, "expected a positive number as fps, got 0"),
        (range(3), {"fps": np.nan}, "expected a positive number as fps, got nan"),
        (range(3), {"dpi": -110}, "expected a positive number as dpi, got -110"),
        (range(3), {"dpi": "110"}, "expected a positive number as dpi, got '110'"),
        (range(3), {"poster": 3}, "expected a frame from 0 to 2 as poster, got 3"),
        (range(3), {"poster": -1}, "expected a frame from 0 to 2 as poster, got -1"),
        (range(3), {"poster": 1.5}, "expected a frame from 0 to 2 as poster, got 1.5"),
        (iter(range(3)), {"poster": 3}, "expected a frame from 0 to 2 as poster, got 3"),
    ],
)
def test_movie_refuses(frames, options, message):
    with pytest.raises(ValueError, match=message):
        film(frames, **options)


def test_movie_refuses_what_it_cannot_draw():
    fig, _ = plt.subplots()
    with pytest.raises(ValueError, match=r"expected a function that moves to a frame, got 3"):
        book.movie(fig, 3, range(3), alt="nothing")
    with pytest.raises(ValueError, match=r"expected frames of .* pixels, got .* in frame 0"):
        book.movie(fig, lambda k: fig.set_size_inches(2 + k, 2), range(3), alt="it grows")
    plt.close(fig)
    with pytest.raises(ValueError, match="expected an open figure, got one that has been closed"):
        book.movie(fig, lambda k: None, range(3), alt="nothing")
    with pytest.raises(ValueError, match="expected a matplotlib figure, got None"):
        book.movie(None, lambda k: None, range(3), alt="nothing")


@pytest.mark.parametrize("frames, poster, shown", [(4, None, 2), (4, 0, 0), (4, 3, 3)])
def test_the_poster_is_the_frame_asked_for(frames, poster, shown):
    """Frame k is a patch of the grey 60 k, all over the picture."""

    def grey(wanted):
        fig = plt.figure(figsize=(1, 1))
        greys = lambda k: fig.set_facecolor([60 * k / 255] * 3)  # noqa: E731
        video = book.movie(fig, greys, frames, alt="grey", poster=wanted)
        return Image.open(io.BytesIO(video.poster)).convert("L").getextrema()

    assert grey(poster) == (60 * shown, 60 * shown)


@pytest.mark.parametrize(
    "behaviour, message",
    [
        ("head -c 10000 >/dev/null; exit 3", "failed with status 3"),  # frames remain unread
        ("cat >/dev/null; exit 3", "failed with status 3"),
        ("cat >/dev/null; echo it hurts >&2; exit 1", "failed with status 1: it hurts"),
        ("head -c 10000 >/dev/null; kill -9 $$", "failed with status -9"),
        ("head -c 10000 >/dev/null; exit 0", "failed with status 0: .*Broken pipe"),
        ("cat >/dev/null", "expected a whole mp4 file, got 0 bytes"),
        ("$FFMPEG $@; truncate -s -9 ${@: -1}", "expected a whole mp4 file, got [0-9]{3,} bytes"),
        ("$FFMPEG $@; yes hello | head -c 999999 >&2", None),  # talks much, and does its work
    ],
)
def test_movie_judges_its_encoder(tmp_path, monkeypatch, behaviour, message):
    monkeypatch.setenv("FFMPEG", shutil.which("ffmpeg"))
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/bash\n{behaviour}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if message is None:
        assert film(range(3)).mp4
        return
    with pytest.raises(RuntimeError, match=f"movie: ffmpeg .*{message}"):
        film(range(30))


def test_a_failed_encoder_does_not_end_a_firedrake_chapter(tmp_path):
    """PETSc would end the process, without a word, where a pipe breaks."""
    pytest.importorskip("petsc4py")
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nhead -c 10000 >/dev/null\nexit 3\n")
    program.chmod(0o755)
    (tmp_path / "chapter.py").write_text(
        "from petsc4py import PETSc\n"
        "import book, matplotlib.pyplot as plt\n"
        "fig, ax = plt.subplots()\n"
        "try:\n"
        "    book.movie(fig, lambda k: None, range(30), alt='nothing moves')\n"
        "except RuntimeError as error:\n"
        "    print(error)\n"
    )
    own = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "MPLBACKEND": "agg"}
    own["PYTHONPATH"] = os.path.dirname(book.__file__)
    done = subprocess.run(
        [sys.executable, tmp_path / "chapter.py"], env=own, capture_output=True, text=True
    )
    assert "movie: ffmpeg failed with status 3" in done.stdout, done.stderr
    assert done.returncode == 0


def test_movie_has_all_its_frames(tmp_path):
    (tmp_path / "movie.mp4").write_bytes(film(range(7)).mp4)
    count = "ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0"
    found = subprocess.run([*count.split(), tmp_path / "movie.mp4"], capture_output=True, text=True)
    assert found.stdout.strip() == "7"


def test_progress_passes_everything_on(monkeypatch, tmp_path):
    assert list(book.progress(range(3), "steps")) == [0, 1, 2]
    status = tmp_path / "status"
    monkeypatch.setenv("BOOK_PROGRESS", str(status))
    steps = book.progress(range(3), "steps")
    assert next(steps) == 0
    assert status.read_text() == "steps 0 of 3"
    assert list(steps) == [1, 2]
    assert not status.exists()
    for step in book.progress(range(3), "steps"):
        if step == 1:
            break  # and nothing of it is shown any longer
    assert not status.exists()


@pytest.mark.parametrize(
    "steps, total, message",
    [
        (5, None, r"expected steps to go through, as range\(5\), got 5"),
        (iter([]), -1, "expected a number of steps as total, got -1"),
        (iter([]), 2.5, "expected a number of steps as total, got 2.5"),
    ],
)
def test_progress_refuses(steps, total, message):
    with pytest.raises(ValueError, match=message):
        book.progress(steps, "steps", total)


def test_slope():
    x = np.array([1, 2, 5, 9])
    assert book.slope(x, 3 * x**-1.5) == pytest.approx(-1.5, rel=1e-12)
    assert book.slope([1, 10], [1, 100]) == pytest.approx(2, rel=1e-12)


@pytest.mark.parametrize(
    "x, y, message",
    [
        ([1, 2], [1, 2, 3], r"as many x as y, got shapes \(2,\) and \(3,\)"),
        ([[1, 2]], [[1, 2]], "as many x as y, got shapes"),
        ([1, 2], [1, 0], "positive, finite y, got"),
        ([-1, 2], [1, 1], "positive, finite x, got"),
        ([1, 2], [1, np.nan], "positive, finite y, got"),
        ([2, 2], [1, 3], "at least two different x, got"),
        ([], [], "at least two different x, got"),
    ],
)
def test_slope_refuses(x, y, message):
    with pytest.raises(ValueError, match=f"slope: expected {message}"):
        book.slope(x, y)


def test_table():
    shown = book.table(["scheme", r"$\|e\|$"], [["a|b", 2], ["two\nlines", "$|x|$"]])
    assert shown.data.splitlines() == [
        r"| scheme | $\\|e\\|$ |",
        "| --- | --- |",
        r"| a\|b | 2 |",
        r"| two lines | $\|x\|$ |",
    ]


@pytest.mark.parametrize(
    "heads, rows, message",
    [
        ([], [[]], "expected columns and rows, got 0 columns and 1 rows"),
        (["a"], [], "expected columns and rows, got 1 columns and 0 rows"),
        (["a", "b"], [[1, 2], [1]], "expected 2 cells in each row, got 1 in row 2"),
    ],
)
def test_table_refuses(heads, rows, message):
    with pytest.raises(ValueError, match=message):
        book.table(heads, rows)


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
    with pytest.raises(ValueError, match="expected a mesh or a function space, got 3"):
        book.triangles(3)
    with pytest.raises(ValueError, match="expected a Firedrake function, got 3"):
        book.extrema(3)
    scalar.dat.data[0] = np.nan
    with pytest.raises(ValueError, match="expected finite values"):
        book.extrema(scalar)


@pytest.mark.parametrize("family, degree", [("CG", 1), ("CG", 2), ("DG", 0), ("DG", 1)])
def test_draw_field(firedrake, family, degree):
    """An affine function has its own value wherever a point is drawn, or its cell's mean."""
    mesh = firedrake.UnitSquareMesh(3, 2, diagonal="crossed")
    function = firedrake.Function(firedrake.FunctionSpace(mesh, family, degree))
    x, y = firedrake.SpatialCoordinate(mesh)
    function.interpolate(x - 2 * y)
    fig, ax = plt.subplots()
    artist = book.draw_field(ax, function, "a plane", cmap="magma")
    assert ax.get_title() == "a plane" and ax.get_aspect() == 1 and ax.get_xlabel() == "$x$"
    assert artist.get_cmap().name == "magma"
    if degree:
        points = artist._triangulation.x, artist._triangulation.y
    else:
        corners = np.array([path.vertices[:3] for path in artist.get_paths()])
        points = corners.mean(axis=1).T
    assert np.asarray(artist.get_array()) == pytest.approx(points[0] - 2 * points[1])
    artist.set_array(function.dat.data_ro_with_halos + 1)
    fig.canvas.draw()


def test_draw_field_refuses(firedrake):
    mesh, ax = firedrake.UnitSquareMesh(2, 2), plt.figure().subplots()
    with pytest.raises(ValueError, match=r"expected a Firedrake function, got 'u'"):
        book.draw_field(ax, "u")
    with pytest.raises(ValueError, match=r"expected scalar .* got a vector of"):
        book.draw_field(ax, firedrake.Function(firedrake.VectorFunctionSpace(mesh, "CG", 1)))
    with pytest.raises(ValueError, match=r"expected scalar .* got .*CG3"):
        book.draw_field(ax, firedrake.Function(firedrake.FunctionSpace(mesh, "CG", 3)))


def test_triangles_of_quadratic_elements(firedrake):
    mesh = firedrake.UnitSquareMesh(3, 2, diagonal="crossed")
    V = firedrake.FunctionSpace(mesh, "CG", 2)
    drawn = book.triangles(V)
    x, y = drawn.x[drawn.triangles].T, drawn.y[drawn.triangles].T
    areas = np.abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])) / 2
    assert areas == pytest.approx(1 / (3 * 2 * 4 * 4)), "the quarters do not cover their cells"
    values = firedrake.Function(V).interpolate(firedrake.SpatialCoordinate(mesh)[0] ** 2)
    assert values.dat.data_ro == pytest.approx(drawn.x**2)
    with pytest.raises(ValueError, match=r"expected scalar linear or .* quadratic elements, got"):
        book.triangles(firedrake.FunctionSpace(mesh, "CG", 3))
