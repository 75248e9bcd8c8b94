"""The book on paper: what the LaTeX builder writes, beyond Sphinx.

Every number is the site's: those of figures, theorems and exercises are written out, not counted again, so
that what stands elsewhere than on the page, as solutions do, keeps its number.

- A page's place in ``_toc.yml`` makes parts and chapters; the first page is the preface.
- Cells whose code is folded on the site show only what they drew; dropdowns are left out.
- A movie becomes four of its frames, an explorable its default and its ends, each with the page's address.
- Solutions stand in an appendix, and each exercise says on which page.
- Tables that may not fit on a page can break, with columns as wide as what is in them asks for.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import pathlib
import re
import subprocess
import tempfile

import cite
from bs4 import BeautifulSoup
from chapters import BookError, parts
from docutils import nodes
from PIL import Image, ImageFont
from sphinx import addnodes
from sphinx.builders.latex.nodes import thebibliography
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx.writers.latex import LaTeXTranslator
from sphinx_design.shared import is_component
from sphinx_exercise.nodes import exercise_enumerable_node, exercise_node, solution_node
from sphinx_proof.nodes import NODE_TYPES, proof_node, unenumerable_node

DOTS_PER_INCH = 200  # of a picture on paper
ON_SCREEN = 144  # dots to an inch of a chapter's figure (book.py)
FRAMES = 4  # of a movie
SHORT = 12  # rows of a table that need not break
# Of a table, in points: its line, the gap between two columns, its letters.
LINE, GAP, POINTS = 431, 8, 8
WIDEST = 240  # points of a cell: more than that asks for no wider a column


# ------------------------------------------------------------------------------- settings


def configure(app, config) -> None:
    """Tell the LaTeX builder how the book looks; the rest is in ``paper.sty``."""
    root = pathlib.Path(app.srcdir)
    config.latex_docclass = {"manual": "book"}
    config.latex_toplevel_sectioning = "chapter"
    config.latex_domain_indices = False
    config.latex_table_style = ["booktabs"]
    config.latex_additional_files = [
        str(pathlib.Path(__file__).with_name("paper.sty").relative_to(root))
    ]
    config.latex_elements = {
        "papersize": "a4paper",
        "pointsize": "10pt",
        "extraclassoptions": "openany",
        "fontpkg": "",
        "fncychap": "",
        "geometry": r"\usepackage{geometry}",
        "extrapackages": r"\usepackage{caption}\usepackage{titletoc}",
        "hyperref": r"\usepackage{hyperref}\usepackage{hypcap}\usepackage{hyperxmp}\urlstyle{same}",
        "preamble": r"\usepackage{paper}" + "\n" + metadata(app),
        "maketitle": title_page(app),
        "tableofcontents": r"\tableofcontents",
    }


def set_handlers(app) -> None:
    """Write theorems, exercises and solutions our way; their extensions have said theirs by now.

    The site's theme extends whichever translators there are, so that it must not find one for paper.
    """
    if app.builder.name == "latex":
        app.set_translator("latex", Paper, override=True)
    handlers = app.registry.translation_handlers["latex"]
    blocks = [exercise_node, exercise_enumerable_node, solution_node, unenumerable_node]
    for node in [*blocks, *NODE_TYPES.values()]:
        handlers[node.__name__] = (Paper.visit_block, Paper.depart_block)
    handlers[proof_node.__name__] = (Paper.visit_proof, Paper.depart_proof)


def tex(text: str) -> str:
    """Text as TeX prints it."""
    return re.sub(r"[&%$#_{}]", r"\\\g<0>", text)


def names(root: pathlib.Path) -> str:
    return ", ".join(" ".join(reversed(author)) for author in cite.book(root)["authors"])


def metadata(app) -> str:
    """What the file says of itself: title, authors, licence, language, date."""
    root = pathlib.Path(app.srcdir)
    whole = cite.book(root)
    facts = {
        "pdftitle": whole["title"],
        "pdfauthor": names(root),
        "keeppdfinfo": "true",
        "pdfsubject": cite.edition(root),
        "pdflang": app.config.language,
        "pdfcopyright": "Text: CC-BY-4.0. Code: MIT licence.",
        "pdflicenseurl": LICENCE,
        "pdfdate": f"{whole['date']:%Y-%m-%d}",
        "pdfurl": app.config.ogp_site_url,
    }
    told = ",\n  ".join(f"{key}={{{tex(value)}}}" for key, value in facts.items() if value)
    shown = "pdfdisplaydoctitle, pdfpagemode=UseOutlines, bookmarksnumbered, bookmarksopenlevel=0"
    return f"\\hypersetup{{\n  {told},\n  {shown}}}"


LICENCE = "https://creativecommons.org/licenses/by/4.0/"


def title_page(app) -> str:
    """The title, and on its back what a librarian asks for."""
    root = pathlib.Path(app.srcdir)
    whole = cite.book(root)
    title, _, subtitle = whole["title"].partition(": ")
    site = app.config.ogp_site_url
    where = f"The site, where it runs, is \\url{{{site}}}.\\par" if site else ""
    return rf"""
\hypersetup{{pageanchor=false}}
\begin{{titlepage}}
\null\vspace{{0.22\textheight}}
\begin{{center}}
{{\Huge\bfseries {tex(title)}\par}}\vspace{{3ex}}{{\Large\itshape {tex(subtitle)}\par}}
\vspace{{8ex}}{{\Large {tex(names(root))}\par}}
\vfill
{{\large {whole["date"]:%-d %B %Y}\par}}\vspace{{1ex}}{{{tex(cite.edition(root))}\par}}
\end{{center}}
\end{{titlepage}}
\thispagestyle{{empty}}
\null\vfill
\begingroup\small\setlength{{\parindent}}{{0pt}}\setlength{{\parskip}}{{1ex}}
{tex(whole["title"])}. {tex(names(root))}. {tex(cite.edition(root)).capitalize()}, {whole["date"]:%-d %B %Y}.\par
© {whole["date"]:%Y} {tex(names(root))}. The text, figures and movies are licensed under the Creative Commons
Attribution 4.0 International licence, \url{{{LICENCE}}}; the code is licensed under the MIT licence.\par
{where}
Set in STIX Two and DejaVu Sans Mono with Lua\LaTeX.\par
\endgroup
\clearpage
\hypersetup{{pageanchor=true}}
\frontmatter\setcounter{{secnumdepth}}{{-2}}"""


# -------------------------------------------------------------------------- what changes


class OnPaper(SphinxPostTransform):
    """A change to the whole book, assembled for print."""

    builders = ("latex",)

    def page(self, node: nodes.Node) -> str:
        """The page that a node came from."""
        while "docname" not in node:  # Sphinx writes it down for sections
            node = node.parent
        return node["docname"]

    def file(self, docname: str) -> nodes.Element:
        """All that came from a page."""
        files = [*self.document.findall(addnodes.start_of_file), self.document]
        return next(file for file in files if file["docname"] == docname)

    def picture(self, image: Image.Image, **options) -> nodes.image:
        """A picture that the book did not have."""
        buffer = io.BytesIO()
        image.convert("RGB").quantize(256).save(buffer, "PNG", optimize=True)
        name = f"{hashlib.sha256(buffer.getvalue()).hexdigest()[:24]}.png"
        path = pathlib.Path(self.app.srcdir) / "_build" / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(buffer.getvalue())
        uri = f"_build/pictures/{name}"
        self.env.images.add_file(self.document["docname"], uri)
        return nodes.image(uri=uri, candidates={"*": uri}, **options)


class Stills(OnPaper):
    default_priority = 3  # before myst-nb chooses among what a cell gives

    def run(self, **kwargs) -> None:
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            page = "".join(
                raw.astext() for raw in bundle.findall(nodes.raw) if raw["format"] == "html"
            )
            if "<video" in page:
                self.replace(bundle, "Movie", list(self.frames(page)))
            elif 'class="explorable"' in page:
                self.replace(bundle, "To be explored", list(self.ends(page)))
            elif page:
                bundle.replace_self(list(plain(page)))

    def replace(self, bundle, what: str, stills: list) -> None:
        """Put stills, each with what it shows, in place of what moves; say where it does."""
        figure, docname = bundle.parent, self.page(bundle)
        strip = nodes.container(classes=["stills"])
        strip += stills
        bundle.replace_self(strip)
        address = cite.address(self.app, docname)
        if address and figure["ids"]:
            address += "#" + figure["ids"][0]
        caption = next(figure.findall(nodes.caption), None)
        if caption is not None:
            caption += nodes.Text(f" {what}" + (": " if address else " on the site."))
            if address:
                caption += nodes.reference("", address, refuri=address)

    def frames(self, page: str):
        """Some frames of a movie, in its order, equally far apart."""
        movie = BeautifulSoup(page, "html.parser").video
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "movie.mp4"
            path.write_bytes(base64.b64decode(movie["src"].partition("base64,")[2]))
            command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-fps_mode", "passthrough"]
            done = subprocess.run([*command, f"{folder}/%04d.png"], capture_output=True, text=True)
            found = sorted(pathlib.Path(folder).glob("*.png"))
            if done.returncode or not found:
                raise BookError(f"ffmpeg took no frames from a movie: {done.stderr.strip()}")
            for k in range(FRAMES):
                place = round(k * (len(found) - 1) / (FRAMES - 1))
                yield self.picture(Image.open(found[place]), alt=movie.get("aria-label", ""))

    def ends(self, page: str):
        """The default of an explorable, then the ends of each parameter with their values."""
        soup = BeautifulSoup(page, "html.parser").select_one(".explorable")
        told = ", ".join(
            " ".join((s.label.get_text() + s.label.next_sibling + s.output.get_text()).split())
            for s in soup.select(".explorable-slider")
        )
        shown = soup.select_one(".explorable-picture")
        for box, text in [
            (shown, told),
            *((e, e.span.get_text()) for e in soup.select(".explorable-ends > div")),
        ]:
            data = base64.b64decode(box.img["src"].partition("base64,")[2])
            wide = box is shown
            yield self.picture(
                Image.open(io.BytesIO(data)), alt=box.img["alt"], told=text, first=wide
            )


def plain(page: str):
    """The tables and paragraphs of a cell's HTML."""
    for part in BeautifulSoup(page, "html.parser").select("table, p"):
        lines = [[cell.get_text() for cell in row.select("th, td")] for row in part.select("tr")]
        if not lines:
            yield nodes.paragraph("", part.get_text())
            continue
        rows = [
            nodes.row("", *(nodes.entry("", nodes.paragraph("", text)) for text in line))
            for line in lines
        ]
        group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in lines[0]), cols=len(lines[0]))
        heads = len(part.select("thead tr"))
        group += nodes.thead("", *rows[:heads]) if heads else []
        group += nodes.tbody("", *rows[heads:])
        yield nodes.table("", group, classes=["colwidths-auto"])


class Leave(OnPaper):
    """Leave out what only a screen can show: folded code, what a click opens, pictures that lead to a page."""

    default_priority = 3

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(nodes.container)):
            if node.get("nb_element") == "cell_code" and "tag_hide-input" in node["classes"]:
                for child in [c for c in node if c.get("nb_element") == "cell_code_source"]:
                    node.remove(child)
            elif is_component(node, "dropdown"):
                node.parent.remove(node)
            elif is_component(node, "card"):
                texts = list(node.findall(nodes.paragraph))
                node.replace_self(texts)


class Preface(OnPaper):
    """What the first page says becomes the preface."""

    default_priority = 30

    def run(self, **kwargs) -> None:
        root = next(self.document.findall(nodes.section))
        said = [
            node for node in root[1:]
            if not (isinstance(node, nodes.compound) and "toctree-wrapper" in node["classes"])
        ]  # fmt: skip
        if said:
            preface = nodes.section("", nodes.title("", "Preface"), ids=["preface"])
            for node in said:
                root.remove(node)
            preface += said
            root.insert(1, preface)


class Solutions(OnPaper):
    """Move the solutions to an appendix, behind the last chapter that has one."""

    default_priority = 31  # their titles name the exercises by then

    def run(self, **kwargs) -> None:
        appendix = nodes.section(
            "", nodes.title("", "Solutions to the exercises"), ids=["solutions"]
        )
        section, last = None, None
        for solution in list(self.document.findall(solution_node)):
            docname = self.page(solution)
            if section is None or section["ids"] != [f"solutions-{docname}"]:
                title = nodes.title("", "", *(c.deepcopy() for c in self.env.titles[docname]))
                section = nodes.section("", title, ids=[f"solutions-{docname}"])
                appendix += section
            last = docname
            solution.parent.remove(solution)
            solution[0].insert(1, nodes.Text(" "))
            moved = addnodes.start_of_file("", solution, docname=docname, moved=True)
            section += moved
            exercise = self.env.sphinx_exercise_registry[solution["target_label"]]["node"]
            for node in self.document.findall(type(exercise)):
                if node["label"] == exercise["label"]:
                    node["solution"] = f"{docname}:{solution['ids'][0]}"
        if last is not None:
            appendix = addnodes.start_of_file("", appendix, docname="solutions", moved=True)
            place = self.file(last)
            place.parent.insert(place.parent.index(place) + 1, appendix)


class Bibliography(OnPaper):
    """Put the sources back on their page, from where Sphinx took them."""

    default_priority = 760  # after Sphinx has

    def run(self, **kwargs) -> None:
        for sources in list(self.document.findall(thebibliography)):
            sources.parent.remove(sources)
            next(self.file(sources[0]["docname"]).findall(nodes.section)).append(sources)


class Tables(OnPaper):
    """Let long tables break; where one is too wide, let its columns share the line by what is in them."""

    default_priority = 800

    def run(self, **kwargs) -> None:
        for table in self.document.findall(nodes.table):
            rows = list(table.findall(nodes.row))
            texts = [[words(entry) for entry in column] for column in zip(*rows, strict=False)]
            wanted = [max(map(width, column)) for column in texts]
            least = [max(width(w) for text in column for w in text.split(" ")) for column in texts]
            room = LINE - GAP * len(wanted)
            if len(rows) > SHORT:
                table["classes"].append("longtable")
            if sum(wanted) <= room:
                continue
            table["classes"] = [c for c in table["classes"] if c != "colwidths-auto"]
            table["classes"].append("colwidths-given")
            more = [max(min(w, WIDEST) - need, 0) for w, need in zip(wanted, least, strict=True)]
            share = max(room - sum(least), 0) / max(sum(more), 1)
            for spec, need, rest in zip(table.findall(nodes.colspec), least, more, strict=True):
                spec["colwidth"] = round(need + GAP + share * rest)


@functools.cache
def face() -> ImageFont.FreeTypeFont:
    command = ["kpsewhich", "STIXTwoText-Regular.otf"]
    path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return ImageFont.truetype(path, 10 * POINTS)


def width(text: str) -> float:
    """The width of a text in a table, in points."""
    return face().getlength(text) / 10


def words(entry: nodes.Element) -> str:
    """What a cell says, about as wide as it is, with spaces where a line may end."""
    text = entry.astext()
    for formula in entry.findall(nodes.math):  # most of it are commands
        short = re.sub(r"\\[a-z]+", "m", formula.astext())
        text = text.replace(formula.astext(), re.sub(r"[{}^_\s\\]", "", short))
    return re.sub(r"[ \n]+", " ", text)  # a thin space ends no line


class SvgToPdf(ImageConverter):
    conversion_rules = [("image/svg+xml", "application/pdf")]  # noqa: RUF012

    def is_available(self) -> bool:
        return True

    def convert(self, _from, _to) -> bool:
        drawing = pathlib.Path(_from).read_text("utf-8")
        drawing = drawing.replace(
            "<text ", '<text xml:space="preserve" '
        )  # librsvg would drop some
        command = ["rsvg-convert", "--format=pdf", f"--output={_to}"]
        subprocess.run(command, input=drawing, text=True, check=True)
        return True


# ---------------------------------------------------------------------------- the writer


class Paper(LaTeXTranslator):
    """Sphinx's writer, with the site's numbers."""

    @functools.cached_property
    def parts(self) -> dict[str, str]:
        """The captions of ``_toc.yml``, each by the first page below it."""
        found = parts(pathlib.Path(self.builder.srcdir))
        return {pages[0]: caption for caption, pages in found if caption}

    def number(self, docname: str, identity: str) -> str | None:
        """What the site counts a figure, theorem or exercise as."""
        for found in self.builder.env.toc_fignumbers.get(docname, {}).values():
            if identity in found:
                return ".".join(map(str, found[identity]))
        return None

    # Pages.

    def visit_start_of_file(self, node) -> None:
        super().visit_start_of_file(node)
        name = node["docname"]
        if node.get("moved") and name != "solutions":
            return
        if r"\mainmatter" + "\n" not in self.body:
            self.body.append(r"\mainmatter" + "\n")
        if caption := self.parts.get(name):
            self.body.append(
                rf"\setcounter{{secnumdepth}}{{2}}\part{{{self.encode(caption)}}}" + "\n"
            )
        number = self.builder.env.toc_secnumbers.get(name, {}).get("", ())
        if number:
            self.body.append(
                rf"\setcounter{{secnumdepth}}{{2}}\setcounter{{chapter}}{{{number[0] - 1}}}" + "\n"
            )
        else:
            self.body.append(r"\setcounter{secnumdepth}{-2}" + "\n")

    # Figures.

    def visit_caption(self, node) -> None:
        ids = node.parent["ids"]
        if isinstance(node.parent, nodes.figure) and ids:
            number = self.number(self.curfilestack[-1], ids[0])
            self.body.append(rf"\renewcommand{{\thefigure}}{{{number}}}")
        super().visit_caption(node)

    def visit_image(self, node) -> None:
        if "first" in node:  # a still of an explorable
            width, newline = (
                ("0.62", r"\\[1ex]")
                if node["first"]
                else ("0.485", r"\hspace{0.01\linewidth}\allowbreak ")
            )
            file = self.builder.images[node["uri"]]
            self.body.append(
                rf"\still[{width}\linewidth]{{{file}}}{{{self.encode(node['told'])}}}{newline}%"
                + "\n"
            )
        elif "stills" in node.parent.get("classes", []):
            file = self.builder.images[node["uri"]]
            self.body.append(rf"\still{{{file}}}{{}}\hspace{{0.01\linewidth}}\allowbreak %" + "\n")
        else:
            self.size(node)
            super().visit_image(node)

    def size(self, node) -> None:
        """Give a picture its size on paper, where it has none: letters as large as in a caption."""
        if not {"width", "height", "scale"} & set(node.attributes):
            path = pathlib.Path(self.builder.srcdir) / node["uri"]
            if path.suffix == ".png":
                with Image.open(path) as picture:
                    node["width"] = f"{min(picture.width / DOTS_PER_INCH, 5.98):.3f}in"
            else:
                node["scale"] = 100 * ON_SCREEN // DOTS_PER_INCH

    # Theorems, exercises, solutions.

    def visit_block(self, node) -> None:
        title = self.title_of(node)
        for at, child in reversed(list(enumerate(node))):
            if isinstance(child, nodes.section):  # it would begin with a new paragraph
                node[at : at + 1] = child.children
        algorithm = node.get("realtype") == "algorithm"
        self.body.append(
            "\n\n" + rf"\begin{{book{'algorithm' if algorithm else 'block'}}}{{{title}}}"
        )
        self.body.append(self.hypertarget_to(node, anchor=True))
        if isinstance(node, (exercise_node, exercise_enumerable_node)):
            self.body.append(
                rf"\label{{exercise:{node['label']}}}"
            )  # as its extension refers to it

    def depart_block(self, node) -> None:
        algorithm = node.get("realtype") == "algorithm"
        if label := node.get("solution"):
            self.body.append("\n" + rf"\solutionpage{{{self.idescape(label)}}}" + "\n")
        self.body.append(rf"\end{{book{'algorithm' if algorithm else 'block'}}}" + "\n")

    def title_of(self, node) -> str:
        """The title of a theorem, exercise or solution, as TeX; it leaves the node."""
        title = node.pop(0) if isinstance(node[0], nodes.title) else nodes.title()
        self.pushbody([])
        if "realtype" in node:
            number = self.number(self.curfilestack[-1], node["ids"][0]) or ""
            self.body.append(f"{node['realtype'].title()} {number}".strip())
        for child in title:
            child.walkabout(self)
        return "".join(self.popbody())

    def visit_proof(self, node) -> None:
        node[:] = node[
            0
        ].children  # its extension puts it into a box, and its name before its first word
        first = next(node.findall(nodes.Text))
        first.parent.replace(first, nodes.Text(first.removeprefix("Proof. ")))
        self.body.append("\n\n" + r"\begin{bookproof}")

    def depart_proof(self, node) -> None:
        self.body.append(r"\end{bookproof}" + "\n")

    # References.

    def visit_number_reference(self, node) -> None:
        target = node.get("refuri", "")[1:] or f"{self.curfilestack[-1]}#{node['refid']}"
        docname, _, identity = target.partition("#")
        number = self.number(docname, identity)
        title = self.escape(node.get("title", "%s")).replace(r"\%s", "%s")
        text = title.replace("%s", number or "?").replace(" ", "~", 1)
        self.body.append(rf"\hyperref[{self.idescape(f'{docname}:{identity}')}]{{{text}}}")
        raise nodes.SkipNode

    def depart_reference(self, node) -> None:
        super().depart_reference(node)
        address = node.get("refuri", "")
        outside = (
            address.startswith(("http:", "https:")) and not self.in_title and not self.in_caption
        )
        if outside and node.astext() not in address and not self.in_sources:
            self.body.append(rf"\footnote{{\sphinxnolinkurl{{{self.encode_uri(address)}}}}}")

    in_sources = False

    def visit_thebibliography(self, node) -> None:
        self.in_sources = True
        self.body.append("\n" + r"\begin{booksources}" + "\n")

    def depart_thebibliography(self, node) -> None:
        self.in_sources = False
        self.body.append(r"\end{booksources}" + "\n")

    def visit_citation(self, node) -> None:
        self.body.append(r"\item " + self.hypertarget_to(node, anchor=True))

    # Equations, and what surrounds cells.

    def visit_math_block(self, node) -> None:
        if node.get("number"):
            self.body.append(rf"\setcounter{{equation}}{{{node['number'] - 1}}}" + "%\n")
        super().visit_math_block(node)

    def visit_container(self, node) -> None:
        if node["ids"]:
            self.body.append("\n" + self.hypertarget_to(node, anchor=True) + "\n")

    def depart_container(self, node) -> None:
        pass


def setup(app) -> None:
    """Called by ``booksite``'s own."""
    app.connect(
        "config-inited", configure, priority=600
    )  # what the repository is, is known by then
    app.connect("builder-inited", set_handlers)
    for transform in (Stills, Leave, Preface, Solutions, Bibliography, Tables, SvgToPdf):
        app.add_post_transform(transform)
