"""Serve the site on this machine; build it again and reload its pages when a file is saved.

usage: serve.py PORT
"""

import pathlib
import subprocess
import sys

from livereload import Server

ROOT = pathlib.Path(__file__).resolve().parents[1]
WATCHED = [
    "*.md",
    "*.bib",
    "*.yml",
    "chapters/*",
    "figures/*",
    "_static/*",
    "tests/key_numbers/*.yml",
]


def build() -> None:
    """Build the site; what is wrong with a page is shown, and the server goes on."""
    program = pathlib.Path(sys.executable).parent / "jupyter-book"
    subprocess.run([program, "build", "-n", "--keep-going", ROOT], check=False)


def main(port: int) -> None:
    server = Server()
    for pattern in WATCHED:
        server.watch(str(ROOT / pattern), build)
    print(f"the book is at http://localhost:{port}", flush=True)
    server.serve(root=ROOT / "_build" / "html", host="localhost", port=port)


if __name__ == "__main__":
    main(int(sys.argv[1]))
