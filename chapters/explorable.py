"""Sliders that work without a kernel: a picture for each value, and the page that shows them.

A chapter imports what it needs from the helper, ``from book import explore``.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import io
import itertools
import json
import math
import numbers
import re
import string
import time
from collections.abc import Callable, Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont
from running import in_notebook, progress

__all__ = ["Explorable", "explore"]

PARAMETERS = 2
PICTURES = 60
KILOBYTES = 700
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def explore(
    draw: Callable[..., Figure],
    *,
    alt: str | Callable[..., str],
    labels: dict[str, str] | None = None,
    default: dict | None = None,
    **values: Iterable,
) -> Explorable:
    """A picture for each value of one parameter or two, and sliders to choose among them.

    Shown where it is the last expression of a cell.  In a script, where nobody sees it, only the
    default and the ends of each parameter are drawn.

    Parameters
    ----------
    draw
        ``draw(**choice)`` returns the figure for one value of each parameter: a new one, or always
        the same one with its artists moved, which is faster.  All have the size, the axes and the
        limits of the first, which is the default; its layout is the layout of all.
    alt
        What is to be seen in each picture: a template such as ``"The path for γ = {γ:.2f}"``, or a
        function of the values, ``alt(**choice)``.
    labels
        For each parameter its text, symbol, format and unit: ``{"T": "duration T = {:.1f} s"}``.
    default
        The choice that the page opens with; of a parameter that it does not name, the middle value.
    values
        The values of each parameter in their order, numbers or words: at most 60 pictures in all.

    Raises
    ------
    ValueError
        If any of this is not so, or the pictures have more than 700 KB (1000 bytes) together.
    """
    if not callable(draw):
        raise ValueError(f"explore: expected a function that draws, got {draw!r}")
    sliders = _sliders(values, labels or {}, default or {})
    lengths = [len(slider.values) for slider in sliders]
    if (count := math.prod(lengths)) > PICTURES:
        product = " x ".join(map(str, lengths))
        raise ValueError(f"explore: expected at most {PICTURES} pictures, got {product} = {count}")

    def choice(places):
        pairs = zip(sliders, places, strict=True)
        return {slider.name: slider.values[place] for slider, place in pairs}

    places = list(itertools.product(*map(range, lengths)))
    texts = {place: _alternative(alt, choice(place)) for place in places}
    if len(set(texts.values())) == 1:
        raise ValueError(
            "explore: expected an alternative text that tells the pictures apart, got for all of"
            f" them {texts[places[0]]!r}"
        )

    shown = tuple(slider.at for slider in sliders)
    ends = [
        (*shown[:k], end, *shown[k + 1 :])
        for k, length in enumerate(lengths)
        for end in (0, length - 1)
    ]
    wanted = dict.fromkeys([shown, *ends, *(places if in_notebook() else [])])  # in this order
    drawing, began = _Drawing(draw), time.process_time()
    try:
        pictures = {place: drawing(choice(place)) for place in progress(wanted, "pictures")}
    finally:
        drawing.close()
    size = sum(map(len, pictures.values()))
    if size > KILOBYTES * 1000:
        raise ValueError(
            f"explore: expected at most {KILOBYTES} KB, got {size / 1000:.0f} KB in {len(pictures)}"
            " pictures; fewer values, a smaller figure or calmer textures help"
        )
    seconds = time.process_time() - began
    return Explorable(sliders, pictures, texts, shown, ends, drawing.size, seconds)


# ------------------------------------------------------------------------------ what was given


@dataclasses.dataclass
class Slider:
    """A parameter: its values, the one it opens with, and how they are printed."""

    name: str
    values: list
    at: int  # the place of the default among the values
    text: str  # "step length γ"
    sign: str  # "="
    said: list[str]  # the values with their unit, "0.15"

    def told(self, place: int) -> str:
        """The parameter at one of its values: "step length γ = 0.15"."""
        return self.before() + self.said[place]

    def before(self) -> str:
        return self.text + {"": " ", ":": ": "}.get(self.sign, f" {self.sign} ")


def _sliders(values: dict, labels: dict, default: dict) -> list[Slider]:
    if not 1 <= len(values) <= PARAMETERS:
        names = ", ".join(values) or "none"
        raise ValueError(f"explore: expected one parameter or two with their values, got {names}")
    for what, given in (("labels", labels), ("default", default)):
        if not isinstance(given, dict):
            raise ValueError(
                f"explore: expected {what} by parameter, as a dictionary, got {given!r}"
            )
        if unknown := [name for name in given if name not in values]:
            raise ValueError(
                f"explore: expected {what} of {' and '.join(values)}, got one of {unknown[0]!r}"
            )
    return [_slider(name, given, labels, default) for name, given in values.items()]


def _slider(name, given, labels, default) -> Slider:
    listed = isinstance(given, Iterable) and not isinstance(given, (str, bytes, dict, set))
    values = [v.item() if isinstance(v, np.generic) else v for v in given] if listed else []
    if len(values) < 2:
        got = f"{len(values)}" if listed else repr(given)
        raise ValueError(f"explore: expected at least two values of {name}, got {got}")
    words = all(isinstance(value, str) and value.strip() for value in values)
    finite = all(isinstance(v, numbers.Real) and math.isfinite(v) for v in values)
    if not words and not finite:
        raise ValueError(f"explore: expected finite numbers, or words, as {name}, got {values}")
    if len(set(values)) < len(values):
        raise ValueError(f"explore: expected different values of {name}, got {values}")

    at = len(values) // 2
    if name in default:
        wanted = default[name]
        number = finite and isinstance(wanted, numbers.Real)
        alike = [v == wanted or (number and math.isclose(v, wanted)) for v in values]
        if True not in alike:
            raise ValueError(
                f"explore: expected as default one of the values of {name}, {values}, got {wanted!r}"
            )
        at = alike.index(True)

    label = labels.get(name, f"{name}: {{}}" if words else f"{name} = {{:g}}")
    try:
        pieces = list(string.Formatter().parse(label))
        fields = [piece for piece in pieces if piece[1] is not None]
        if len(fields) != 1 or fields[0][1] not in ("", name):
            raise ValueError
        before, _, spec, _ = fields[0]
        said = [typeset(format(value, spec)) for value in values]
    except (ValueError, TypeError):
        raise ValueError(
            f"explore: expected a label of {name} with one format that fits its values, such as"
            f" '{name} = {{}}', got {label!r}"
        ) from None
    after = "".join(piece[0] for piece in pieces[1:])
    text, sign = re.fullmatch(r"(.*?)\s*([=:≈]?)\s*", before, re.S).groups()
    if not text.strip():
        raise ValueError(f"explore: expected a label that says what {name} is, got {label!r}")
    if len(set(said)) < len(said):
        raise ValueError(
            f"explore: expected a label that tells the values of {name} apart, got {label!r}, which"
            f" prints {', '.join(said)}"
        )
    return Slider(name, values, at, text, sign, [one + after for one in said])


def _alternative(alt, choice: dict) -> str:
    try:
        text = alt(**choice) if callable(alt) else alt.format(**choice)
    except (KeyError, IndexError) as error:
        raise ValueError(
            f"explore: expected an alternative text with {', '.join(choice)}, got {alt!r}"
        ) from error
    if not isinstance(text, str) or not text.strip():
        raise ValueError(
            "explore: expected an alternative text that says what is to be seen, got"
            f" {text!r} for {_told(choice)}"
        )
    return typeset(" ".join(text.split()))


def _told(choice: dict) -> str:
    return ", ".join(f"{name} = {value}" for name, value in choice.items())


def typeset(text: str) -> str:
    """The numbers in a text as a book prints them: ``-3.4e-08`` as ``−3.4 · 10⁻⁸`` (thin spaces)."""

    def power(match):
        if int(match[2]) == 0:
            return match[1]
        factor = "" if match[1] == "1" else match[1] + "\u2009·\u2009"
        return factor + "10" + str(int(match[2])).translate(SUPERSCRIPTS)

    text = re.sub(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]\d+)\b", power, text)
    return re.sub(r"(?<![\w.)-])-(?=\d)", "−", text)


def _with_symbol(text: str, name: str) -> str:
    """The text as HTML, with the parameter's symbol, one or two letters, as a variable."""
    text = html.escape(text)
    if len(name) > 2:
        return text
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", f"<var>{name}</var>", text)


# ------------------------------------------------------------------------------------ pictures


class _Drawing:
    """Draws one picture after the other, all with the layout of the first."""

    def __init__(self, draw: Callable[..., Figure]):
        self.draw = draw
        self.size = None  # pixels
        self.figures = set()

    def close(self) -> None:
        """Close the figures, which the notebook would show."""
        for fig in self.figures:
            plt.close(fig)

    def __call__(self, choice: dict) -> bytes:
        before = set(plt.get_fignums())
        try:
            fig = self.draw(**choice)
        finally:
            made = {plt.figure(number) for number in plt.get_fignums() if number not in before}
            self.figures |= made
        if not isinstance(fig, Figure):
            raise ValueError(
                f"explore: expected draw to return a figure, got {fig!r} for {_told(choice)}"
            )
        if len(made | {fig}) > 1:
            raise ValueError(
                f"explore: expected draw to make one figure, got {len(made | {fig})} for"
                f" {_told(choice)}"
            )
        canvas = FigureCanvasAgg(fig)
        self.lay_out(fig, canvas, choice)
        if made:
            plt.close(
                fig
            )  # one at a time is enough to keep; one that draw moves stays until the end
        else:
            self.figures.add(fig)
        return _encoded(canvas)

    def lay_out(self, fig: Figure, canvas, choice: dict) -> None:
        """Draw the figure; let the first settle, and give its layout to the others."""
        texts = [text.get_position() for text in fig.texts]
        if self.size is None:
            canvas.draw()
            self.size, self.first = canvas.get_width_height(), choice
            self.limits = _limits(fig)
            self.places = [ax.get_position(original=True) for ax in fig.axes]
            moved = (text.get_position() for text in fig.texts)
            self.texts = [
                new if new != old else None for new, old in zip(moved, texts, strict=True)
            ]
            fig.set_layout_engine("none")
            return
        if (got := canvas.get_width_height()) != self.size:
            self.complain("pictures of one size", "{} x {} pixels".format, self.size, got, choice)
        if (count := len(fig.axes)) != len(self.places):
            self.complain("as many axes", "{} axes".format, len(self.places), count, choice)
        fig.set_layout_engine("none")
        for ax, place in zip(fig.axes, self.places, strict=True):
            ax.set_position(place)
        for text, place in zip(fig.texts, self.texts, strict=False):
            if place is not None:
                text.set_position(place)
        canvas.draw()
        limits = _limits(fig)
        for key, old in self.limits.items():
            if key not in limits or not np.allclose(limits[key], old, atol=1e-6 * np.ptp(old)):
                axis, number = key
                self.complain(
                    "the same limits",
                    f"{axis} from {{:g}} to {{:g}} in axes {number}".format,
                    old, limits.get(key, (np.nan, np.nan)), choice,
                )  # fmt: skip

    def complain(self, expected, form, first, got, choice):
        one, other = (form(*np.atleast_1d(values)) for values in (first, got))
        raise ValueError(
            f"explore: expected {expected} for all values, got {one} for {_told(self.first)} and"
            f" {other} for {_told(choice)}"
        )


def _limits(fig: Figure) -> dict[tuple[str, int], tuple[float, float]]:
    """The limits of each axis of each of the figure's axes, which count from 1."""
    return {
        (name, number): axis.get_view_interval()
        for number, ax in enumerate(fig.axes, start=1)
        for name in "xyz"
        if (axis := getattr(ax, f"{name}axis", None)) is not None
    }


def _encoded(canvas) -> bytes:
    """The picture as WebP, without loss but for the palette that all of the book's figures have."""
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    return _saved(
        _with_palette(picture).convert("RGB"), "WEBP", lossless=True, method=2, quality=40
    )


def _with_palette(picture: Image.Image) -> Image.Image:
    return picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)


def _saved(picture: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------ the page

STYLE = """
.explorable img { display: block; max-width: 100%; height: auto; border-radius: 4px; background: white; }
.explorable-slider { margin: 0.6rem 0 0; line-height: 1.5; text-align: left; }
.explorable-slider label { display: inline; }
.explorable-slider output, .explorable-ends { font-variant-numeric: tabular-nums lining-nums; }
.explorable var { font: italic 1.05em "STIX Two Text", "Times New Roman", Times, serif; }
.explorable-track { display: grid; grid-template-columns: 1fr 1fr; column-gap: 1em; font-size: 0.85em; }
.explorable-track::before { content: attr(data-low); content: attr(data-low) / ""; order: 1; }
.explorable-track::after { content: attr(data-high); content: attr(data-high) / ""; order: 2; text-align: right; }
.explorable input { grid-column: 1 / 3; width: 100%; height: 2.2rem; margin: 0; cursor: pointer; touch-action: pan-y;
  accent-color: var(--pst-color-primary, #0072b2); }
.explorable-ends { display: none; gap: 1rem; flex-wrap: wrap; margin-top: 0.8rem; }
.explorable-ends > div { flex: 1 1 40%; max-width: calc(50% - 0.5rem); break-inside: avoid; }
@media print, (scripting: none) {
  .explorable-ends { display: flex; }
  .explorable-track { display: none; }
}
"""

SCRIPT = """
{
  const start = (root) => {
    root.classList.add("explorable-live");
    const { said, pictures } = JSON.parse(root.querySelector("script[type='application/json']").text);
    const sliders = [...root.querySelectorAll("input")];
    const outputs = [...root.querySelectorAll("output")];
    const at = () => sliders.reduce((sum, slider, k) => sum * said[k].length + Number(slider.value), 0);
    const ready = new Set();
    const images = [];
    let shown = root.querySelector(".explorable-picture img");
    images[at()] = shown;
    ready.add(shown);

    // Each picture is an element of its own, made and decoded before it is shown.
    const picture = (k) => {
      if (!images[k]) {
        const image = images[k] = shown.cloneNode();
        image.src = pictures[k].src ?? root.querySelector(`img[data-at="${k}"]`).src;
        image.alt = pictures[k].alt;
        image.dataset.at = k;
        image.decode().catch(() => delete images[k]).then(() => {
          ready.add(image);
          if (ready.size === pictures.length) root.classList.add("explorable-loaded");
          if (k === at()) swap(image);
        });
      }
      return images[k];
    };
    const swap = (image) => {
      if (image === shown) return;
      shown.replaceWith(image);
      shown = image;
    };
    const follow = () => {
      sliders.forEach((slider, k) => {
        const value = said[k][slider.value];
        if (outputs[k].textContent !== value) outputs[k].textContent = value;
        slider.setAttribute("aria-valuetext", value);
      });
      const image = picture(at());
      if (ready.has(image)) swap(image);
    };

    // The pictures are asked for when the reader comes near, the nearest values first.
    const load = () => {
      near.disconnect();
      const order = [...pictures.keys()].sort((a, b) => Math.abs(a - at()) - Math.abs(b - at()));
      order.forEach(picture);
    };
    const near = new IntersectionObserver((seen) => {
      if (seen.some((one) => one.isIntersecting)) load();
    }, { rootMargin: "40% 0px" });
    near.observe(root);
    for (const event of ["focusin", "pointerover"]) root.addEventListener(event, load, { once: true });
    root.addEventListener("input", follow);
    addEventListener("pageshow", follow); // a browser may give the sliders back the values they had
  };
  const here = document.currentScript?.closest(".explorable");
  const all = here ? [here] : document.querySelectorAll(".explorable");
  for (const root of all) if (!root.classList.contains("explorable-live")) start(root);
}
"""


@dataclasses.dataclass
class Explorable:
    """What ``explore`` made, as a notebook and the site show it.

    ``pictures`` has for the place of each value (or pair of values) among its like a WebP, and
    ``texts`` its alternative text; ``shown`` is the place of the default, ``ends`` are those that
    stand beside it where nothing can be moved.  The page and its script are in one output, so that
    it works wherever a notebook does; the site keeps the pictures in files of their own.
    """

    sliders: list[Slider]
    pictures: dict[tuple[int, ...], bytes]
    texts: dict[tuple[int, ...], str]
    shown: tuple[int, ...]
    ends: list[tuple[int, ...]]  # the low and the high one of each parameter
    size: tuple[int, int]
    seconds: float  # of the processor, for drawing and encoding

    def _repr_mimebundle_(self, include=None, exclude=None):
        png = base64.b64encode(self.png()).decode()
        data = {"text/html": self.html(), "image/png": png, "text/plain": self.text()}
        kilobytes = sum(map(len, self.pictures.values())) / 1000
        cost = {"pictures": len(self.pictures), "kb": kilobytes, "seconds": self.seconds}
        return data, {"explorable": cost}

    def text(self) -> str:
        return f"explorable: {self.texts[self.shown]}"

    def html(self) -> str:
        """The explorable, complete in itself."""
        places = list(self.texts)
        beside = [place for place in self.ends if place != self.shown]
        inside = {self.shown, *beside}  # these are images, the others come later
        data = {
            "said": [slider.said for slider in self.sliders],
            "pictures": [
                {"alt": self.texts[place]}
                | ({"src": _address(self.pictures[place])} if place not in inside else {})
                for place in places
            ],
        }
        content = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
        identity = "explorable-" + hashlib.sha256(content.encode()).hexdigest()[:10]

        def image(place, more=""):
            width, height = self.size
            return (
                f'<img data-at="{places.index(place)}" width="{width}" height="{height}" decoding="sync"'
                f' alt="{html.escape(self.texts[place])}"{more} src="{_address(self.pictures[place])}">'
            )

        def slider(k, one):  # its last attribute tells JupyterLab that the arrow keys are its own
            name = f"{identity}-{k}"
            return (
                f'<div class="explorable-slider"><label for="{name}">{_with_symbol(one.text, one.name)}'
                f'</label>{one.before()[len(one.text) :]}<output for="{name}" aria-live="off">'
                f"{html.escape(one.said[one.at])}</output>"
                f'<div class="explorable-track" data-low="{html.escape(one.said[0])}"'
                f' data-high="{html.escape(one.said[-1])}"><input type="range" id="{name}" min="0"'
                f' max="{len(one.values) - 1}" step="1" value="{one.at}" autocomplete="off"'
                f' aria-valuetext="{html.escape(one.said[one.at])}"'
                ' data-lm-suppress-shortcuts="true"></div></div>'
            )

        def end(place):
            changed = next(k for k, at in enumerate(place) if at != self.shown[k])
            lazy = ' class="explorable-end" loading="lazy"'
            one = self.sliders[changed]
            said = _with_symbol(one.told(place[changed]), one.name)
            return f"<div>{image(place, lazy)}<span>{said}</span></div>"

        parts = [
            f'<div class="explorable" role="group" aria-label="{html.escape(self.title())}">',
            f"<style>{STYLE}</style>",
            f'<div class="explorable-picture">{image(self.shown)}</div>',
            *(slider(k, one) for k, one in enumerate(self.sliders)),
            f'<div class="explorable-ends">{"".join(map(end, beside))}</div>',
            f'<script type="application/json">{content}</script>',
            f"<script>{SCRIPT}</script></div>",
        ]
        return "\n".join(parts)

    def title(self) -> str:
        return "Picture for each " + " and ".join(slider.text for slider in self.sliders)

    def png(self) -> bytes:
        """The default between the two ends of each parameter, a row for each, in one picture."""
        width, height = self.size
        line = height // 10
        font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 2 * line // 3)
        sheet = Image.new("RGB", (3 * width, len(self.sliders) * (height + line)), "white")
        write = ImageDraw.Draw(sheet).text
        ends = [(column, row) for row in range(len(self.sliders)) for column in (0, 2)]
        for place, (column, row) in zip([self.shown, *self.ends], [(1, 0), *ends], strict=True):
            left, top = column * width, row * (height + line)
            sheet.paste(Image.open(io.BytesIO(self.pictures[place])), (left, top))
            said = [one.told(at) for one, at in zip(self.sliders, place, strict=True)]
            told = ", ".join(said if place == self.shown else [said[row]])
            write((left + width // 2, top + height), told, "black", font, anchor="ma")
        return _saved(_with_palette(sheet), "PNG", optimize=True)


def _address(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
