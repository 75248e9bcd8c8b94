"""Serve the site on this machine; build it again and reload its pages when a file is saved.

usage: serve.py PORT
"""

import subprocess

from chapters import ROOT, build_command, command_line, folder, run_tool, whole
from livereload import Server

WATCHED = [
    "*.md",
    "*.bib",
    "*.yml",
    "chapters/*",
    "chapters/*/*",
    "figures/*",
    "_static/*",
    "backmatter/*/*",
]
WATCHED += ["tests/*.yml", "tests/key_numbers/*.yml"]


def build() -> None:
    """Build the site; what is wrong with a page is shown, and the server goes on."""
    subprocess.run(build_command(ROOT, strict=False), check=False)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("port", type=whole)
    port, server = parser.parse_args().port, Server()
    for pattern in WATCHED:
        server.watch(str(ROOT / pattern), build)
    print(f"the book is at http://localhost:{port}")
    server.serve(root=folder(ROOT) / "_build" / "html", host="localhost", port=port)


if __name__ == "__main__":
    run_tool(main)
