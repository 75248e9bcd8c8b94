"""The browser that tests the book's pages."""

from __future__ import annotations

import shutil

from inputs import surroundings


def chromium(playwright):
    """Headless Chromium as the system has it, without its calls home.

    Raises
    ------
    FileNotFoundError
        If none is installed.
    """
    known = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, known)), None)
    if program is None:
        names = ", ".join(known)
        raise FileNotFoundError(f"expected one of {names}; apt.txt lists what the book needs")
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return playwright.chromium.launch(executable_path=program, args=quiet, env=surroundings())
