"""Every page of the built site, in a real browser, as its readers have it.

At 1280 and 375 pixels, light and dark: no error on the console, no request to another host, no formula
that failed, no page that scrolls sideways, every picture and movie loads, the movies play, axe-core
finds no violation of WCAG's levels A and AA, and no page weighs more than 4 MB.
"""

import functools
import http.server
import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import chromium
from chapters import documents
from conftest import ROOT
from playwright.sync_api import sync_playwright

MEGABYTES = 4.0
STATES = [(width, scheme) for width in (1280, 375) for scheme in ("light", "dark")]
# The parts of formulas and of code, ten thousand to a page: formulas have the colour of the text, which is
# looked at once, and code has its colours in light and in dark, whatever the width.
WITHIN = ["mjx-container", "pre", "pre"]
LEVELS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
    "preload": False,  # it would look for the style sheets' own imports in the wrong folder
}


def page_names() -> list[str]:
    """The pages of the book, in the order of ``_toc.yml``, then those that Sphinx adds."""
    return [f"{name}.html" for name in [*documents(ROOT), "genindex", "search"]]


@pytest.fixture(scope="module")
def site(built):
    """The address of the built site, served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(
        ("localhost", 0), functools.partial(Quiet, directory=built)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        running = chromium(playwright)
        yield running
        running.close()


class Visit:
    """A page in the browser, with what it asked for and what it complained of."""

    def __init__(self, browser, address: str):
        self.page = browser.new_page(viewport={"width": 1280, "height": 900})
        self.complaints: list[str] = []
        self.loaded: dict[str, int] = {}
        self.page.on("console", self.listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda r: self.complaints.append(f"{r.url}: {r.failure}"))
        self.page.on("response", self.weigh)
        self.page.goto(address, wait_until="load")
        self.page.wait_for_function("!window.MathJax || MathJax.startup?.promise")
        self.page.evaluate("window.MathJax ? MathJax.startup.promise.then(() => 0) : 0")
        # pictures further down are loaded when they come near
        self.page.evaluate("document.querySelectorAll('img').forEach(i => (i.loading = 'eager'))")
        self.page.wait_for_load_state("networkidle")

    def listen(self, message) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def weigh(self, response) -> None:
        self.loaded[response.url] = int(response.headers.get("content-length", 0))
        if response.status >= 400:
            self.complaints.append(f"{response.url}: status {response.status}")

    def become(self, width: int, scheme: str) -> None:
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.emulate_media(color_scheme=scheme)
        self.page.wait_for_function(
            "scheme => document.documentElement.dataset.theme == scheme", arg=scheme
        )
        self.page.wait_for_timeout(400)  # the theme fades between light and dark


@pytest.mark.parametrize("name", page_names())
def test_page(site, browser, name):
    visit = Visit(browser, f"{site}/{name}")
    page = visit.page
    try:
        movies = {address for address in visit.loaded if address.endswith(".mp4")}
        playing = page.locator("video[autoplay]").count()  # on the front page, one
        assert len(movies) <= playing, f"the page loads a movie before anybody plays it: {movies}"
        megabytes = sum(visit.loaded.values()) / 1e6
        assert megabytes <= MEGABYTES, f"the page weighs {megabytes:.2f} MB"
        strangers = [a for a in visit.loaded if not a.startswith((site, "data:"))]
        assert not strangers, f"the page asks other hosts: {strangers}"

        failed = page.locator("mjx-merror, [data-mjx-error]").evaluate_all(
            "all => all.map(e => e.dataset.mjxError || e.title || e.textContent)"
        )
        assert not failed, f"formulas that failed: {failed}"
        broken = page.locator("img").evaluate_all(
            "all => all.filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
        )
        assert not broken, f"pictures that do not load: {broken}"

        for width, scheme in STATES:
            visit.become(width, scheme)
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{width} pixels: the page scrolls sideways by {overflow} pixels"
            left_out = WITHIN[: STATES.index((width, scheme))]
            inside = {"exclude": [[part] for part in left_out]} if left_out else None
            found = Axe().run(page, context=inside, options=LEVELS).response["violations"]
            report = [
                f"{v['id']}: {v['help']}: " + "; ".join(n["html"][:150] for n in v["nodes"][:5])
                for v in found
            ]
            assert not report, f"{width} pixels, {scheme}:\n" + "\n".join(report)

        for movie in page.locator("video").all():
            assert movie.get_attribute("aria-label"), "a movie without alternative text"
            movie.evaluate("movie => movie.play()")
            page.wait_for_function("movie => movie.currentTime > 0.2", arg=movie.element_handle())
            movie.evaluate("movie => movie.pause()")
            assert movie.evaluate("movie => movie.paused")
        assert not visit.complaints, visit.complaints
    finally:
        page.close()
