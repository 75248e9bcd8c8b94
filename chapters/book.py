"""What the chapters share: style, movies, key numbers, progress, extrema, checkpoints.

No physics lives here.  A chapter imports what it needs::

    from book import extrema, key_number, movie, progress, use_style
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import io
import json
import math
import numbers
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.tri
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg

__all__ = [
    "COLOURS",
    "extrema",
    "key_number",
    "load_checkpoint",
    "movie",
    "progress",
    "save_checkpoint",
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


# ------------------------------------------------------------------------------ ranks


def _world():
    """MPI's world where mpi4py has been imported by the chapter (Firedrake does), else None."""
    module = sys.modules.get("mpi4py.MPI")
    return None if module is None else module.COMM_WORLD


def _is_root() -> bool:
    world = _world()
    return world is None or world.rank == 0


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")  # any library may have imported it: ask for the kernel
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


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
        If the function has no degree of freedom on any rank.
    """
    from mpi4py import MPI

    values = function.dat.data_ro
    if values.ndim > 1:
        values = np.linalg.norm(values.reshape(len(values), -1), axis=1)
    comm = function.function_space().mesh().comm
    low = comm.allreduce(float(values.min(initial=np.inf)), op=MPI.MIN)
    high = comm.allreduce(float(values.max(initial=-np.inf)), op=MPI.MAX)
    if low > high:
        raise ValueError("extrema: expected a function with at least one degree of freedom")
    return low, high


def triangles(domain) -> mpl.tri.Triangulation:
    """This rank's part of a triangular Firedrake mesh, as matplotlib's Triangulation.

    Its points are numbered like the nodes of a P1 function, so ``tripcolor(triangles(mesh),
    u.dat.data_ro_with_halos)`` draws ``u`` and ``set_array`` updates the drawing.

    Parameters
    ----------
    domain
        A mesh, or a scalar function space of continuous quadratic elements. Of the latter all
        nodes are points, and each cell is drawn as four triangles.

    Raises
    ------
    ValueError
        If the mesh is not made of straight triangles in the plane, or the space is another one.
    """
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
        if (element.family(), element.degree(), domain.value_size) != ("Lagrange", 2, 1):
            raise ValueError(f"triangles: expected scalar quadratic elements, got {element}")
        nodes = Function(VectorFunctionSpace(mesh, element)).interpolate(SpatialCoordinate(mesh))
        points = nodes.dat.data_ro_with_halos
        of_entities = domain.finat_element.entity_dofs()
        a, b, c = (of_entities[0][k][0] for k in range(3))
        bc, ca, ab = (of_entities[1][k][0] for k in range(3))  # the edges opposite to them
        quarters = [[a, ab, ca], [ab, b, bc], [ca, bc, c], [bc, ca, ab]]
        cells = domain.cell_node_map().values_with_halo[:, quarters].reshape(-1, 3)
    return mpl.tri.Triangulation(points[:, 0], points[:, 1], cells)


# ------------------------------------------------------------------------ checkpoints


def save_checkpoint(path, about: dict, functions: dict, **series) -> None:
    """Write what a run needs in order to go on; the old file stays until the new one is whole.

    The file is that of Firedrake's ``CheckpointFile``; its last 64 bytes are its SHA-256 digest.

    Parameters
    ----------
    path
        The file; None for none, and then nothing is done.
    about
        What tells this run from others, ``{name: number or text}``: the chapter, its parameters.
        Real numbers are the same if they differ by less than one part in 1e9.
    functions
        ``{name: firedrake.Function}``, all on one mesh: whatever the next step depends on.
    series
        Arrays, the same on every rank: what has been recorded, and how far the run has come.
    """
    if path is None:
        return
    from firedrake import CheckpointFile

    path, (mesh, identity) = pathlib.Path(path), _identity(about, functions)
    partial = path.with_name(path.name + ".partial")
    with CheckpointFile(str(partial), "w", comm=mesh.comm) as file:
        file.save_mesh(mesh)
        for name, function in functions.items():
            file.save_function(function, name=name)
        file.set_attr("/", "about", json.dumps(identity))
        for name, values in series.items():
            file.h5pyfile.create_dataset(f"series/{name}", data=np.asarray(values))
    if mesh.comm.rank == 0:
        with open(partial, "r+b") as file:
            file.write(hashlib.file_digest(file, "sha256").hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    mesh.comm.barrier()


def load_checkpoint(path, about: dict, functions: dict) -> dict[str, np.ndarray] | None:
    """Fill ``functions`` from a file that ``save_checkpoint`` wrote, and return its series.

    On as many ranks as wrote the file every bit is as it was.  On another number the functions are
    interpolated from one partition of the mesh to the other, which rounds.

    Returns
    -------
    ``{name: array}``, or None if there is no such file, or ``path`` is None.

    Raises
    ------
    ValueError
        If the file is not whole, or belongs to another run or another mesh; it says what was
        expected and what came, on every rank, and leaves ``functions`` as they were.
    """
    if path is None:
        return None
    from firedrake import CheckpointFile
    from mpi4py import MPI

    path, (mesh, identity) = pathlib.Path(path), _identity(about, functions)
    found, complaint = mesh.comm.bcast(_examine(path) if mesh.comm.rank == 0 else None)
    if complaint:
        raise ValueError(f"checkpoint {path}: {complaint}; remove it to start anew")
    if not found:
        return None
    with CheckpointFile(str(path), "r", comm=mesh.comm) as file:
        saved = json.loads(file.get_attr("/", "about"))
        differ = [k for k in identity | saved if not _alike(identity.get(k), saved.get(k))]
        if differ:
            both = (f"{k}: expected {identity.get(k)}, got {saved.get(k)}" for k in differ)
            raise ValueError(f"checkpoint {path} is of another run: {'; '.join(both)}")
        old_mesh = file.load_mesh(mesh.name)
        for name, function in functions.items():
            old = file.load_function(old_mesh, name)
            for new_part, old_part in zip(function.subfunctions, old.subfunctions, strict=True):
                if mesh.comm.allreduce(_numbered_alike(new_part, old_part), op=MPI.LAND):
                    new_part.dat.data_wo_with_halos[:] = old_part.dat.data_ro_with_halos
                else:
                    new_part.interpolate(old_part)
        recorded = list(file.h5pyfile.get("series", ()))  # no handle may outlive the file
        return {name: file.h5pyfile[f"series/{name}"][()] for name in recorded}


def _identity(about, functions):
    """The mesh of the functions; and what a checkpoint says of itself, as JSON gives it back."""
    mesh = next(iter(functions.values())).subfunctions[0].function_space().mesh()
    vertices = mesh.coordinates.dat.data_ro  # each vertex belongs to one rank
    local = len(vertices), mesh.cell_set.size, sum(zlib.crc32(v.tobytes()) for v in vertices)
    counts = [mesh.comm.allreduce(number) for number in local]
    spaces = {name: str(f.function_space().ufl_element()) for name, f in functions.items()}
    own = {"mesh": "{} vertices, {} cells, checksum {}".format(*counts), "functions": spaces}
    return mesh, json.loads(json.dumps(about | own))


def _alike(one, other) -> bool:
    """Whether two entries agree; a computed number may be rounded otherwise on other ranks."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def _examine(path):
    """Whether there is a checkpoint, and what is wrong with it or None."""
    if not path.exists():
        return False, None
    content = path.read_bytes()
    content, digest = content[:-64], content[-64:]
    expected = hashlib.sha256(content).hexdigest()
    if digest == expected.encode():
        return True, None
    return True, (
        f"damaged, cut off or not a checkpoint of this book: expected {expected[:12]}... as its"
        f" last 64 bytes, the digest of the {len(content)} before them, got {digest[:12]!r}..."
    )


def _numbered_alike(one, other) -> bool:
    """Whether on this rank two functions have the same degrees of freedom at the same places."""
    spaces = one.function_space(), other.function_space()
    pairs = [
        [space.cell_node_map().values_with_halo for space in spaces],
        [space.mesh().coordinates.dat.data_ro_with_halos for space in spaces],
        [space.mesh().coordinates.cell_node_map().values_with_halo for space in spaces],
    ]
    return all(np.array_equal(*pair) for pair in pairs)


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
        If the name is not such a word, or the value is not finite.
    TypeError
        If the value is not one real number.
    """
    if not name.isidentifier():
        raise ValueError(f"key_number: expected a name of letters, digits and _, got {name!r}")
    value = (
        value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value
    )
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"key_number {name}: expected one real number, got {value!r}")
    value = int(value) if isinstance(value, numbers.Integral) else float(value)
    if not np.isfinite(value):
        raise ValueError(f"key_number {name}: expected a finite number, got {value}")
    shown = format(value, fmt)

    if _in_notebook():
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
    if _is_root():
        print(f"{name} = {shown}")
        if path := os.environ.get("KEY_NUMBERS"):
            with open(path, "a") as file:
                file.write(json.dumps({"name": name, "value": value}) + "\n")


# --------------------------------------------------------------------------- progress


def progress(steps: Iterable, title: str, total: int | None = None) -> Iterator:
    """Go through ``steps`` and show how far we are.

    A bar where somebody watches (a notebook, a terminal; the first rank only).  While the book is
    built there is no bar: the state goes to the file that ``BOOK_PROGRESS`` names, for the build to
    show.

    Parameters
    ----------
    steps
        Anything that can be looped over.
    title
        What is being done, such as ``"Stokes steps"``.
    total
        The number of steps, where ``len(steps)`` is not defined.
    """
    if total is None:
        with contextlib.suppress(TypeError):
            total = len(steps)
    if status := os.environ.get("BOOK_PROGRESS"):
        yield from _progress_to_file(steps, title, total, pathlib.Path(status))
        return
    from tqdm.auto import tqdm

    watched = _in_notebook() or sys.stderr.isatty()
    yield from tqdm(steps, desc=title, total=total, disable=not (watched and _is_root()))


def _progress_to_file(steps, title, total, status):
    last = 0.0
    for k, step in enumerate(steps):
        if _is_root() and (now := time.monotonic()) - last > 1.0:
            last = now
            status.write_text(f"{title} {k}" + (f" of {total}" if total else ""))
        yield step
    if _is_root():
        status.unlink(missing_ok=True)


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
        The number of the frame shown before the movie plays; the middle one if not given.
    megabytes
        The greatest size of the encoded movie, in 1e6 bytes.

    Raises
    ------
    ValueError
        If ``alt`` is empty, there is no frame or more than 300, or the movie is too large.
    RuntimeError
        If ffmpeg is not installed or fails.
    """
    if not alt.strip():
        raise ValueError(
            "movie: expected an alternative text that says what is to be seen, got none"
        )
    if shutil.which("ffmpeg") is None:
        raise RuntimeError(
            "movie: the program ffmpeg was not found; apt.txt lists what the book needs"
        )
    frames = list(range(frames)) if isinstance(frames, int) else frames
    with contextlib.suppress(TypeError):
        if len(frames) > MOVIE_FRAMES:
            raise ValueError(f"movie: expected at most {MOVIE_FRAMES} frames, got {len(frames)}")
    wanted = poster if poster is not None else _middle(frames)

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
                encoder.write(canvas.buffer_rgba())
                if count == 1 or count - 1 == wanted:
                    poster_png = _png(canvas)
        if count == 0:
            raise ValueError("movie: expected at least one frame, got none")
        mp4 = path.read_bytes()
    plt.close(fig)
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
    command += [
        "-c:v",
        "libx264",
        "-pix_fmt",
        "yuv420p",
        "-crf",
        "27",
        "-preset",
        "slow",
        str(path),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, **pipes)
    try:
        yield process.stdin
        _, complaint = process.communicate()
    except BrokenPipeError:
        complaint = process.stderr.read()
    finally:
        process.kill()
        process.wait()
    if complaint:
        raise RuntimeError(f"movie: ffmpeg failed: {complaint.decode().strip()}")


def _middle(frames) -> int:
    try:
        return len(frames) // 2
    except TypeError:
        return 0


def _png(canvas) -> bytes:
    buffer = io.BytesIO()
    plt.imsave(
        buffer, np.asarray(canvas.buffer_rgba()), format="png", pil_kwargs={"optimize": True}
    )
    return buffer.getvalue()
