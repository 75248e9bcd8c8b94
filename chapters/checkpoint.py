"""Checkpoints: an interrupted run goes on where it was, on any number of ranks.

A chapter with a run of minutes imports what it needs::

    from checkpoint import load_checkpoint, save_checkpoint
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pathlib
import zlib

import numpy as np

__all__ = ["load_checkpoint", "save_checkpoint"]


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
