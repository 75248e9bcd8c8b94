"""A book without some of its chapters: what pages say of those becomes text without a link.

``_config.yml`` names them, with their titles: ``left_out: {billiards: Billiards on surfaces}`` below
``sphinx: config:``.  Chapters refer to each other as a whole, with ``{doc}``; the other pages, such as the
glossary, also to places in them.
"""

from __future__ import annotations

import re

from chapters import BELOW, documents
from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)


def check(app, config) -> None:
    """Refuse a chapter that is left out and in the book."""
    for name in config.left_out:
        if BELOW + name in documents(app.srcdir):
            raise ExtensionError(f"_config.yml: left_out: {name} is in _toc.yml")


def unlinked(text: str, left_out: dict[str, str]) -> str:
    """A text in which links to left-out chapters are their titles, or what the links said."""
    for name, title in left_out.items():
        path = rf"(?:/?{BELOW})?{re.escape(name)}"
        text = re.sub(rf"\{{doc\}}`{path}`", title, text)
        text = re.sub(rf"\{{doc\}}`([^`<]+?)\s*<{path}>`", r"\1", text)
        text = re.sub(rf"\[([^\]]+)\]\({path}\.md\)", r"\1", text)
        for label in re.findall(rf"^\[([^\]]+)\]: {path}\.md\n", text, flags=re.M):
            text = re.sub(rf"^\[{re.escape(label)}\]: .*\n", "", text, flags=re.M)
            text = text.replace(f"[{label}]", label)
    return text


def unlink(app, docname, source) -> None:
    """Do so on a page that is about to be read."""
    source[0] = unlinked(source[0], app.config.left_out)


def without_target(app, env, node, contnode) -> nodes.Node | None:
    """The text of a reference to a place in a left-out chapter, on a page that is no chapter."""
    if not app.config.left_out or node.get("refdoc", "").startswith(BELOW):
        return None
    logger.info("%s: left out: %s", node.get("refdoc"), node["reftarget"])
    text = contnode.astext()
    return nodes.inline("", "there" if text == node["reftarget"] else text)


class UnlinkResults(SphinxPostTransform):
    """Do so for theorems and algorithms before sphinx-proof looks for them, and warns."""

    default_priority = 5

    def run(self) -> None:
        known = getattr(self.env, "proof_list", {})
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node.get("refdomain") == "prf" and node["reftarget"] not in known:
                if text := without_target(self.app, self.env, node, node):
                    node.replace_self(text)


def setup(app) -> None:
    """Called by ``booksite``'s own."""
    app.add_config_value("left_out", {}, "env", types=[dict])
    app.connect("config-inited", check)
    app.connect("source-read", unlink)
    app.add_post_transform(UnlinkResults)
    app.connect("missing-reference", without_target, priority=900)
