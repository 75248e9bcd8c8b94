"""Print the whole book to one PDF, _build/html/book.pdf, with headless Chromium.

Jupyter Book puts all pages into one; Chromium typesets and prints it, with an outline and links that
work.  Movies become their poster frames.  Nothing is done where the printed pages have not changed.
"""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import sys

from browser import chromium
from chapters import ROOT, build_command, run_tool
from playwright.sync_api import sync_playwright

FOLDER = ROOT / "_build" / "print"
PAGES = FOLDER / "_build" / "singlehtml"
BOOK = ROOT / "_build" / "html" / "book.pdf"
MINUTES = 6

STYLE = """
@page { size: A4; margin: 20mm 18mm 22mm 18mm; }
html { font-size: 10.5pt; }
.bd-sidebar-primary, .bd-sidebar-secondary, .bd-header, .bd-header-article, .bd-footer, .bd-footer-content,
.headerlink, .copybtn, .toggle-button, #pst-back-to-top, .prev-next-footer { display: none !important; }
.bd-main, .bd-content, .bd-article-container { max-width: 100% !important; display: block !important; }
span[id^="document-"] + section { break-before: page; }
h1, h2, h3, h4 { break-after: avoid; }
figure, .cell_output img, mjx-container[display="true"], .sd-card, tr { break-inside: avoid; }
img { max-height: 200mm; object-fit: contain; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; break-inside: auto !important; font-size: 78% !important; }
div.highlight, div[class*="highlight-"] { break-inside: auto !important; display: block !important; }
.bd-main .bd-content table.table { break-inside: auto; }
details > summary { display: none; }
mjx-container[display="true"] { font-size: 92% !important; }
table.table { font-size: 80%; }
"""

# A movie cannot be printed; its poster can.
POSTERS = """
for (const movie of document.querySelectorAll("video")) {
  const image = document.createElement("img");
  image.src = movie.poster;
  image.alt = movie.getAttribute("aria-label");
  movie.replaceWith(image);
}
for (const image of document.querySelectorAll("img")) image.loading = "eager";
"""

FOOTER = """
<div style="width: 100%; text-align: center; font: 8pt sans-serif"><span class="pageNumber"></span></div>
"""


def assemble() -> pathlib.Path:
    """All pages of the book in one; returns its path."""
    command = build_command(
        ROOT, "--builder", "singlehtml", "--path-output", str(FOLDER), strict=False
    )
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"the pages were not put together:\n{done.stdout[-4000:]}")
    return PAGES / "intro.html"


def print_book(page_path: pathlib.Path, target: pathlib.Path) -> None:
    """Print one page of HTML; the PDF appears when it is whole."""
    partial = target.with_suffix(".partial")
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        page = browser.new_page()
        page.set_default_timeout(MINUTES * 60_000)
        page.emulate_media(media="print", color_scheme="light")
        page.goto(page_path.as_uri(), wait_until="load")
        page.add_style_tag(content=STYLE)
        page.evaluate(POSTERS)
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise.then(() => 0)")
        page.wait_for_load_state("networkidle")
        page.pdf(
            path=partial, prefer_css_page_size=True, print_background=True, outline=True, tagged=True,
            display_header_footer=True, header_template="<span></span>", footer_template=FOOTER,
        )  # fmt: skip
        browser.close()
    partial.replace(target)


def main() -> None:
    site = BOOK.parent
    patterns = ("*.html", "chapters/**/*.html", "_static/*.css")
    pages = [path for pattern in patterns for path in sorted(site.glob(pattern))]
    pages.append(pathlib.Path(__file__))
    digest = hashlib.sha256(b"".join(page.read_bytes() for page in pages)).hexdigest()
    FOLDER.mkdir(exist_ok=True)
    stamp = FOLDER / "printed"
    if BOOK.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    print_book(assemble(), BOOK)
    stamp.write_text(digest)
    print(f"printed {BOOK.relative_to(ROOT)}: {BOOK.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    run_tool(main)
