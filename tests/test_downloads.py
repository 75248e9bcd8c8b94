"""What readers download: executed notebooks that run in any folder, and the printed book."""

import json

import chapters
import downloads
import inputs
import nbformat
import pdf
import pytest
from conftest import ROOT
from nbclient import NotebookClient


@pytest.mark.parametrize("chapter", chapters.chapter_names(ROOT))
def test_notebook_is_complete(execution, chapter):
    results, _ = execution
    notebook = downloads.notebook(results, chapter)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "{glue:" not in text, "a quoted number was left as a reference"
    assert "{index}" not in text, "an entry of the index was left"
    assert "../figures/" not in text, "a drawing stayed behind"
    assert any(cell.get("outputs") for cell in notebook.cells), "it was not executed"


def test_notebook_runs_from_an_empty_folder(execution, tmp_path, monkeypatch):
    """A chapter that imports the helper finds it, though nothing else of the book is there."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    results, _ = execution
    notebook = downloads.notebook(results, "feldman-hajek")
    notebook.cells = notebook.cells[:12]
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    assert (tmp_path / "book.py").read_text() == (ROOT / "chapters" / "book.py").read_text()
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.execution_count]
    assert len(ran) > 2


def test_notebook_keeps_a_helper_that_is_there(execution, tmp_path):
    """A reader's own changes to the helper are not overwritten."""
    results, _ = execution
    first = downloads.notebook(results, "feldman-hajek").cells[0]
    (tmp_path / "book.py").write_text("# mine\n")
    notebook = nbformat.v4.new_notebook(cells=[first])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": tmp_path}}).execute()
    assert (tmp_path / "book.py").read_text() == "# mine\n"


def test_print(tmp_path):
    """A movie is printed as its poster; the PDF has an outline, and nothing half-made stays."""
    poster = "data:image/gif;base64,R0lGODlhAQABAIAAAP8AAAAAACwAAAAAAQABAAACAkQBADs="
    page = tmp_path / "page.html"
    page.write_text(
        "<html lang=en><title>A book</title><h1>One</h1><h2>Two</h2>"
        f'<video poster="{poster}" aria-label="a movie"></video>'
        "<script>window.MathJax = {startup: {promise: Promise.resolve()}}</script></html>"
    )
    pdf.print_book(page, tmp_path / "book.pdf")
    printed = (tmp_path / "book.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert b"/Outlines" in printed
    assert b"/Image" in printed
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "book.pdf"}


def test_companions_are_text():
    """What a notebook brings along must fit into it: text, and not much."""
    for name in chapters.chapter_names(ROOT):
        companions = inputs.chapter(ROOT, name).contents
        assert "book.py" in companions
        assert len(json.dumps({k: v.decode() for k, v in companions.items()})) < 200_000
