"""The browser that prints the book and tests its pages."""

from __future__ import annotations

import shutil


def chromium(playwright):
    """Debian's Chromium, without a window and without its calls home.

    Raises
    ------
    FileNotFoundError
        If it is not installed.
    """
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise FileNotFoundError(
            "expected the program chromium, found none; apt.txt lists what the book needs"
        )
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    return playwright.chromium.launch(executable_path=program, args=quiet)
