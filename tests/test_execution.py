"""One execution, four readers: what runs, what does not run again, and what makes it run again."""

import base64
import io
import json
import os
import re
import subprocess
import sys
from urllib.parse import unquote

import chapters
import execute
import inputs
import pytest
import results
from conftest import HEADER, ROOT
from keynumbers import typeset
from PIL import Image

GOOD = """
    # A page

    Hájek's answer is {glue:text}`answer:.2f`.

    ```{code-cell} python
    from book import key_number
    from other import ANSWER
    key_number("answer", ANSWER)
    ```
"""


def test_nothing_runs_twice(book, capsys):
    (book.root / "chapters" / "other.py").write_text("ANSWER = 42\n")
    book.write(GOOD)
    book.execute()
    assert "page: started" in capsys.readouterr().out
    book.execute()
    assert "started" not in capsys.readouterr().out
    built = book.build()
    assert built.returncode == 0, built.stdout
    assert "started" not in built.stdout
    book.execute()
    assert "started" not in capsys.readouterr().out


def test_helper_change_reaches_the_page(book):
    other = book.root / "chapters" / "other.py"
    other.write_text("ANSWER = 42\n")
    book.write(GOOD)
    book.build()
    assert "answer is 42.00" in book.words()
    other.write_text("ANSWER = 43\n")
    built = book.build()
    assert "page: started" in built.stdout
    assert "answer is 43.00" in book.words()


@pytest.mark.parametrize("what", ["Python", "numpy", "ffmpeg"])
def test_another_version_executes_again(book, capsys, monkeypatch, what):
    book.write(GOOD.replace("from other import ANSWER", "import numpy\n    ANSWER = 42"))
    first = book.execute()["page"]
    assert {"Python", "numpy", "matplotlib", "libc6"} <= set(first.versions)
    assert "firedrake" not in first.versions, "a chapter of NumPy does not depend on Firedrake"
    installed = inputs.installed
    monkeypatch.setattr(inputs, "installed", lambda *a: installed(*a) | {what: "99"})
    capsys.readouterr()
    assert book.execute()["page"].versions[what] == "99"
    assert "page: started" in capsys.readouterr().out
    monkeypatch.undo()
    assert book.execute()["page"].versions == first.versions, "what is taken back need not run"
    assert "started" not in capsys.readouterr().out


def test_a_file_runs_again_the_chapters_that_use_it(book, capsys):
    """A module, its own module, and data by a name that the code composes; and only those who use them."""
    files = {"a.csv": "1", "b.csv": "2", "deep.py": "SCALE = 1\n", "other.py": "import deep\n"}
    for name, text in files.items():
        (book.root / "chapters" / name).write_text(text)
    book.contents("page", "second")
    key = 'from book import key_number\n    key_number("answer", {})\n    ```\n'
    cell = "    # A page\n\n    ```{code-cell} python\n    "
    book.write(cell + "import other, deep\n    " + key.format("deep.SCALE"))
    composed = 'sum(float(open(f"{k}.csv").read()) for k in "ab")'
    book.write(cell + key.format(composed), name="second")
    assert [r.key_numbers["answer"] for r in book.execute().values()] == [1, 3]
    for file, text, runs, numbers in [
        ("deep.py", "SCALE = 5\n", "page", [5, 3]), ("b.csv", "4", "second", [5, 5]),
    ]:  # fmt: skip
        (book.root / "chapters" / file).write_text(text)
        capsys.readouterr()
        assert [r.key_numbers["answer"] for r in book.execute().values()] == numbers
        said = capsys.readouterr().out
        assert "executing 1 of 2" in said and f"{runs}: started" in said


STRAYS = [".env", ".DS_Store", ".page.md.swp", "page.md~", "#page.md#", "x.msh", "notes.txt", "token.json"]  # fmt: skip


def test_a_book_that_changes(book, capsys):
    """Strays cost nothing and reach nothing; a page may move; an edit of tools/ is seen; links lead."""
    (book.root / "chapters" / "other.py").write_text("ANSWER = -4.2e-8\n")
    book.write(
        GOOD.replace("answer:.2f", "answer:.1e")
        + """
    ```{code-cell} python
    name = "x.msh"  # which JupyterLab leaves behind
    key_number("σ", 1)
    key_number("ρ", 1)
    ```

    ```{ledger} page
    ```
    """
    )
    book.execute()
    for stray in STRAYS:
        (book.root / "chapters" / stray).write_bytes(b"TOKEN=stray\xff\x00")
    environment = book.root / "venv" / "examples"
    environment.mkdir(parents=True)
    (environment / "n.md").write_text(HEADER + "# N\n\n```{code-cell} python\n1 / 0\n```\n")
    (book.root / "chapters" / "draft.md").write_text("# A draft\n")
    built = book.build()
    assert built.returncode == 0, built.stdout
    assert "started" not in built.stdout
    assert "chapters/draft.md is not in _toc.yml" in built.stdout
    assert "venv/examples/n.md is not in _toc.yml" in built.stdout
    assert "no launch buttons" in built.stdout
    out = book.root / "_build" / "html"
    site = [path for path in out.rglob("*") if path.is_file()]
    assert not [path for path in site if b"TOKEN=stray" in path.read_bytes()]
    page = book.page()
    assert '"pasted-text">−4.2\u2009·\u200910⁻⁸</span>' in page, "a quoted number is not typeset"
    targets = [unquote(t) for t in re.findall(r'href="#([^"]*number[^"]*)"', page)]
    assert len({t for t in targets if "number" in t}) >= 3, "two numbers share a target"
    assert all(f'id="{target}"' in page for target in targets)
    assert "download-notebook-button" in page and "notebooks/page.ipynb" in page
    index = (out / "searchindex.js").read_text()
    assert '"hajek"' in index, "an accent hides a word from the search"

    (book.root / "chapters" / "part").mkdir()
    (book.root / "chapters" / "page.md").rename(book.root / "chapters" / "part" / "moved.md")
    text = (book.root / "chapters" / "part" / "moved.md").read_text()
    moved = book.root / "chapters" / "part" / "moved.md"
    moved.write_text(text.replace("{ledger} page", "{ledger} part/moved"))
    book.contents("part/moved")
    (book.root / "intro.md").write_text("# A book\n\n```{movie} page fig-x\n```\n")
    file = book.root / "tools" / "keynumbers.py"
    file.write_text(file.read_text().replace("\\u2009·\\u2009", "×"))
    failed = book.build()
    assert "intro.md:3" in failed.stdout and "got 'fig-x'" in failed.stdout, failed.stdout
    assert failed.returncode != 0 and "started" not in failed.stdout
    (book.root / "intro.md").write_text("# A book\n\n```{bibliography}\n```\n")
    built = book.build()
    assert built.returncode == 0, built.stdout
    assert "started" not in built.stdout
    assert not (out / "chapters" / "page.html").exists() and not (out / "notebooks/page.ipynb").exists()  # fmt: skip
    assert "−4.2×10⁻⁸" in (out / "chapters/part/moved.html").read_text(), "tools/ was edited"
    assert (out / "notebooks/part/moved.ipynb").exists()


def test_before_its_line_in_the_contents(book, capsys):
    book.write(GOOD.replace("from other import ANSWER", "ANSWER = 42"), name="new")
    book.write("# A page\n")
    assert book.execute("new")["new"].key_numbers == {"answer": 42}
    assert book.execute() == {}
    book.contents("page", "new")
    capsys.readouterr()
    assert book.execute()["new"].seconds > 0
    assert "started" not in capsys.readouterr().out


def test_the_last_three_runs_stay(book, capsys):
    def started(answer):
        book.write(GOOD.replace("from other import ANSWER", f"ANSWER = {answer}"))
        capsys.readouterr()
        book.execute()
        return "started" in capsys.readouterr().out

    assert [started(answer) for answer in (1, 2, 3, 1, 4, 1, 2)] == [
        True, True, True, False, True, False, True,
    ]  # fmt: skip
    assert len(list((book.root / "_build" / "runs").iterdir())) == results.KEPT


def test_the_book_is_not_the_authors_desk(book, tmp_path):
    """Neither settings nor locale of whoever builds reach a page, and the home gains nothing."""
    home, locale = tmp_path / "home", tmp_path / "locale"
    startup = home / ".ipython" / "profile_default" / "startup"
    (home / ".config" / "matplotlib").mkdir(parents=True)
    startup.mkdir(parents=True)
    (home / ".config" / "matplotlib" / "matplotlibrc").write_text("axes.facecolor: black\n")
    (startup / "mine.py").write_text("mine = 1\n")
    (home / "mine.py").write_text("mine = 1\n")
    locale.mkdir()
    made = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(locale / "en_US.ISO-8859-1")]
    subprocess.run(made, capture_output=True)
    before = sorted(home.rglob("*"))
    book.write("""
    # A page

    ```{code-cell} python
    from book import key_number
    import locale, os, matplotlib.pyplot as plt
    σ = 1
    key_number("black", int(plt.rcParams["axes.facecolor"] == "black"))
    key_number("mine", int("mine" in globals()))
    key_number("utf8", int(locale.getpreferredencoding().upper() == "UTF-8"))
    ```

    ```{code-cell} python
    ---
    tags: [figure]
    mystnb: {figure: {name: fig-σ, caption: A figure.}, image: {alt: a line}}
    ---
    plt.subplots();
    ```
    """)
    own = {
        "HOME": str(home), "PATH": os.environ["PATH"], "MPLBACKEND": "Agg", "LC_ALL": "en_US.ISO-8859-1",
        "LOCPATH": str(locale), "PYTHONSTARTUP": str(home / "mine.py"),
        "MATPLOTLIBRC": str(home / ".config" / "matplotlib" / "matplotlibrc"),
    }  # fmt: skip
    command = [sys.executable, str(ROOT / "tools/execute.py"), "--root", str(book.root)]
    done = subprocess.run(command, env=own, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert book.execute()["page"].key_numbers == {"black": 0, "mine": 0, "utf8": 1}
    assert sorted(home.rglob("*")) == before


def test_two_at_a_time_the_longest_first(book, capsys):
    for name, seconds in (("page", 1), ("long", 9), ("middle", 5)):
        header = HEADER.replace("---\n", f"---\nbudget: {{seconds: {seconds}, mib: 9}}\n", 1)
        cell = "\n```{code-cell} python\nimport time\ntime.sleep(1)\n```\n"
        book.write(f"# {name}\n{cell}", header, name)
    book.contents("page", "middle", "long")
    assert list(book.execute()) == ["page", "middle", "long"]
    said = re.findall(r"(\w+): (started|\d)", capsys.readouterr().out)
    assert [name for name, what in said if what == "started"] == ["long", "middle", "page"]
    assert [what for _, what in said[:2]] == ["started", "started"] and said[2][1] != "started"


def test_one_execution_waits_for_another(book):
    book.write("# A page\n")
    command = [sys.executable, str(ROOT / "tools/execute.py"), "--root", str(book.root)]
    with execute.only_one(book.root):
        second = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert "waiting for another execution" in second.stdout.readline()
        assert second.poll() is None
    assert second.wait(60) == 0


def test_memory_counts_the_family_and_pictures_have_a_palette(book):
    book.write("""
    # A page

    ```{code-cell} python
    import numpy as np, matplotlib.pyplot as plt, time
    ballast = np.ones(2**25)
    time.sleep(1)
    ```

    ```{code-cell} python
    plt.imshow(np.random.rand(90, 90, 3));
    ```
    """)
    result = book.execute()["page"]
    assert result.peak_mib > 256 + 60, "the kernel's memory is not counted"
    (png,) = [o.data["image/png"] for o in result.executed().cells[-1].outputs if "image/png" in o.get("data", {})]  # fmt: skip
    assert Image.open(io.BytesIO(base64.b64decode(png))).mode == "P"


def test_ledger_change_reaches_the_page(book):
    (book.root / "chapters" / "other.py").write_text("ANSWER = 42\n")
    book.write(GOOD + "\n    ```{ledger} page\n    ```\n")
    rows = book.root / "tests" / "key_numbers" / "page.yml"
    rows.write_text("answer: {what: the first wording, source: 42}\n")
    book.build()
    assert "the first wording" in book.words()
    rows.write_text("answer: {what: the second wording, source: 42}\n")
    built = book.build()
    assert "started" not in built.stdout
    assert "the second wording" in book.words()


def test_results(book):
    (book.root / "chapters" / "other.py").write_text("ANSWER = 42\n")
    book.write(GOOD)
    book.build()
    result = results.load(book.root)["page"]
    assert result.key_numbers == {"answer": 42}
    assert result.seconds > 0
    assert 30 < result.peak_mib < 1000
    assert json.loads((book.root / "_build" / "page_kib.json").read_text())["page"] > 100


def test_movie_leaves_the_page(book):
    book.write("""
    # A page

    ```{code-cell} python
    ---
    tags: [figure]
    mystnb: {figure: {name: fig-film, caption: A film.}, image: {alt: A line that rises.}}
    ---
    from book import movie
    import matplotlib.pyplot as plt
    fig, ax = plt.subplots(figsize=(2, 2))
    line, = ax.plot([0, 1], [0, 1])
    movie(fig, lambda k: line.set_ydata([0, k / 9]), range(10), alt="A line that rises.")
    ```
    """)
    built = book.build()
    assert built.returncode == 0, built.stdout
    page = book.page()
    assert "data:video" not in page
    assert page.count("<video") == 1
    assert 'aria-label="A line that rises."' in page
    assert "A film." in page
    films = list((book.root / "_build" / "html" / "_movies").glob("*"))
    assert sorted(film.suffix for film in films) == [".mp4", ".png"]
    assert all(film.name in page for film in films)


def test_every_chapter_has_its_front_matter():
    for name in chapters.chapter_names(ROOT):
        metadata = chapters.read_chapter(ROOT, name).metadata
        assert metadata["kernelspec"]["name"] == "python3", name
        assert metadata["execution"]["timeout"] > 0, name
        assert set(metadata["budget"]) == {"seconds", "mib"}, name


@pytest.mark.parametrize(
    "number, printed",
    [
        ("3.4e-08", "3.4\u2009·\u200910⁻⁸"),
        ("-1e+12", "−1\u2009·\u200910¹²"),
        ("-0.50", "−0.50"),
        ("1.3%", "1.3\u202f%"),
        ("42", "42"),
        ("a word", "a word"),
    ],
)
def test_numbers_are_printed_as_in_a_book(number, printed):
    assert typeset(number) == printed
