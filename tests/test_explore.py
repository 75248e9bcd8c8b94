"""Explorables: pictures that a slider chooses, in the browser, on disk, in print, in JupyterLab."""

import functools
import http.server
import io
import re
import shutil
import threading

import book
import explorable
import matplotlib
import numpy as np
import pytest
import results
import test_lab
from axe_playwright_python.sync_playwright import Axe
from booksite import Loads
from browser import chromium
from conftest import HEADER, ROOT, ThrowAwayBook, launch_path
from PIL import Image
from playwright.sync_api import expect, sync_playwright

matplotlib.use("agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def no_figure_is_left():
    yield
    left = plt.get_fignums()
    plt.close("all")
    assert not left, "a figure is left open, and the notebook would show it"


@pytest.fixture
def in_notebook(monkeypatch):
    monkeypatch.setattr(explorable, "in_notebook", lambda: True)


def line(γ, n=1):
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.plot([0, 1], [0, γ * n])
    ax.set(xlim=(0, 1), ylim=(0, 10))
    return fig


def simple(draw=line, alt="A line to {γ}", **options):
    return book.explore(draw, alt=alt, **({"γ": [1, 2, 3]} | options))


def sized(γ):
    return plt.figure(figsize=(γ, 1))


def limited(γ):
    fig, ax = plt.subplots(figsize=(2, 1))
    ax.set(xlim=(0, γ), ylim=(0, 1))
    return fig


def with_more(γ):
    fig, _ = plt.subplots(1, γ, figsize=(2, 1))
    return fig


def two(γ):
    return plt.figure() and plt.figure()


def rough(γ):
    fig = plt.figure(figsize=(6, 6))
    fig.figimage(np.random.default_rng(γ).random((864, 864)))
    return fig


WRONG = {
    "no values": ({"γ": []}, "expected at least two values of γ, got 0"),
    "one value": ({"γ": [1]}, "expected at least two values of γ, got 1"),
    "a number": ({"γ": 3}, "expected at least two values of γ, got 3"),
    "a word": ({"γ": "abc"}, "expected at least two values of γ, got 'abc'"),
    "a value twice": ({"γ": [1, 2, 2]}, r"expected different values of γ, got \[1, 2, 2\]"),
    "values not finite": (
        {"γ": [1, np.inf]},
        r"expected finite numbers, or words, as γ, got \[1, inf",
    ),
    "values mixed": (
        {"γ": [1, "two"]},
        r"expected finite numbers, or words, as γ, got \[1, 'two'\]",
    ),
    "too many pictures": ({"γ": range(61)}, "expected at most 60 pictures, got 61 = 61"),
    "too many pairs": ({"γ": range(8), "n": range(8)}, "at most 60 pictures, got 8 x 8 = 64"),
    "three parameters": ({"n": [1, 2], "m": [1, 2]}, "one parameter or two .*, got γ, n, m"),
    "an empty alternative text": ({"alt": " "}, "says what is to be seen, got ' ' for γ = 1"),
    "an empty text for one": (
        {"alt": lambda γ: "a" * (3 - γ)},
        "says what is to be seen, got '' for γ = 3",
    ),
    "no alternative text": ({"alt": lambda γ: None}, "says what is to be seen, got None for γ = 1"),
    "always the same text": ({"alt": "A line"}, "tells the pictures apart, got .* 'A line'"),
    "a text of others": (
        {"alt": "Line {T}"},
        "expected an alternative text with γ, got 'Line {T}'",
    ),
    "a default elsewhere": (
        {"default": {"γ": 1.5}},
        r"expected as default one of the values of γ, \[1, 2, 3\], got 1.5",
    ),
    "a default of others": ({"default": {"T": 1}}, "expected default of γ, got one of 'T'"),
    "a bare default": ({"default": 2}, "expected default by parameter, as a dictionary, got 2"),
    "a label of others": ({"labels": {"T": "T = {}"}}, "expected labels of γ, got one of 'T'"),
    "a label without a format": (
        {"labels": {"γ": "step"}},
        "expected a label of γ with one format",
    ),
    "a label that does not fit": (
        {"labels": {"γ": "{:d} steps {:.1f}"}},
        "a label of γ with one format",
    ),
    "a label without words": ({"labels": {"γ": "{:d}"}}, "expected a label that says what γ is"),
    "a label too coarse": (
        {"γ": [0.11, 0.12], "labels": {"γ": "γ = {:.1f}"}},
        "tells the values of γ apart, got 'γ = {:.1f}', which prints 0.1, 0.1",
    ),
    "no function": ({"draw": None}, "expected a function that draws, got None"),
    "no figure": ({"draw": lambda γ: None}, "expected draw to return a figure, got None for γ = 2"),
    "axes": ({"draw": lambda γ: line(γ).axes[0]}, "expected draw to return a figure, got <Axes"),
    "two figures": ({"draw": two}, "expected draw to make one figure, got 2 for γ = 2"),
    "differing sizes": (
        {"draw": sized},
        "pictures of one size .*, got 200 x 100 pixels for γ = 2 and 100 x 100 pixels for γ = 1",
    ),
    "differing axes": (
        {"draw": with_more},
        "as many axes .*, got 2 axes for γ = 2 and 1 axes for γ = 1",
    ),
    "differing limits": (
        {"draw": limited},
        "the same limits .*, got x from 0 to 2 in axes 1 for γ = 2 and x from 0 to 1 in axes 1 for γ = 1",
    ),
    "too much": ({"draw": rough}, "expected at most 700 KB, got [0-9]{4} KB in 3 pictures"),
}


@pytest.mark.parametrize("what", WRONG)
def test_refuses(what):
    """In a script and in a notebook alike, for all of these are seen at the ends."""
    options, message = WRONG[what]
    with pytest.raises(ValueError, match="explore: .*" + message):
        simple(**options)


def test_a_mistake_of_the_author_is_shown_as_it_is():
    def wrong(γ):
        plt.figure()
        return γ / 0

    with pytest.raises(ZeroDivisionError):
        simple(wrong)


def test_a_script_draws_the_default_and_the_ends():
    drawn = []

    def draw(γ, n):
        drawn.append((γ, n))
        return line(γ, n)

    simple(draw, alt="{γ} {n}", γ=[1, 2, 3, 4], n=[1, 2, 3], default={"γ": 2})
    assert drawn == [(2, 2), (1, 2), (4, 2), (2, 1), (2, 3)]


def test_the_numbers_are_typeset(in_notebook):
    shown = simple(
        γ=[-2e-6, 1e-3, 1.5],
        labels={"γ": "step length γ = {:.1e} m"},
        alt="From -1 to {γ:.0e}",
        draw=lambda γ: line(1),
    )
    said = ["−2.0\u2009·\u200910⁻⁶ m", "1.0\u2009·\u200910⁻³ m", "1.5 m"]
    assert shown.sliders[0].said == said
    assert list(shown.texts.values())[:2] == ["From −1 to −2\u2009·\u200910⁻⁶", "From −1 to 10⁻³"]
    assert "step length <var>γ</var></label> = <output" in shown.html()


def test_all_pictures_have_the_layout_of_the_first(in_notebook):
    """Wider numbers beside the axis would move it, were the layout not frozen."""

    def draw(γ, moved=None):
        fig, ax = plt.subplots(figsize=(2, 1), layout="constrained")
        ax.set(xlim=(0, 1), ylim=(0, 1), yticks=[0.5], yticklabels=["9" * γ])
        ax.set_facecolor("red")
        fig.suptitle("a" * γ)
        return fig

    def left_edge(webp):
        red = np.asarray(Image.open(io.BytesIO(webp)).convert("RGB")) == (255, 0, 0)
        return np.flatnonzero(red.all(axis=2).any(axis=0))[0]

    shown = simple(draw, γ=[1, 3, 9], default={"γ": 3})
    assert len({left_edge(webp) for webp in shown.pictures.values()}) == 1


def test_a_figure_may_be_moved_instead_of_made_anew(in_notebook):
    fig, ax = plt.subplots(figsize=(1, 1))
    ax.set(xlim=(0, 1), ylim=(0, 9))
    (curve,) = ax.plot([0, 1], [0, 1])

    def move(γ):
        curve.set_ydata([0, γ])
        return fig

    assert len(set(simple(move).pictures.values())) == 3


# ------------------------------------------------------------------------------ in the browser

PAGE = '''
# A page

```{code-cell} python
from book import explore
import matplotlib.pyplot as plt


def grey(level):
    """A picture that says which it is by its colour."""
    fig = plt.figure(figsize=(5, 3), dpi=144)
    fig.set_facecolor(f"#{level:02x}{level:02x}{level:02x}")
    return fig
```

SPACE

```{code-cell} python
---
tags: [figure]
mystnb:
  figure:
    name: fig-one
    caption: How grey it is.
  image:
    alt: Grey.
---
explore(
    lambda γ: grey(round(200 * γ)), alt="Grey of γ = {γ:.1f}", labels={"γ": "step length γ = {:.1f} m"},
    γ=[k / 10 for k in range(11)], default={"γ": 0.3},
)
```

SPACE

```{code-cell} python
---
tags: [figure]
mystnb:
  figure:
    name: fig-two
    caption: How grey it is, in two ways.
  image:
    alt: Grey.
---
explore(
    lambda m, word: grey(5 + 10 * m + 100 * (word == "dark")), alt="Grey {m} and {word}", m=[1, 2, 3, 4],
    word=["light", "dark"], default={"word": "light"}, labels={"word": "kind of grey: {} as dust and ashes"},
)
```

SPACE
'''.replace("SPACE", "\n\n".join(["And so on."] * 80))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A throw-away book with a page of two explorables."""
    book = ThrowAwayBook(tmp_path_factory.mktemp("book"))
    shutil.copytree(ROOT / "_static", book.root / "_static", dirs_exist_ok=True)
    book.write(PAGE)
    done = book.build()
    assert done.returncode == 0, done.stdout
    return book


@pytest.fixture(scope="module")
def addresses(built):
    """The page as a server gives it, and as it lies on disk."""
    site = built.root / "_build" / "html"

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("localhost", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield {
        "server": f"http://localhost:{server.server_port}/chapters/page.html",
        "disk": (site / "chapters" / "page.html").as_uri(),
    }
    server.shutdown()


@pytest.fixture(scope="module")
def chrome():
    with sync_playwright() as playwright:
        browser = chromium(playwright)
        yield browser
        browser.close()


class Reader:
    """A page in the browser; what it asked for, and what it complained of."""

    def __init__(self, chrome, address, go=True, **options):
        options = {"viewport": {"width": 1280, "height": 900}} | options
        self.context = chrome.new_context(**options)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.listen)
        self.page.add_init_script(SHIFTS)
        self.address = address
        if go:
            self.page.goto(address, wait_until="load")
            self.page.wait_for_load_state("networkidle")

    def listen(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def pictures_asked_for(self) -> int:
        return len({address for address in self.asked if "_explorables/" in address})

    def one(self, number=0) -> "Shown":
        return Shown(self.page, number)

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.context.close()


SHIFTS = """
window.shifted = [];
new PerformanceObserver(list => {
  for (const entry of list.getEntries())
    window.shifted.push([entry.value, entry.sources.some(source =>
      (source.node?.closest ? source.node : source.node?.parentElement)?.closest("figure, .explorable"))]);
}).observe({type: "layout-shift", buffered: true});
"""


class Shown:
    """One explorable as its reader has it."""

    def __init__(self, page, number):
        self.page = page
        self.root = page.locator(".explorable").nth(number)
        self.picture = self.root.locator(".explorable-picture img")
        self.sliders = self.root.locator("input")

    def near(self):
        """Come near, and wait until all pictures are there: a busy machine takes its time."""
        self.root.scroll_into_view_if_needed()
        return self.loaded()

    def loaded(self):
        expect(self.root).to_contain_class("explorable-loaded")
        return self

    def grey(self) -> int:
        """The colour in the middle of what is on the screen."""
        screen = Image.open(io.BytesIO(self.picture.screenshot())).convert("L")
        return screen.getpixel((screen.width // 2, screen.height // 2))

    def says(self, number=0) -> str:
        """The printed value, which is also what a screen reader says."""
        printed = self.root.locator("output").nth(number).inner_text()
        assert self.sliders.nth(number).get_attribute("aria-valuetext") == printed
        return printed

    def is_at(self, tenths: int) -> bool:
        """Whether slider, printed value, picture and alternative text are those of γ, in tenths."""
        assert self.sliders.input_value() == f"{tenths}"
        assert self.says() == f"{tenths / 10:.1f} m"
        assert self.picture.get_attribute("alt") == f"Grey of γ = {tenths / 10:.1f}"
        assert self.grey() == 20 * tenths
        return True


@pytest.mark.parametrize("way", ["server", "disk"])
def test_it_opens_at_once_and_loads_when_needed(addresses, chrome, way):
    with Reader(chrome, addresses[way]) as reader:
        one, two = reader.one(0), reader.one(1)
        assert reader.pictures_asked_for() == 2, "the defaults, and no others"
        for shown, text in ((one, "Grey of γ = 0.3"), (two, "Grey 3 and light")):
            assert shown.picture.evaluate("image => image.complete && image.naturalWidth == 720")
            assert shown.picture.get_attribute("alt") == text
        two.near()
        assert two.grey() == 35
        assert reader.pictures_asked_for() == 1 + 8
        one.sliders.focus()  # as a reader comes who has no mouse
        one.loaded()
        assert one.is_at(3)
        assert reader.pictures_asked_for() == 11 + 8
        home = addresses[way].partition("/chapters/")[0]
        assert not [a for a in reader.asked if not a.startswith((home, "data:"))]
        assert not reader.complaints


#: A key, and the tenths at which the slider then stands.
KEYS = {"ArrowRight": 4, "ArrowUp": 5, "ArrowLeft": 4, "Home": 0, "End": 10}


@pytest.mark.parametrize("way", ["server", "disk"])
def test_keys_clicks_and_drags(addresses, chrome, way):
    with Reader(chrome, addresses[way]) as reader:
        one, page = reader.one().near(), reader.page
        one.sliders.focus()
        for key, tenths in KEYS.items():
            page.keyboard.press(key)
            assert one.is_at(tenths), key
        box = one.sliders.bounding_box()
        middle = box["y"] + box["height"] / 2
        place = lambda tenths: box["x"] + 8 + (box["width"] - 16) * tenths / 10  # noqa: E731
        page.mouse.click(place(2), middle)
        assert one.is_at(2)
        page.mouse.move(place(2), middle)
        page.mouse.down()
        for tenths in (4, 7, 9):
            page.mouse.move(place(tenths), middle, steps=3)
            assert one.is_at(tenths), "while it is dragged"
        page.mouse.up()
        assert one.is_at(9)
        one.root.locator("label").click()
        assert one.sliders.evaluate("slider => slider === document.activeElement")
        assert not reader.complaints


def test_touch_on_a_phone(addresses, chrome):
    phone = {"viewport": {"width": 375, "height": 700}, "has_touch": True, "is_mobile": True}
    with Reader(chrome, addresses["server"], **phone) as reader:
        one = reader.one().near()
        for slider in reader.page.locator(".explorable input").all():
            assert slider.bounding_box()["width"] > 250, "long words leave it no place"
        box = one.sliders.bounding_box()
        assert box["height"] >= 24 and box["x"] >= 0 and box["x"] + box["width"] <= 375
        reader.page.touchscreen.tap(
            box["x"] + 8 + (box["width"] - 16) * 0.8, box["y"] + box["height"] / 2
        )
        assert one.is_at(8)
        touch = reader.context.new_cdp_session(reader.page)

        def send(kind, tenths):
            x, y = box["x"] + 8 + (box["width"] - 16) * tenths / 10, box["y"] + box["height"] / 2
            points = [] if kind == "touchEnd" else [{"x": x, "y": y}]
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        send("touchStart", 8)
        for tenths in (7, 5, 3, 1):
            send("touchMove", tenths)
        assert one.is_at(1)
        send("touchEnd", 1)
        assert one.is_at(1)
        assert reader.page.evaluate("document.documentElement.scrollWidth") <= 375


def test_the_picture_changes_within_a_frame(addresses, chrome):
    with Reader(chrome, addresses["server"]) as reader:
        one = reader.one().near()
        one.sliders.evaluate(
            """async slider => {
              slider.dispatchEvent(new Event("focusin", {bubbles: true}));
              await new Promise(done => setTimeout(done, 500));
            }"""
        )
        frames = reader.page.evaluate(
            """async () => {
              const [root] = document.querySelectorAll(".explorable");
              const slider = root.querySelector("input");
              const found = [];
              for (let k = 10; k >= 0; k--) {
                await new Promise(requestAnimationFrame);
                slider.value = k;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                const image = root.querySelector(".explorable-picture img");
                const start = performance.now();
                const complete = image.complete && image.alt.endsWith((k / 10).toFixed(1));
                await image.decode();
                found.push([complete, performance.now() - start]);
              }
              return found;
            }"""
        )
        assert all(at_once for at_once, _ in frames), frames
        assert sorted(ms for _, ms in frames)[5] < 17, f"milliseconds to decode: {frames}"


def test_nothing_moves(addresses, chrome):
    """No layout shift: while an explorable on the screen is loaded, or its pictures, or its sliders move."""
    for width in (1280, 375):
        with Reader(
            chrome, addresses["server"], viewport={"width": width, "height": 800}
        ) as reader:
            reader.one().near()
            reader.page.reload(wait_until="load")
            reader.one().loaded()
            assert reader.one().picture.evaluate("e => e.getBoundingClientRect().y < innerHeight")
            # the theme's own bars, and code, move by some pixels while their fonts are loaded
            assert not [value for value, ours in reader.page.evaluate("shifted.splice(0)") if ours]
            for number in (0, 1):
                shown = reader.one(number).near()
                for slider in shown.sliders.all():
                    slider.focus()
                    for key in ("Home", "ArrowRight", "End", "ArrowLeft"):
                        reader.page.keyboard.press(key)
                        reader.page.wait_for_timeout(50)
            assert reader.page.evaluate("shifted") == []


def test_two_parameters_and_two_explorables(addresses, chrome):
    with Reader(chrome, addresses["server"]) as reader:
        two, one = reader.one(1).near(), reader.one(0)
        m, word = two.sliders.all()
        assert (two.says(0), two.says(1), two.grey()) == ("3", "light as dust and ashes", 35)
        m.press("Home")
        assert (two.says(0), two.says(1), two.grey()) == ("1", "light as dust and ashes", 15)
        word.press("ArrowRight")
        assert (two.says(0), two.says(1), two.grey()) == ("1", "dark as dust and ashes", 115)
        m.press("End")
        assert (two.says(0), two.says(1), two.grey()) == ("4", "dark as dust and ashes", 145)
        assert two.picture.get_attribute("alt") == "Grey 4 and dark"
        assert one.near().is_at(3), "the other one has moved"
        one.sliders.press("End")
        assert one.is_at(10)
        assert (two.says(0), two.says(1), two.grey()) == ("4", "dark as dust and ashes", 145)


@pytest.mark.parametrize("way", ["server", "disk"])
def test_a_reload_and_a_way_back_keep_nothing_odd(addresses, chrome, way):
    with Reader(chrome, addresses[way]) as reader:
        for back in (False, True):
            one = reader.one().near()
            one.sliders.press("End")
            assert one.is_at(10)
            if back:
                reader.page.goto(addresses[way].replace("chapters/page", "intro"))
                reader.page.go_back(wait_until="load")
            else:
                reader.page.reload(wait_until="load")
            reader.page.wait_for_timeout(300)
            assert one.near().is_at(int(one.sliders.input_value())), "slider and picture differ"


def test_without_javascript(addresses, chrome):
    with Reader(chrome, addresses["server"], java_script_enabled=False) as reader:
        one = reader.one()
        one.root.scroll_into_view_if_needed()
        assert one.grey() == 60
        assert not one.sliders.is_visible()
        check_ends(one)


def check_ends(one):
    """The two ends stand beside the default, each with its value and its alternative text."""
    ends = one.root.locator(".explorable-ends > div")
    assert [text.strip() for text in ends.all_inner_texts()] == [
        "step length γ = 0.0 m",
        "step length γ = 1.0 m",
    ]
    images = ends.locator("img").all()
    assert [image.get_attribute("alt") for image in images] == [
        "Grey of γ = 0.0",
        "Grey of γ = 1.0",
    ]
    for image, expected in zip(images, (0, 200), strict=True):
        screen = Image.open(io.BytesIO(image.screenshot())).convert("L")
        assert screen.getpixel((screen.width // 2, screen.height // 2)) == expected


def test_on_paper(addresses, chrome, built, tmp_path):
    with Reader(chrome, addresses["server"]) as reader:
        one = reader.one()
        assert not one.root.locator(".explorable-ends").is_visible()
        reader.page.emulate_media(media="print")
        assert not one.sliders.is_visible()
        reader.page.pdf(
            path=tmp_path / "page.pdf"
        )  # as a reader prints, wherever he is on the page
        check_ends(one)
    assert (tmp_path / "page.pdf").read_bytes().count(b"/Subtype /Image") >= 3 + 4


def test_a_slow_server(addresses, chrome):
    """The value follows at once, the picture when it has come, and the last one asked for wins."""
    with Reader(chrome, addresses["server"], go=False) as reader:
        page, held = reader.page, []
        page.route("**/_explorables/*", lambda route: held.append(route))
        page.goto(addresses["server"], wait_until="domcontentloaded")
        page.wait_for_function("document.querySelectorAll('.explorable-live').length == 2")
        one = reader.one()
        page.wait_for_timeout(500)
        defaults = {
            one.picture.get_attribute("src")[-20:],
            reader.one(1).picture.get_attribute("src")[-20:],
        }
        for route in [route for route in held if route.request.url[-20:] in defaults]:
            held.remove(route)
            route.continue_()
        one.sliders.focus()
        page.keyboard.press("End")
        page.keyboard.press("Home")
        assert one.says() == "0.0 m"
        assert one.picture.get_attribute("alt") == "Grey of γ = 0.3"
        page.wait_for_timeout(300)
        for route in reversed(held):
            route.continue_()
        page.unroute("**/_explorables/*")
        page.wait_for_function(
            "document.querySelector('.explorable-picture img').alt == 'Grey of γ = 0.0'"
        )
        one.loaded()
        assert one.is_at(0)


def test_a_picture_that_is_missing(addresses, chrome):
    """The reader is told what he would see; the next attempt may find it."""
    with Reader(chrome, addresses["server"], go=False) as reader:
        reader.page.goto(addresses["server"], wait_until="load")
        reader.page.route("**/_explorables/*", lambda route: route.abort())
        one = reader.one()
        one.root.scroll_into_view_if_needed()
        one.sliders.press("End")
        expect(one.picture).to_have_attribute("alt", "Grey of γ = 1.0")
        assert not one.picture.evaluate("image => image.naturalWidth")
        box = one.picture.bounding_box()
        reader.page.unroute("**/_explorables/*")
        one.sliders.press("ArrowLeft")
        expect(one.picture).to_have_attribute("alt", "Grey of γ = 0.9")
        assert one.is_at(9)
        assert one.picture.bounding_box() == pytest.approx(box, abs=1)


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessible(addresses, chrome, width, scheme):
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with Reader(chrome, addresses["server"], **options) as reader:
        one = reader.one().near()
        slider = reader.page.get_by_role("slider", name="step length γ", exact=True)
        assert slider.get_attribute("aria-valuetext") == "0.3 m"
        assert reader.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        found = (
            Axe().run(reader.page, options={"resultTypes": ["violations"]}).response["violations"]
        )
        ours = [v for v in found if any("explorable" in str(node["target"]) for node in v["nodes"])]
        assert not ours, ours
        levels = [v for v in found if set(v["tags"]) & {"wcag2a", "wcag2aa", "wcag21a", "wcag21aa"}]
        assert not levels, levels
        ground = reader.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert one.root.locator("label").evaluate("e => getComputedStyle(e).color") != ground


def test_the_weight_is_known(built):
    page = built.root / "_build" / "html" / "chapters" / "page.html"
    one, two = results.load(built.root)["page"].explorables()
    assert (one["pictures"], two["pictures"]) == (11, 8)
    assert all(0 < cost["seconds"] < 15 for cost in (one, two))
    files = list((page.parents[1] / "_explorables").glob("*.webp"))
    assert one["kb"] + two["kb"] == sum(file.stat().st_size for file in files) / 1000
    assert page.stat().st_size < 200_000, "the pictures are still in the page"
    loaded = [
        address for address in Loads(page.read_text()).addresses if "_explorables/" in address
    ]
    assert len(loaded) == 2, "the page is weighed as it opens, with the defaults"


def test_nothing_of_a_failed_explorable_is_cached(book):
    cell = '# A page\n\n```{code-cell} python\nfrom book import explore\n\nexplore(lambda γ: None, alt="{γ}", γ=[1, 2])\n```\n'
    book.write(cell)
    for _ in range(2):
        failed = book.build()
        assert failed.returncode != 0
        line = book.line("from book import")
        assert re.search(rf"chapters/page\.md:({line}|{line + 1})\b", failed.stdout), failed.stdout
        assert "expected draw to return a figure, got None for γ = 2" in failed.stdout
    assert results.load(book.root) == {}


# ------------------------------------------------------------------------------- in JupyterLab

lab = test_lab.lab  # started as `make lab` does


def test_in_jupyterlab(lab, chrome):
    """The page run as a notebook: the slider has the keys, and chooses the picture."""
    root, printed = lab
    (root / "chapters" / "page.md").write_text(HEADER + PAGE)
    with Reader(chrome, printed, go=False) as reader:
        page = reader.page
        page.set_default_timeout(25_000)
        page.goto(printed)
        page.locator("#filebrowser .jp-DirListing-item").first.wait_for()
        page.goto(printed.partition("/lab")[0] + launch_path("page"))
        page.locator(".jp-NotebookPanel h1").wait_for()
        page.wait_for_function(f"() => {test_lab.KERNEL}?.status === 'idle'")
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator(".explorable-live").nth(1).wait_for(state="attached")
        one = reader.one()
        one.root.scroll_into_view_if_needed()
        one.sliders.focus()
        for key, tenths in KEYS.items():
            page.keyboard.press(key)
            page.wait_for_timeout(300)
            assert one.is_at(tenths), key
        assert not [a for a in reader.asked if "_explorables/" in a], "the data are inside"


def test_the_downloaded_notebook(lab, chrome, built):
    """Where the notebook is not trusted, which is how a download begins, the default is there."""
    root, printed = lab
    notebook = built.root / "_build" / "html" / "notebooks" / "page.ipynb"
    assert notebook.stat().st_size < 1_000_000
    (root / "chapters" / "downloaded.ipynb").write_bytes(notebook.read_bytes())
    with Reader(chrome, printed, go=False) as reader:
        page = reader.page
        page.set_default_timeout(25_000)
        page.goto(printed)
        page.locator("#filebrowser .jp-DirListing-item").first.wait_for()
        page.goto(printed.partition("/lab")[0] + "/lab/tree/chapters/downloaded.ipynb")
        page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) h1").wait_for()  # others may be open
        picture = page.locator('.jp-OutputArea img[alt="Grey of γ = 0.3"]').first
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("image => image.naturalWidth") == 720
        page.evaluate(
            "void jupyterapp.commands.execute('notebook:trust')"
        )  # it waits for the answer
        page.get_by_role("button", name="Trust").last.click()
        page.locator(".explorable-live").nth(1).wait_for(state="attached")
        one = reader.one()
        one.root.scroll_into_view_if_needed()
        one.sliders.press("End")
        page.wait_for_timeout(300)
        assert one.is_at(10)
