"""The explorables on a page of the site: their pictures leave it for files, loaded when they are needed."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import re

FOLDER = "_explorables"
EMBEDDED = re.compile(r"data:image/webp;base64,([A-Za-z0-9+/=]+)")  # nothing else on a page is WebP


def unpack(app, pagename, templatename, context, doctree) -> None:
    """Replace the pictures inside the page by addresses of files."""
    if 'class="explorable"' not in context.get("body", ""):
        return

    def to_file(match: re.Match) -> str:
        data = base64.b64decode(match[1])
        name = f"{FOLDER}/{hashlib.sha256(data).hexdigest()[:24]}.webp"
        path = pathlib.Path(app.outdir) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return context["pathto"](name, 1)

    context["body"] = EMBEDDED.sub(to_file, context["body"])


def setup(app) -> None:
    app.connect("html-page-context", unpack)
