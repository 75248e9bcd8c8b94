"""What the chapters share: style, figures and movies, tables, key numbers, progress, extrema.

No physics lives here.  A chapter imports what it needs::

    from book import extrema, key_number, movie, progress, use_style

Whatever is refused is refused with what was expected and what came.
"""

from __future__ import annotations

import base64
import contextlib
import html
import io
import json
import numbers
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.tri
import numpy as np
from explorable import explore
from matplotlib.backends.backend_agg import FigureCanvasAgg
from running import in_notebook, is_root, progress

__all__ = [
    "COLOURS",
    "draw_field",
    "explore",
    "extrema",
    "key_number",
    "movie",
    "progress",
    "slope",
    "table",
    "triangles",
    "use_style",
]

#: Okabe and Ito's eight colours, told apart by every kind of colour vision (10.1038/nmeth.1618);
#: the yellow comes last because it is faint on white.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442"]

MOVIE_FRAMES = 300
MOVIE_MEGABYTES = 1.5


def use_style() -> None:
    """Set the book's look for every figure that follows.

    Letters stay legible when a six-inch figure is shown 345 pixels wide, and the background is
    white so that a figure reads the same on a light and on a dark page.
    """
    mpl.rcParams.update(
        {
            "figure.figsize": (6.0, 3.7),
            "figure.dpi": 144,
            "savefig.dpi": 144,
            "figure.facecolor": "white",
            "savefig.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 11,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.prop_cycle": mpl.cycler(color=COLOURS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "grid.color": "#d8d8d8",
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "image.cmap": "viridis",
            "contour.linewidth": 0.8,
        }
    )


# ----------------------------------------------------------------------- fields, ranks


def extrema(function) -> tuple[float, float]:
    """Smallest and greatest nodal value of a Firedrake function, over all ranks.

    Parameters
    ----------
    function
        A ``firedrake.Function``; for a vector-valued one the extrema are those of the
        Euclidean length of its nodal values.

    Returns
    -------
    (smallest, greatest), in the units of the function.

    Raises
    ------
    ValueError
        If it is no such function, has no degree of freedom on any rank, or a value that is not
        finite.
    """
    from mpi4py import MPI

    if not hasattr(function, "dat") or not hasattr(function, "function_space"):
        raise ValueError(f"extrema: expected a Firedrake function, got {function!r}")
    values = function.dat.data_ro
    if not isinstance(values, np.ndarray):
        raise ValueError("extrema: expected a function of one space, got one of a mixed space")
    if values.ndim > 1:
        values = np.linalg.norm(values.reshape(len(values), -1), axis=1)
    comm = function.function_space().mesh().comm
    low = comm.allreduce(float(values.min(initial=np.inf)), op=MPI.MIN)
    high = comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX)
    if low > high:
        raise ValueError("extrema: expected a function with at least one degree of freedom")
    if not comm.allreduce(bool(np.isfinite(values).all()), op=MPI.LAND):
        raise ValueError("extrema: expected finite values, got some that are not")
    return low, high


def triangles(domain) -> mpl.tri.Triangulation:
    """This rank's part of a triangular Firedrake mesh, as matplotlib's Triangulation.

    Its points are numbered like the nodes of a P1 function, so ``tripcolor(triangles(mesh),
    u.dat.data_ro_with_halos)`` draws ``u`` and ``set_array`` updates the drawing.

    Parameters
    ----------
    domain
        A mesh, or a scalar function space of linear elements, continuous or not, or of continuous
        quadratic ones. Of a space all nodes are points; a quadratic cell is drawn as four triangles.

    Raises
    ------
    ValueError
        If the mesh is not made of straight triangles in the plane, or the space is another one.
    """
    if not hasattr(domain, "coordinates") and not hasattr(domain, "mesh"):
        raise ValueError(f"triangles: expected a mesh or a function space, got {domain!r}")
    mesh = domain if hasattr(domain, "coordinates") else domain.mesh()
    coordinates = mesh.coordinates
    cells = coordinates.cell_node_map().values_with_halo
    points = coordinates.dat.data_ro_with_halos
    if cells.shape[1] != 3 or points.shape[1] != 2:
        raise ValueError(
            "triangles: expected straight triangles in the plane (3 nodes a cell, 2 coordinates),"
            f" got {cells.shape[1]} nodes a cell and {points.shape[1]} coordinates"
        )
    if domain is not mesh:
        from firedrake import Function, SpatialCoordinate, VectorFunctionSpace

        element = domain.ufl_element()
        kind, scalar = (element.family(), element.degree()), domain.value_size == 1
        drawn = {("Lagrange", 1), ("Lagrange", 2), ("Discontinuous Lagrange", 1)}
        if kind not in drawn or not scalar:
            raise ValueError(
                "triangles: expected scalar linear or continuous quadratic elements,"
                f" got {'' if scalar else 'a vector of '}{element}"
            )
        nodes = Function(VectorFunctionSpace(mesh, element)).interpolate(SpatialCoordinate(mesh))
        points = nodes.dat.data_ro_with_halos
        cells = domain.cell_node_map().values_with_halo
        if kind == ("Lagrange", 2):
            of_entities = domain.finat_element.entity_dofs()
            a, b, c = (of_entities[0][k][0] for k in range(3))
            bc, ca, ab = (of_entities[1][k][0] for k in range(3))  # the edges opposite to them
            cells = cells[:, [[a, ab, ca], [ab, b, bc], [ca, bc, c], [bc, ca, ab]]].reshape(-1, 3)
    return mpl.tri.Triangulation(points[:, 0], points[:, 1], cells)


def draw_field(ax, function, title: str | None = None, **options):
    """Draw a scalar function over its mesh of triangles in the plane.

    Parameters
    ----------
    ax
        Where to draw; it gets equal scales, the names x and y, and no grid.
    function
        A ``firedrake.Function``: constant on each cell, or one that ``triangles`` can draw.
    title
        What is shown, with its unit.
    options
        matplotlib's for ``tripcolor``: ``cmap``, ``vmin``, ``vmax``, ...

    Returns
    -------
    The artist, for ``fig.colorbar``; ``set_array(function.dat.data_ro_with_halos)`` updates it.

    Raises
    ------
    ValueError
        If it is not such a function.
    """
    if not hasattr(function, "dat") or not hasattr(function, "function_space"):
        raise ValueError(f"draw_field: expected a Firedrake function, got {function!r}")
    space = function.function_space()
    element = space.ufl_element()
    by_cell = (element.family(), element.degree()) == ("Discontinuous Lagrange", 0)
    if by_cell and space.value_size == 1:
        points, look = triangles(space.mesh()), {}
    else:
        points, look = triangles(space), {"shading": "gouraud"}
    picture = ax.tripcolor(points, function.dat.data_ro_with_halos, **look | options)
    ax.set(aspect="equal", xlabel="$x$", ylabel="$y$")
    if title is not None:
        ax.set_title(title)
    ax.grid(False)
    return picture


# --------------------------------------------------------------------- tables, slopes


def table(heads: Iterable, rows: Iterable[Iterable]):
    """A table, shown where it is the last expression of a cell.

    Parameters
    ----------
    heads
        The columns' names.
    rows
        The cells of each row: text, which may hold MyST and TeX, or whatever ``str`` makes legible.

    Raises
    ------
    ValueError
        If there is no column or no row, or a row has not one cell for each column.
    """
    from IPython.display import Markdown

    heads, rows = list(heads), [list(row) for row in rows]
    if not heads or not rows:
        raise ValueError(
            f"table: expected columns and rows, got {len(heads)} columns and {len(rows)} rows"
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(heads):
            raise ValueError(
                f"table: expected {len(heads)} cells in each row, got {len(row)} in row {number}"
            )

    def line(cells):
        texts = (" ".join(str(cell).replace("|", "\\|").split()) for cell in cells)
        return "| " + " | ".join(texts) + " |"

    return Markdown("\n".join([line(heads), line(["---"] * len(heads)), *map(line, rows)]))


def slope(x, y) -> float:
    """The exponent p of the power law y = c x^p that fits best: least squares in log x, log y.

    Parameters
    ----------
    x, y
        As many positive numbers each; at least two different x.

    Raises
    ------
    ValueError
        If they are not such numbers.
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"slope: expected as many x as y, got shapes {x.shape} and {y.shape}")
    for name, values in (("x", x), ("y", y)):
        if not np.all(np.isfinite(values) & (values > 0)):
            raise ValueError(f"slope: expected positive, finite {name}, got {values}")
    if len(np.unique(x)) < 2:
        raise ValueError(f"slope: expected at least two different x, got {x}")
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


# ------------------------------------------------------------------------ key numbers


def key_number(name: str, value: float, fmt: str = ".6g") -> None:
    """Record a number that the text quotes and that ``tests/key_numbers/`` expects.

    The text quotes it as ``{glue:text}`name:.3g``` and the ledger page shows it in ``fmt``.
    It is printed, but not while the book is built: there the text quotes it.  In a script (no
    notebook) it is printed once, however many ranks there are, and appended to the file that the
    environment variable ``KEY_NUMBERS`` names.

    Parameters
    ----------
    name
        A word of letters, digits and underscores, unique in its chapter.
    value
        One real, finite number.
    fmt
        A format specification such as ``".3g"``.

    Raises
    ------
    ValueError
        If the name is not such a word, the value is not finite, or the format does not fit it.
    TypeError
        If the value is not one real number.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"key_number: expected a name of letters, digits and _, got {name!r}")
    value = (
        value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"key_number {name}: expected one real number, got {value!r}")
    value = int(value) if isinstance(value, numbers.Integral) else float(value)
    if not np.isfinite(value):
        raise ValueError(f"key_number {name}: expected a finite number, got {value}")
    try:
        shown = format(value, fmt)
    except (ValueError, TypeError):
        raise ValueError(
            f"key_number {name}: expected a format that fits {value}, such as '.3g', got {fmt!r}"
        ) from None

    if in_notebook():
        from IPython.display import display

        prefix = "application/papermill.record/"  # myst-nb's mark for "keep, do not show"
        display(
            {prefix + "text/plain": repr(value)},
            metadata={"scrapbook": {"name": name, "mime_prefix": prefix, "format": fmt}},
            raw=True,
        )
        if "BOOK_PROGRESS" not in os.environ:  # somebody works with the notebook
            print(f"{name} = {shown}")
        return
    if is_root():
        print(f"{name} = {shown}")
        if path := os.environ.get("KEY_NUMBERS"):
            with open(path, "a") as file:
                file.write(json.dumps({"name": name, "value": value}) + "\n")


# ----------------------------------------------------------------------------- movies


class Video:
    """A movie as a notebook shows it: controls, a poster frame, nothing loaded before play."""

    def __init__(self, mp4: bytes, poster: bytes, alt: str, size: tuple[int, int]):
        self.mp4, self.poster, self.alt, self.size = mp4, poster, alt, size

    def _repr_mimebundle_(self, include=None, exclude=None):
        width, height = self.size
        video = base64.b64encode(self.mp4).decode()
        poster = base64.b64encode(self.poster).decode()
        tag = (
            f'<video controls loop muted playsinline preload="none" width="{width}" height="{height}"'
            f' style="max-width:100%;height:auto" aria-label="{html.escape(self.alt, quote=True)}"'
            f' poster="data:image/png;base64,{poster}" src="data:video/mp4;base64,{video}"></video>'
        )
        return {"text/html": tag, "image/png": poster, "text/plain": f"movie: {self.alt}"}


def movie(
    fig: plt.Figure,
    update: Callable,
    frames: Iterable,
    *,
    alt: str,
    fps: int = 25,
    dpi: int = 110,
    poster: int | None = None,
    megabytes: float = MOVIE_MEGABYTES,
) -> Video:
    """Encode a movie, frame by frame, and close the figure.

    Parameters
    ----------
    fig
        The figure, drawn once.
    update
        ``update(frame)`` moves the artists of ``fig`` to that frame (``set_data``, ``set_array``,
        ``set_UVC``); drawing anew is what makes movies slow.
    frames
        What ``update`` is called with, one after the other: at most 300, never kept.
    alt
        What is to be seen, for readers who cannot see it.
    fps
        Frames a second.
    dpi
        Dots an inch of the movie.
    poster
        The number of the frame shown before the movie plays, from 0.  If not given, the middle one;
        of frames that cannot be counted beforehand, the first.
    megabytes
        The greatest size of the encoded movie, in 1e6 bytes.

    Raises
    ------
    ValueError
        If ``alt`` is empty, there is no frame or more than 300, the movie is too large, or an
        argument is impossible.
    RuntimeError
        If ffmpeg is not installed or fails.
    """
    frames = range(frames) if isinstance(frames, numbers.Integral) else frames
    count = len(frames) if hasattr(frames, "__len__") else None
    if not isinstance(fig, mpl.figure.Figure):
        raise ValueError(f"movie: expected a matplotlib figure, got {fig!r}")
    if not plt.fignum_exists(getattr(fig, "number", None)):
        raise ValueError("movie: expected an open figure, got one that has been closed")
    if not callable(update):
        raise ValueError(f"movie: expected a function that moves to a frame, got {update!r}")
    if not isinstance(frames, Iterable):
        raise ValueError(f"movie: expected frames to go through, got {frames!r}")
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(
            f"movie: expected an alternative text that says what is to be seen, got {alt!r}"
        )
    for name, value in (("fps", fps), ("dpi", dpi), ("megabytes", megabytes)):
        if not isinstance(value, numbers.Real) or not 0 < value < np.inf:
            raise ValueError(f"movie: expected a positive number as {name}, got {value!r}")
    if count == 0:
        raise ValueError("movie: expected at least one frame, got none")
    if count is not None and count > MOVIE_FRAMES:
        raise ValueError(f"movie: expected at most {MOVIE_FRAMES} frames, got {count}")
    wanted = (count or 0) // 2 if poster is None else poster
    last = MOVIE_FRAMES - 1 if count is None else count - 1
    if not isinstance(wanted, numbers.Integral) or not 0 <= wanted <= last:
        raise ValueError(f"movie: expected a frame from 0 to {last} as poster, got {wanted!r}")
    if shutil.which("ffmpeg") is None:
        raise RuntimeError(
            "movie: the program ffmpeg was not found; apt.txt lists what the book needs"
        )

    fig.set_dpi(dpi)
    canvas = FigureCanvasAgg(fig)
    canvas.draw()  # lets the layout settle once; it must not breathe from frame to frame
    fig.set_layout_engine("none")
    width, height = canvas.get_width_height()
    count, poster_png = 0, None
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "movie.mp4"
        with _encoder(path, width, height, fps) as encoder:
            for count, frame in enumerate(progress(frames, "movie frames"), start=1):
                if count > MOVIE_FRAMES:
                    raise ValueError(f"movie: expected at most {MOVIE_FRAMES} frames, got more")
                update(frame)
                canvas.draw()
                if (got := canvas.get_width_height()) != (width, height):
                    raise ValueError(
                        f"movie: expected frames of {width} x {height} pixels, got {got[0]} x"
                        f" {got[1]} in frame {count - 1}"
                    )
                encoder.write(canvas.buffer_rgba())
                if count - 1 == wanted:
                    poster_png = _png(canvas)
            if count == 0:
                raise ValueError("movie: expected at least one frame, got none")
            if poster_png is None:
                raise ValueError(
                    f"movie: expected a frame from 0 to {count - 1} as poster, got {wanted}"
                )
        mp4 = path.read_bytes() if path.exists() else b""
    plt.close(fig)
    if not _whole(mp4):
        raise RuntimeError(
            f"movie: ffmpeg failed: expected a whole mp4 file, got {len(mp4)} bytes that are none"
        )
    if len(mp4) > megabytes * 1e6:
        raise ValueError(
            f"movie: expected at most {megabytes} MB, got {len(mp4) / 1e6:.2f} MB in {count} frames;"
            " fewer frames, a smaller figure or calmer textures help"
        )
    return Video(mp4, poster_png, alt, (width, height))


@contextlib.contextmanager
def _encoder(path: pathlib.Path, width: int, height: int, fps: int):
    """ffmpeg, writing a movie to ``path`` from the frames (RGBA bytes) that it is fed."""
    command = ["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgba"]
    command += ["-s", f"{width}x{height}", "-r", str(fps), "-i", "-", "-threads", "1"]
    # even sides, which the codec wants; index first, so that a browser starts at once
    command += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white", "-movflags", "+faststart"]
    command += "-c:v libx264 -pix_fmt yuv420p -crf 27 -preset slow".split()
    # As Python itself has it: PETSc, where it is loaded, ends the whole process when ffmpeg stops reading.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    with tempfile.TemporaryFile() as complaints:  # a pipe that nobody empties would fill, and hang
        process = subprocess.Popen(
            [*command, str(path)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=complaints,
        )  # fmt: skip
        unread = None
        try:
            try:
                yield process.stdin
                process.stdin.close()
            except BrokenPipeError as error:
                unread = error
            status = process.wait()
        finally:
            process.kill()
            process.wait()
        complaints.seek(0)
        words = complaints.read().decode(errors="replace").strip()[-2000:]
    if status or unread:
        raise RuntimeError(f"movie: ffmpeg failed with status {status}: {words or unread}")


def _whole(mp4: bytes) -> bool:
    """Whether the bytes are a complete mp4 file: its boxes follow one another up to the end."""
    kinds, place = set(), 0
    while place + 8 <= len(mp4):
        size, kind = int.from_bytes(mp4[place : place + 4], "big"), mp4[place + 4 : place + 8]
        if size == 1:  # the true size follows
            size = int.from_bytes(mp4[place + 8 : place + 16], "big")
        if size < 8:
            return False
        kinds.add(kind)
        place += size
    return place == len(mp4) and {b"ftyp", b"moov", b"mdat"} <= kinds


def _png(canvas) -> bytes:
    buffer = io.BytesIO()
    picture = np.asarray(canvas.buffer_rgba())
    plt.imsave(buffer, picture, format="png", pil_kwargs={"optimize": True})
    return buffer.getvalue()
