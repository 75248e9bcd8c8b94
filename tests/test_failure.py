"""Failure is loud and clean: a throw-away chapter goes wrong on the path that the real ones take."""

import re

import pytest

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
    "a killed kernel": (
        """
        # A page

        ```{code-cell} python
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
        ```
        """,
        ["chapters/page.md:{import os}", "cell 2 of 2", "kernel was killed"],
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


def test_time_limit(book):
    header = (
        "---\nkernelspec: {name: python3, display_name: Python 3, language: python}\n"
        "execution: {timeout: 2}\n---\n"
    )
    book.write("# A page\n\n```{code-cell} python\nimport time\ntime.sleep(60)\n```\n", header)
    failed = book.build()
    assert failed.returncode != 0
    assert f"chapters/page.md:{book.line('import time')}" in failed.stdout, failed.stdout
    assert "timed out while it was being executed, after 2 seconds" in failed.stdout, failed.stdout
    book.write(GOOD)
    assert book.build().returncode == 0


def test_interrupted_execution_leaves_nothing(book, monkeypatch):
    import execute

    book.write(GOOD)

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute.Run, "sample", interrupted)
    with pytest.raises(KeyboardInterrupt):
        book.execute()
    monkeypatch.undo()
    assert execute.load_results(book.root)["chapters"] == {}
    assert book.execute()["chapters"]["page"]["key_numbers"] == {"answer": 42}
