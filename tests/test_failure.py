"""Failure is loud and clean: a throw-away chapter goes wrong on the path that the real ones take."""

import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import booksite
import execute
import psutil
import pytest
import results
from chapters import BookError
from conftest import HEADER, ROOT

GOOD = """
    # A page

    ```{code-cell} python
    from book import key_number
    key_number("answer", 42)
    ```
"""

WRONG = {
    "a cell that raises": (
        """
        # A page

        ```{code-cell} python
        a = 1
        ```

        ```{code-cell} python
        a / 0
        ```
        """,
        ["chapters/page.md:{a / 0}", "cell 3 of 3", "ZeroDivisionError"],
    ),
    "a missing citation": (
        """
        # A page

        As somebody said {cite}`nobody1900`.
        """,
        ["chapters/page.md:{nobody1900}", "could not find bibtex key", "nobody1900"],
    ),
    "a figure without alternative text": (
        """
        # A page

        ```{code-cell} python
        from book import use_style
        import matplotlib.pyplot as plt
        use_style()
        ```

        ```{code-cell} python
        fig, ax = plt.subplots(figsize=(1, 1))
        ```
        """,
        ["chapters/page.md:{fig, ax}", "without alternative text"],
    ),
    "an image without alternative text": (
        """
        # A page

        ![](../figure.svg)
        """,
        ["chapters/page.md:{figure.svg}", "without alternative text"],
    ),
    "a number that was never recorded": (
        """
        # A page

        The answer is {glue:text}`answer`.
        """,
        ["chapters/page.md:{glue:text}", "answer"],
    ),
    "something from another host": (
        """
        # A page

        ```{raw} html
        <script src="https://example.org/spy.js"></script>
        ```
        """,
        ["chapters/page", "https://example.org/spy.js", "another host"],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_build_fails_then_recovers(book, what):
    body, words = WRONG[what]
    (book.root / "figure.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    )
    book.write(body)
    for attempt in ("first", "second"):  # the second finds what the first left behind
        failed = book.build()
        assert failed.returncode != 0, f"{attempt} build passed"
        for word in words:
            if "{" in word:  # file:{text of a line that must be named, or the one below it}
                file, text = word[:-1].split(":{")
                line = book.line(text)
                assert re.search(rf"{file}:({line}|{line + 1})\b", failed.stdout), failed.stdout
            else:
                assert word in failed.stdout, f"{attempt} build does not say {word!r}"
    book.write(GOOD)
    good = book.build()
    assert good.returncode == 0, good.stdout
    assert "key_number" in book.page()


def test_what_was_warned_of_is_warned_of_again(tmp_path):
    """Also after a build that wrote no page."""
    (tmp_path / "page.html").write_text("")
    results.write(tmp_path / "_build" / "page_kib.json", {})
    (tmp_path / "environment.pickle").write_text("")
    env = SimpleNamespace(found_docs={"page"}, book_results={})
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path, doctreedir=tmp_path, env=env)
    app.builder, app._warncount = SimpleNamespace(name="html"), 1
    booksite.weigh_pages(app, None)
    assert not (tmp_path / "environment.pickle").exists()


UNFIT = {  # (code of the second cell, its options, what is said)
    "a killed kernel": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "", "kernel was killed"),
    "a limit of time": ("import time\ntime.sleep(60)", "", "after 3 seconds"),
    "a figure without a picture": (
        "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nplt.figure();",
        "---\ntags: [figure]\nmystnb: {figure: {name: fig-a, caption: A.}}\n---\n",
        "expected a picture of a cell with a figure",
    ),
    "a log": ("print('x' * 30_000)", "", "expected at most 20000 characters of output, got 30001"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNFIT)
def test_execution_fails_then_recovers(book, what):
    code, options, message = UNFIT[what]
    cell = f"```{{code-cell}} python\n{options}{code}\n```\n"
    header = HEADER.replace("timeout: 60", "timeout: 3")
    book.write(f"# A page\n\n```{{code-cell}} python\n1 + 1\n```\n\n{cell}", header)
    text = (book.root / "chapters" / "page.md").read_text()
    line = text[: text.rindex("{code-cell}")].count("\n") + 2
    for _ in range(2):  # the second finds what the first left behind
        with pytest.raises(BookError, match=re.escape(message)) as failure:
            book.execute()
        assert f"chapters/page.md:{line}: cell 3 of 3" in str(failure.value)
    book.write(GOOD)
    assert book.execute()["page"].key_numbers == {"answer": 42}


def test_a_run_that_changes_what_it_depends_on(book):
    (book.root / "chapters" / "x.csv").write_text("1")
    book.write('# A page\n\n```{code-cell} python\nopen("x.csv", "w").write("2")\n```\n')
    with pytest.raises(BookError, match=r"the run changed x\.csv, which it depends on"):
        book.execute()
    assert (book.root / "chapters" / "x.csv").read_text() == "1"


def test_code_outside_the_chapters(book):
    book.write(GOOD)
    (book.root / "intro.md").write_text("# A\n\n```{code-cell} python\n1\n```\n")
    with pytest.raises(BookError, match=r"intro\.md:3: a code cell outside chapters"):
        book.execute()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_what_was_started(book, number):
    book.write("""
    # A page

    ```{code-cell} python
    import os, pathlib, subprocess, time
    child = subprocess.Popen(["sleep", "300"])
    pathlib.Path("pids.partial").write_text(f"{os.getpid()} {os.getppid()} {child.pid}")
    os.rename("pids.partial", "pids")
    time.sleep(300)
    ```
    """)
    command = [sys.executable, str(ROOT / "tools/execute.py"), "--root", str(book.root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pids = book.root / "_build" / "execution" / "page" / "cwd" / "pids"
    deadline = time.monotonic() + 60
    while not pids.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    family = [int(pid) for pid in pids.read_text().split()]
    process.send_signal(number)
    process.wait(30)
    deadline = time.monotonic() + 20
    while left := [p for p in family if psutil.pid_exists(p) and psutil.Process(p).status() != "zombie"]:  # fmt: skip
        assert time.monotonic() < deadline, f"still there: {left}"
        time.sleep(0.2)
    assert results.load(book.root) == {}


def test_interrupted_execution_leaves_nothing(book, monkeypatch):
    book.write(GOOD)

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute.Run, "sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        book.execute()
    monkeypatch.undo()
    assert results.load(book.root) == {}
    assert book.execute()["page"].key_numbers == {"answer": 42}


@pytest.mark.parametrize(
    "tool", ["bench", "check_cells", "execute", "growth", "mutants", "ranks", "serve", "variations"]
)
def test_a_tool_says_what_it_does_and_what_it_expected(tool):
    def run(word):
        command = [sys.executable, str(ROOT / "tools" / f"{tool}.py"), word]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    status, said = run("--help")
    assert status == 0 and f"usage: {tool}.py" in said
    status, said = run("nowhere")
    assert status != 0 and "nowhere" in said
