"""Explorables: pictures that a slider chooses, in the browser, on disk, in print, in JupyterLab."""

import io

import book
import explorable
import matplotlib
import numpy as np
import pytest
from PIL import Image

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
