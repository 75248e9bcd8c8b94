"""A chapter that is opened by its launch link is a notebook that runs: `make lab`'s own command.

Binder has the same settings (``binder/jupyter``) and the same versions of JupyterLab and of its
extensions; the link's path is the one that ``test_launch.py`` finds on the built page.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request

import chapters
import pytest
import ranks
from browser import chromium
from conftest import ROOT, launch_path
from playwright.sync_api import sync_playwright

CHAPTER = next(  # the first that needs no Firedrake
    name for name in chapters.chapter_names(ROOT) if name not in ranks.distributed_chapters(ROOT)
)

KERNEL = "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel"
CELLS = """() => Array.from(jupyterapp.shell.currentWidget.content.model.cells).map(cell => ({
    type: cell.type,
    count: cell.executionCount,
    outputs: cell.outputs ? cell.outputs.toJSON() : [],
}))"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the chapters, started as `make lab` does; the address it prints."""
    root, home = tmp_path_factory.mktemp("book"), tmp_path_factory.mktemp("home")
    for name in ("chapters", "figures", "binder"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".venv").symlink_to(ROOT / ".venv")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    make = ["make", "--dry-run", "--no-print-directory", "lab", f"PORT={port}"]
    recipe = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    command = recipe.strip().splitlines()[-1]
    assert "jupyter lab" in command
    env = os.environ | {
        "JUPYTER_CONFIG_DIR": f"{home}/config",  # not that of whoever runs the tests
        "JUPYTER_DATA_DIR": f"{home}/data",
        "JUPYTER_RUNTIME_DIR": f"{home}/runtime",
        "IPYTHONDIR": f"{home}/ipython",
    }
    log = home / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            f"exec env {command} --no-browser --LabApp.expose_app_in_browser=True",
            **{"shell": True, "cwd": root, "env": env, "stdout": output, "stderr": output},
        )
    try:
        deadline = time.monotonic() + 60
        while not (printed := re.search(r"http://localhost:\S+", log.read_text())):
            assert server.poll() is None and time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield root, printed[0]
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def window(lab):
    """A browser's window that has opened the address which the server printed."""
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(60_000)  # the machine may have other things to do
        page.goto(lab[1])
        page.locator("#filebrowser .jp-DirListing-item").first.wait_for()
        yield page
        browser.close()


def test_the_printed_address_shows_the_chapters(window):
    listed = window.locator(".jp-DirListing-itemName").all_inner_texts()
    assert {f"{name}.md" for name in chapters.chapter_names(ROOT)} <= set(listed)


def test_a_launch_link_opens_a_notebook_that_runs(lab, window):
    root, printed = lab
    window.goto(printed.partition("/lab")[0] + launch_path(CHAPTER))
    notebook = window.locator(".jp-NotebookPanel")
    notebook.locator("h1").wait_for()
    assert window.locator(".jp-FileEditor, .jp-MarkdownViewer").count() == 0
    window.wait_for_function(f"() => {KERNEL}?.status === 'idle'")

    window.get_by_role("menuitem", name="Run", exact=True).click()
    window.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    deadline = time.monotonic() + 60
    drawn, printed_numbers, done = False, "", []
    while not (drawn and "valley_minimum = " in printed_numbers) and time.monotonic() < deadline:
        time.sleep(0.3)
        code = [cell for cell in window.evaluate(CELLS) if cell["type"] == "code"]
        done = [cell for cell in code if cell["count"]]
        outputs = [output for cell in done for output in cell["outputs"]]
        assert not [output for output in outputs if output["output_type"] == "error"]
        drawn = any("image/png" in output.get("data", {}) for output in outputs)
        printed_numbers = "".join(o["text"] for o in outputs if o["output_type"] == "stream")
    assert drawn, f"no picture after {len(done)} cells"
    assert "valley_minimum = " in printed_numbers, f"not printed after {len(done)} cells"
    assert (root / "chapters" / f"{CHAPTER}.md").read_text() == source(CHAPTER), "Lab saved it"


def test_directives_are_rendered(window):
    """Theorems and exercises look like themselves, and nowhere is MyST's source left in the text."""
    panel = window.locator(".jp-Notebook")
    for kind, title in (("proof", "Theorem 1"), ("exercise", "Exercise 1")):
        box = panel.locator(f".myst-{kind}", has_text=re.compile(rf"^{title}", re.S)).first
        box.wait_for(state="attached")
    assert panel.locator(".katex").count() > 20
    texts = panel.locator(".jp-MarkdownCell .myst").all_text_contents()
    assert len(texts) > 20 and not [text for text in texts if "```" in text]


def source(name: str) -> str:
    return (ROOT / "chapters" / f"{name}.md").read_text()


@pytest.mark.parametrize("name", chapters.chapter_names(ROOT))
def test_saving_keeps_a_chapter(lab, name):
    """What Jupyter saves is the same chapter: its code, its text, its tags, its limits."""
    root, printed = lab
    server, _, token = printed.partition("/lab")[0], *printed.partition("token=")[1:]
    address = f"{server}/api/contents/chapters/{name}.md"
    header = {"Authorization": f"token {token}", "Content-Type": "application/json"}

    def ask(method, query="", content=None):
        data = json.dumps(content).encode() if content else None
        request = urllib.request.Request(address + query, data, header, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    opened = ask("GET", "?type=notebook&content=1")
    ask("PUT", content={key: opened[key] for key in ("type", "format", "content")})
    before, after = chapters.read_chapter(ROOT, name), chapters.read_chapter(root, name)
    for key in ("execution", "budget"):
        assert after.metadata[key] == before.metadata[key]
    for old, new in zip(before.cells, after.cells, strict=True):
        assert (new.cell_type, new.source) == (old.cell_type, old.source)
        assert new.metadata.get("tags") == old.metadata.get("tags")
        assert new.metadata.get("mystnb") == old.metadata.get("mystnb")
