"""Launch and repository buttons open the repository that this copy of the book came from."""

import re
import subprocess

import booksite
import pytest
from conftest import launch_path

ADDRESSES = [
    "https://github.com/somebody/physics",
    "https://github.com/somebody/physics.git",
    "https://github.com/somebody/physics/",
    "https://somebody:secret@github.com/somebody/physics.git",
    "git@github.com:somebody/physics.git",
    "ssh://git@github.com/somebody/physics.git",
    "ssh://git@github.com:22/somebody/physics",
]

PAGE = """
    # A page

    ```{code-cell} python
    1 + 1
    ```
"""


def clone(root, origin: str | None) -> None:
    """Make ``root`` a repository of git that came from ``origin``."""
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    if origin:
        subprocess.run(["git", "-C", str(root), "remote", "add", "origin", origin], check=True)


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """Neither a workflow of GitHub nor a repository around the temporary folder."""
    for name in ("GITHUB_REPOSITORY", "GITHUB_REF_NAME", "GITHUB_REF_TYPE", "GITHUB_HEAD_REF"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))


def test_the_workflow_says_it(monkeypatch, tmp_path):
    clone(tmp_path, "https://github.com/upstream/physics.git")
    monkeypatch.setenv("GITHUB_REPOSITORY", "a-fork/physics")
    monkeypatch.setenv("GITHUB_REF_NAME", "draft")
    assert booksite.repository(tmp_path) == ("https://github.com/a-fork/physics", "draft", "")


def test_a_pull_request_has_no_branch_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_REPOSITORY", "somebody/physics")
    monkeypatch.setenv("GITHUB_REF_NAME", "12/merge")
    assert booksite.repository(tmp_path) == ("https://github.com/somebody/physics", "main", "")


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_remote_says_it(tmp_path, address):
    clone(tmp_path, address)
    assert booksite.repository(tmp_path) == ("https://github.com/somebody/physics", "main", "")


def test_a_book_in_a_folder_of_another_repository(tmp_path):
    clone(tmp_path, ADDRESSES[0])
    (tmp_path / "notes" / "book").mkdir(parents=True)
    assert booksite.repository(tmp_path / "notes" / "book") == (ADDRESSES[0], "main", "notes/book")


@pytest.mark.parametrize(
    "address", [None, "../somewhere", "https://example.org/somebody/physics", "git@github.com:x"]
)
def test_nobody_says_it(tmp_path, address):
    clone(tmp_path, address)
    assert booksite.repository(tmp_path) is None


def test_no_git_at_all(tmp_path):
    assert booksite.repository(tmp_path) is None


def links(page: str) -> list[str]:
    return re.findall(r'href="([^"]*)"', page)


def test_buttons_of_a_fork(book):
    """Binder opens this page of the fork, in JupyterLab; the other buttons lead to the fork."""
    clone(book.root, "git@github.com:a-fork/physics.git")
    book.write(PAGE)
    result = book.build()
    assert result.returncode == 0, result.stdout
    found = links(book.page())
    binder = f"https://mybinder.org/v2/gh/a-fork/physics/main?urlpath={launch_path('page')[1:]}"
    assert [link for link in found if "mybinder" in link] == [binder]
    assert {link for link in found if "github.com" in link and "physics" in link} == {
        "https://github.com/a-fork/physics",
        "https://github.com/a-fork/physics/issues/new?title=Issue%20on%20page%20%2F"
        "chapters/page.html&body=Your%20issue%20content%20here.",
    }


def test_no_button_without_a_repository(book):
    """A copy that came from nowhere has no button that leads there."""
    book.write(PAGE)
    result = book.build()
    assert result.returncode == 0, result.stdout
    for word in ("mybinder", "launch-buttons", "source-buttons", "issues/new", "/edit/"):
        assert word not in book.page()
    assert not [link for link in links(book.page()) if "github.com" in link]
