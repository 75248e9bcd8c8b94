"""One execution, four readers: what runs, what does not run again, and what makes it run again."""

import json

import pytest
from conftest import ROOT

GOOD = """
    # A page

    The answer is {glue:text}`answer:.2f`.

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
    assert "The answer is 42.00" in book.words()
    other.write_text("ANSWER = 43\n")
    built = book.build()
    assert "page: started" in built.stdout
    assert "The answer is 43.00" in book.words()


def test_requirements_change_executes_again(book, capsys):
    (book.root / "chapters" / "other.py").write_text("ANSWER = 42\n")
    book.write(GOOD)
    book.execute()
    with (book.root / "requirements.txt").open("a") as file:
        file.write("# another pin\n")
    capsys.readouterr()
    book.execute()
    assert "page: started" in capsys.readouterr().out


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


def test_results_file(book):
    (book.root / "chapters" / "other.py").write_text("ANSWER = 42\n")
    book.write(GOOD)
    book.build()
    row = json.loads((book.root / "_build" / "results.json").read_text())["chapters"]["page"]
    assert row["key_numbers"] == {"answer": 42}
    assert row["seconds"] > 0
    assert 30 < row["peak_mib"] < 1000
    assert row["page_kib"] > 100


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
    import execute

    for name in execute.chapter_names(ROOT):
        metadata = execute.read_chapter(ROOT, name).metadata
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
    import ledgerpage

    assert ledgerpage.typeset(number) == printed
