"""Key numbers as text: how a book prints them, and where a page quotes them."""

from __future__ import annotations

import re

#: ``{glue:text}`number:.3g``` or ``{glue:text}`chapters/other.md::number:.3g```
QUOTED = re.compile(r"\{glue:text\}`(?:chapters/([\w/-]+)\.md::)?(\w+)(?::([^`]*))?`")
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def typeset(number: str) -> str:
    """A formatted number as it is printed: ``-3.4e-08`` becomes ``−3.4 · 10⁻⁸`` (thin spaces)."""
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)(?:e([+-]\d+))?(%?)", number)
    if not match:
        return number
    mantissa, exponent, percent = match[1].replace("-", "−"), match[2], match[3]
    if exponent is not None:
        mantissa += "\u2009·\u200910" + str(int(exponent)).translate(SUPERSCRIPTS)
    return mantissa + ("\u202f%" if percent else "")
