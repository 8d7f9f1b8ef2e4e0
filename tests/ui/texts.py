"""Finds the English texts of the page in its HTML and JavaScript."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from genmodels.ui.widget import FOLDER

ATTRIBUTES = ("aria-label", "title", "placeholder")
# What may stand inside a text that is translated as a whole.
INLINE = {"b", "i", "em", "a", "kbd", "sub", "sup", "code"}
VOID = {"input", "img", "br"}


class Element:
    """A part of the HTML, with the tag as it was written."""

    def __init__(self, tag: str, attributes: dict, written: str):
        self.tag, self.attributes, self.written = tag, attributes, written
        self.children: list[Element | str] = []

    def inner(self) -> str:
        """The HTML between its tags, as a browser gives it."""
        return "".join(child if isinstance(child, str) else child.outer() for child in self.children)

    def outer(self) -> str:
        return self.written + self.inner() + ("" if self.tag in VOID else f"</{self.tag}>")

    def is_inline(self) -> bool:
        return self.tag in INLINE and all(isinstance(child, str) or child.is_inline() for child in self.children)


class Reader(HTMLParser):
    """Builds the tree of Elements."""

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.root = Element("", {}, "")
        self.open = [self.root]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs), self.get_starttag_text())
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag):
        self.open.pop()

    def handle_data(self, data):
        self.open[-1].children.append(data)

    def handle_entityref(self, name):
        self.open[-1].children.append(f"&{name};")


def in_one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def texts_of_element(element: Element) -> list[str]:
    """Texts as text.js looks for them: of whole elements with what is bold or linked in them, of lone pieces, of attributes."""
    found = [in_one_line(element.attributes[name]) for name in ATTRIBUTES if element.attributes.get(name)]
    pieces = [child for child in element.children if isinstance(child, str) and re.search("[A-Za-z]{2}", child)]
    inside = [child for child in element.children if not isinstance(child, str)]
    if pieces and all(child.is_inline() for child in inside):
        return [*found, in_one_line(element.inner())]
    return [*found, *map(in_one_line, pieces), *(text for child in inside for text in texts_of_element(child))]


def texts_in_html(html: str) -> list[str]:
    reader = Reader()
    reader.feed(html)
    return texts_of_element(reader.root)


def texts_in_script(script: str) -> list[str]:
    """What stands in t`...`, with {0}, {1} for the values; values may hold further texts."""
    found = []
    for start in re.finditer(r"\bt`", script):
        text, i, values = "", start.end(), 0
        while script[i] != "`":
            if script.startswith("${", i):
                depth, i = 1, i + 2
                while depth:
                    depth += {"{": 1, "}": -1}.get(script[i], 0)
                    i += 1
                text += f"{{{values}}}"
                values += 1
            else:
                text += script[i]
                i += 1
        # As text.js joins a text that goes on in the next line.
        found.append(re.sub(r"\n\s*", " ", text))
    # The names of pictures, which are translated where their buttons are made.
    return found + re.findall(r"python\.(?:set|picture)\('([^']+)'", script)


def texts() -> list[str]:
    """All texts of the page, each once."""
    found = [text for file in sorted(FOLDER.rglob("*.html")) for text in texts_in_html(file.read_text())]
    found += [text for file in sorted(FOLDER.rglob("*.js")) for text in texts_in_script(file.read_text())]
    return list(dict.fromkeys(text for text in found if not text.startswith("<!--") and re.search("[A-Za-z]{2}", text)))
