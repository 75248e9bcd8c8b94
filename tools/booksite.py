"""Sphinx extension: what this book asks of its site.

- The chapters are executed, once, before the first page is read (``execute.py``).
- A page is read again when the execution it shows has changed.
- Directives show what the execution gave (``directives.py``, ``ledgerpage.py``).
- Each chapter can be downloaded as an executed notebook (``downloads.py``).
- Each chapter says how to cite it (``cite.py``).
- The book is written for print, too (``paper.py``).
- An image without alternative text is a warning, and warnings fail the build.
- A movie leaves the page for a file of its own, and so do the pictures of an explorable.
- No page asks another host for anything.
- The launch buttons open the repository that this copy of the book came from.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import os
import pathlib
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import cite
import directives
import downloads
import edition
import execute
import explorables
import frontpage
import ledgerpage
import leftout
import paper
import printing
import results
import sheets
from chapters import FULL, BookError, chosen_edition, documents, folder
from docutils import nodes
from keynumbers import typeset
from sphinx.environment import BuildEnvironment
from sphinx.project import EXCLUDE_PATHS
from sphinx.search.en import SearchEnglish
from sphinx.util import logging
from sphinx.util.matching import get_matching_files

logger = logging.getLogger(__name__)

# -------------------------------------------------------------------------- execution


def point_to_runs(app, config) -> None:
    """Let myst-nb read what ``execute_chapters`` puts there."""
    config.nb_execution_cache_path = str(results.sphinx_cache(pathlib.Path(app.srcdir)))


def execute_chapters(app) -> None:
    """Fill the cache that myst-nb is about to read."""
    try:
        found = execute.execute(pathlib.Path(app.srcdir))
    except BookError as error:  # no traceback of Sphinx's and of Jupyter Book's buries it
        sys.exit(f"\nthe book was not built, because a chapter failed.\n\n{error}")
    except KeyboardInterrupt:
        sys.exit(130)
    app.env.book_results = found
    gc.freeze()


def execution_digest(env: BuildEnvironment) -> str:
    """A digest of all that the pages share: the executions, the ledger, styles and scripts."""
    root, digest = pathlib.Path(env.srcdir), hashlib.sha256()
    for name, result in env.book_results.items():
        digest.update(f"{name} {result.file.name} {result.seconds}\n".encode())
    # Sphinx copies style sheets and scripts only where a page is written
    for path in [*sorted(root.glob("_static/*.*")), *sorted(root.glob("tests/**/*.yml"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def outdated_pages(app, env, added, changed, removed) -> list[str]:
    """All pages, where any chapter has run: each may quote its numbers."""
    now = execution_digest(env) + ", printed" * printing.printed(app)
    before, env.book_digest = getattr(env, "book_digest", None), now
    return [] if env.book_digest == before else list(env.found_docs)


def read_only_what_the_book_has(app, config) -> None:
    """Leave out, and name, every page that ``_toc.yml`` does not: Sphinx would read it, and run its code."""
    named = set(documents(pathlib.Path(app.srcdir)))
    patterns = [
        f"{place}*.{kind}" for place in ("", "**/") for kind in ("md", "ipynb", "rst", "txt")
    ]
    excluded = [*config.exclude_patterns, *config.templates_path, *EXCLUDE_PATHS]
    for path in sorted(get_matching_files(app.srcdir, patterns, excluded)):
        if path.rpartition(".")[0] not in named:
            logger.info("%s is not in _toc.yml: it is neither read nor run", path)
            config.exclude_patterns = [*config.exclude_patterns, path]


# ------------------------------------------------------------------------------ pages


def check_alternative_text(app, doctree, docname) -> None:
    """Warn of each image that says nothing to a reader who cannot see it."""
    for image in doctree.findall(nodes.image):
        if not str(image.get("alt", "")).strip():
            place = image
            while not place.line and place.parent is not None:  # an image has none of its own
                place = place.parent
            logger.warning(
                "image without alternative text: give the figure an `alt`, the cell a `mystnb.image.alt`",
                location=(docname, place.line),
            )


def typeset_numbers(app, doctree, docname) -> None:
    """Print the numbers that the text quotes as a book prints them."""
    for node in doctree.findall(nodes.inline):
        if "pasted-text" in node["classes"]:
            node[:] = [nodes.Text(typeset(node.astext()))]


def mend_roles(app, pagename, templatename, context, doctree) -> None:
    """Give the entries of the bibliography the role of list items, which the standard now asks for."""
    if 'role="doc-biblioentry"' in context.get("body", ""):
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


EMBEDDED = re.compile(
    r'(src|poster)="data:(?:video/(?P<video>mp4)|image/(?P<image>png));base64,(?P<data>[^"]+)"'
)


def unpack_movies(app, pagename, templatename, context, doctree) -> None:
    """Replace movies and posters inside the page by files that the browser loads when it needs them."""
    if "data:video/" not in context.get("body", ""):
        return

    def to_file(match: re.Match) -> str:
        data = base64.b64decode(match["data"])
        name = f"_movies/{hashlib.sha256(data).hexdigest()[:24]}.{match['video'] or match['image']}"
        path = pathlib.Path(app.outdir) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return f'{match[1]}="{context["pathto"](name, 1)}"'

    context["body"] = EMBEDDED.sub(to_file, context["body"])


class Loads(HTMLParser):
    """Addresses of what a page makes the browser load."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        wanted = ["src", "poster"] if tag != "link" else []
        if given.get("class") == "explorable-end":  # for print, and for readers without scripts
            return
        if tag == "link" and set((given.get("rel") or "").split()) & {
            "stylesheet",
            "icon",
            "preload",
            "modulepreload",
        }:
            wanted = ["href"]
        if tag == "object":
            wanted.append("data")
        self.addresses += [given[key] for key in wanted if given.get(key)]


def drop_icon_script(app, exception) -> None:
    """Empty the script that draws the icons: the theme's fonts do, with 1.2 MB less for each reader."""
    script = pathlib.Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if exception is None and script.exists():
        script.write_text("// The icons come from the fonts.\n")


def remove_stale(app, exception) -> None:
    """Remove what was built of pages that the book no longer has."""
    out = pathlib.Path(app.outdir)
    if exception is None and app.builder.name == "html":
        for source in sorted((out / "_sources").rglob("*.md")):
            name = source.relative_to(out / "_sources").with_suffix("").as_posix()
            if name not in app.env.found_docs:
                notebook = downloads.place(out, name.removeprefix("chapters/"))
                sheet = sheets.place(out, name.removeprefix("chapters/"))
                for path in (source, out / f"{name}.html", notebook, sheet):
                    path.unlink(missing_ok=True)


def weights(pages: dict[str, pathlib.Path]) -> dict[str, tuple[float, list[str]]]:
    """What each page weighs with all that it loads, in KiB; and what it loads from other hosts."""
    found = {}
    for docname, page in pages.items():
        addresses = [a for a in Loads(page.read_text("utf-8")).addresses if a[:5] != "data:"]
        own = [unquote(urlsplit(a).path) for a in addresses if not urlsplit(a).netloc]
        files = {page, *((page.parent / path).resolve() for path in own)}
        size = sum(file.stat().st_size for file in files if file.is_file())
        found[docname] = round(size / 1024, 1), [a for a in addresses if urlsplit(a).netloc]
    return found


def weigh_pages(app, exception) -> None:
    """Check that pages load nothing from elsewhere; write down what each chapter weighs."""
    if exception is None and app.builder.name == "html":
        kept = folder(pathlib.Path(app.srcdir)) / "_build" / "page_kib.json"
        pages = {name: pathlib.Path(app.outdir, f"{name}.html") for name in app.env.found_docs}
        newest = max(page.stat().st_mtime for page in pages.values())
        if not kept.exists() or kept.stat().st_mtime <= newest:  # parsing them takes seconds
            found = weights(pages)
            for docname, (_, foreign) in found.items():
                for address in foreign:
                    logger.warning("the page loads %s from another host", address, location=docname)
            names = app.env.book_results
            results.write(kept, {name: found[f"chapters/{name}"][0] for name in names})
    if app._warncount:
        # Sphinx would not repeat the warnings of pages it finds unchanged, and the next build would pass.
        (pathlib.Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


class FoldedEnglish(SearchEnglish):
    """English, and a letter is found with its accent or without: ``karman`` finds Kármán."""

    lang = "en-GB"
    js_stemmer_code = (
        SearchEnglish.js_stemmer_code
        + """
const EnglishStemmer = Stemmer;
Stemmer = function () {
  const english = new EnglishStemmer();
  this.stemWord = (word) => english.stemWord(word.normalize("NFKD").replace(/\\p{M}/gu, ""));
};
"""
    )

    def stem(self, word: str) -> str:
        letters = unicodedata.normalize("NFKD", word)
        return super().stem("".join(c for c in letters if not unicodedata.combining(c)))


# ------------------------------------------------------------------------- repository


def repository(root: pathlib.Path) -> tuple[str, str, str] | None:
    """Address and branch of the repository this copy came from, and the book's folder in it; or None.

    GITHUB_REPOSITORY (``owner/name``) is asked first, then the remote ``origin`` of git.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(root), *words]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    branch = os.environ.get("GITHUB_REF_NAME", "")
    if not branch or branch.endswith("/merge"):  # a pull request is no branch
        branch = "main"
    folder = git("rev-parse", "--show-prefix").strip("/")
    if slug := os.environ.get("GITHUB_REPOSITORY"):
        return f"https://github.com/{slug}", branch, folder
    address = re.fullmatch(
        r"(?:https://(?:[^/@]+@)?|git@|ssh://git@)github\.com(?::\d+/|[:/])"
        r"([\w.-]+/[\w.-]+?)(?:\.git)?/?",
        git("remote", "get-url", "origin"),
    )
    return (f"https://github.com/{address[1]}", branch, folder) if address else None


def set_buttons(app, config) -> None:
    """Binder and repository buttons, where there is a repository to open."""
    found = repository(pathlib.Path(app.srcdir))
    if found is None:
        logger.info("no launch buttons: neither GITHUB_REPOSITORY nor git's origin is on GitHub")
        return
    address, branch, folder = found
    owner, name = address.split("/")[-2:]
    config.ogp_site_url = f"https://{owner}.github.io/{name}/"
    if chosen_edition() != FULL:  # the repository has the solutions
        return
    config.html_theme_options |= {
        "repository_url": address,
        "repository_branch": branch,
        "path_to_docs": folder,
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "notebook_interface": "jupyterlab",
        },
    }


def without_thebe(app, config) -> None:
    """Disconnect sphinx-thebe, which Jupyter Book loads, unasked, and its theme once more."""
    for listeners in app.events.listeners.values():
        for listener in [k for k in listeners if k.handler.__module__ == "sphinx_thebe"]:
            app.disconnect(listener.id)
    styles = app.registry.css_files
    styles[:] = [style for style in styles if style[0] != "sphinx-thebe.css"]


def version_of_tools() -> int:
    """A number for the code that makes the pages: Sphinx begins anew where it has changed."""
    here = pathlib.Path(__file__).parent
    files = {str(getattr(module, "__file__", "")) for module in sys.modules.values()}
    content = b"".join(
        path.read_bytes() for path in sorted(here.glob("*.py")) if str(path) in files
    )
    return int(hashlib.sha256(content).hexdigest()[:8], 16)


def setup(app) -> dict:
    gc.freeze()  # what is there now stays: to look through it again and again takes seconds
    directives.setup(app)
    ledgerpage.setup(app)
    frontpage.setup(app)
    leftout.setup(app)
    app.add_search_language(FoldedEnglish)
    explorables.setup(app)
    cite.setup(app)
    paper.setup(app)
    edition.setup(app)
    app.connect("config-inited", without_thebe)
    app.connect("config-inited", set_buttons)
    app.connect("config-inited", read_only_what_the_book_has)
    app.connect("config-inited", point_to_runs)
    app.connect("builder-inited", execute_chapters)
    app.connect("env-get-outdated", outdated_pages)
    app.connect("doctree-resolved", check_alternative_text)
    app.connect("doctree-resolved", typeset_numbers)
    app.connect("html-page-context", unpack_movies)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", downloads.offer, priority=502)  # the theme's own buttons first
    app.connect("build-finished", remove_stale)
    app.connect("build-finished", drop_icon_script, priority=850)
    app.connect("build-finished", weigh_pages, priority=900)  # after the assets have been copied
    return {
        "version": "2",
        "env_version": version_of_tools(),
        "parallel_read_safe": False,
        "parallel_write_safe": True,
    }
