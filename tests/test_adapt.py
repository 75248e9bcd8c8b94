"""A chapter is added and removed by the steps that CONTRIBUTING.md gives, and nothing is left that warns."""

import re
import shutil
import subprocess

import pytest
import yaml
from chapters import chapter_names, title
from conftest import ROOT, ThrowAwayBook

GLOSSARY = """\
# Glossary

```{glossary}
observed order
  The slope of the error.
```

## Symbols

```{symbols}
```
"""

FRONT = """\
# A book

```{cards}
```

```{routes}
```

```{movie} NAME fig-NAME-movie
```

```{worth}
```

```{bibliography}
```
"""


def steps(heading: str, name: str) -> str:
    """The first block of commands below a heading, for the chapter ``name``."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    block = re.search(rf"^### {heading}$.*?^```sh\n(.*?)^```", text, flags=re.M | re.S)[1]
    return re.sub(r"^name=.*$", f"name={name}", block, flags=re.M)


def carry_out(book, heading: str, name: str) -> None:
    subprocess.run(["bash", "-euc", steps(heading, name)], cwd=book.root, check=True)


@pytest.fixture
def fresh(book):
    """A throw-away book that has places for what belongs to a chapter."""
    for folder in ("symbols", "errata"):
        (book.root / "backmatter" / folder).mkdir(parents=True)
    book.write("# A page\n")
    (book.root / "errata.md").write_text("# Errata\n\n```{errata}\n```\n")
    (book.root / "ledger.md").write_text("# Ledger\n\n## All\n\n```{ledger}\n```\n")
    (book.root / "glossary.md").write_text(GLOSSARY)
    (book.root / "_toc.yml").write_text(
        "format: jb-book\nroot: intro\nchapters:\n"
        "      - file: errata\n      - file: ledger\n      - file: glossary\n"
    )
    return book


def test_add(fresh):
    toc = (fresh.root / "_toc.yml").read_text()
    (fresh.root / "_toc.yml").write_text(toc + "      - file: chapters/page\n")
    carry_out(fresh, "Add", "cooling")
    toc = (fresh.root / "_toc.yml").read_text()
    assert "      - file: chapters/cooling\n      - file: chapters/page\n" in toc
    (fresh.root / "_toc.yml").write_text(toc.replace("      - file: chapters/page\n", ""))
    (fresh.root / "chapters" / "page.md").unlink()
    (fresh.root / "intro.md").write_text(FRONT.replace("NAME", "cooling"))
    done = fresh.build()
    assert done.returncode == 0, done.stdout
    site = fresh.root / "_build" / "html"
    front, errata = (site / "intro.html").read_text(), (site / "errata.html").read_text()
    assert "How long a step may we take" in front and "1 min to read" in front
    assert "<video" in front and 'href="chapters/cooling.html"' in front
    assert "numbers on these pages" in front
    assert "A cup of coffee" in errata and "rate of cooling" in (site / "glossary.html").read_text()
    for tool in ("variations", "mutants", "growth"):
        python = ["python", f"tools/{tool}.py", "--root", str(fresh.root), "cooling"]
        tried = subprocess.run(
            [str(ROOT / ".venv/bin" / python[0]), *python[1:]],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert tried.returncode == 0, tried.stdout + tried.stderr


UNFIT = {
    "no card": ("card:\n(  .*\n)+", "", "chapters/cooling.md: expected a `card` with"),
    "a card without a question": ("  question: .*\n", "", "chapters/cooling.md: expected a `card` with"),
    "a picture there is not": ("picture: fig-cooling-cooling", "picture: fig-none", "got 'fig-none'"),
}  # fmt: skip


@pytest.mark.parametrize("what", UNFIT)
def test_an_unfit_card_is_noticed(fresh, what):
    pattern, text, message = UNFIT[what]
    toc = (fresh.root / "_toc.yml").read_text()
    (fresh.root / "_toc.yml").write_text(toc + "      - file: chapters/page\n")
    carry_out(fresh, "Add", "cooling")
    (fresh.root / "_toc.yml").write_text(
        (fresh.root / "_toc.yml").read_text().replace("      - file: chapters/page\n", "")
    )
    path = fresh.root / "chapters" / "cooling.md"
    path.write_text(re.sub(pattern, text, path.read_text()))
    (fresh.root / "intro.md").write_text(FRONT.replace("NAME", "cooling"))
    done = fresh.build()
    assert done.returncode != 0 and message in done.stdout, done.stdout


def test_the_examples_of_lists_are_yaml():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.M | re.S)
    assert len(blocks) == text.count("```yaml") > 0
    for block in blocks:
        assert list(yaml.safe_load_all(block))


@pytest.mark.slow
@pytest.mark.parametrize("name", chapter_names(ROOT))
def test_remove_each(execution, tmp_path, name):
    remove(tmp_path, name)


def test_remove(execution, tmp_path):
    """One that others name, and that is not on the front page at work."""
    shown = re.search(r"\{movie\} (\S+)", (ROOT / "intro.md").read_text())[1]
    text = {name: (ROOT / "chapters" / f"{name}.md").read_text() for name in chapter_names(ROOT)}
    named = {
        name: sum(f"`{name}`" in page for page in text.values()) for name in text if name != shown
    }
    remove(tmp_path, max(named, key=named.get))


def remove(folder, name: str) -> None:
    """Remove a chapter from a copy of this book; nothing of it is left, and nothing warns."""
    copy = ThrowAwayBook(folder)
    shutil.rmtree(copy.root)
    shutil.copytree(
        ROOT,
        copy.root,
        ignore=shutil.ignore_patterns(".venv", ".git", "_build", "*cache*"),
        symlinks=True,
    )
    shutil.copytree(ROOT / "_build" / "runs", copy.root / "_build" / "runs")
    heading = title(copy.root, name)
    carry_out(copy, "Remove", name)
    intro = copy.root / "intro.md"
    intro.write_text(re.sub(rf"```\{{movie\}} {name} .*\n```\n", "", intro.read_text()))
    done = copy.build()
    assert done.returncode == 0, done.stdout[-4000:]
    assert " started" not in done.stdout, "a chapter ran anew"
    site = copy.root / "_build" / "html"
    links = [p for p in site.rglob("*.html") if f"{name}.html" in p.read_text()]
    assert not links, links
    assert heading in (site / "glossary.html").read_text(), "its terms name it still"
    for file in ("variations", "mutants", "growth"):
        assert name not in yaml.safe_load((copy.root / "tests" / f"{file}.yml").read_text())
