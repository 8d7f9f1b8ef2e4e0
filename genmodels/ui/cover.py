"""The pictures and words by which the page is known elsewhere: on tabs, on home screens, and where links to it are sent."""

from __future__ import annotations

import hashlib
import html
import io
import re
from functools import cache

from PIL import Image

from . import first_page
from .modules import ICON, ROUTE

# What networks show beside a link, and in how many pixels.
CARD, CARD_NAME = (1200, 630), "cover.png"
ICON_SIZE = 192
# Gradio's own, which speak of Gradio.
FOREIGN = re.compile(rb'\s*<meta\s+(?:property="og:|name="twitter:)[^>]*>')


@cache
def picture(width: int, height: int) -> bytes:
    """PNG of the middle of the latent map: all of it that has these proportions, or for an icon as much as stays legible."""
    with Image.open(first_page.FOLDER / "map" / first_page.FIRST / "atlas.png") as atlas:
        across = atlas.width if width > height else atlas.width * 2 // 5
        down = across * height // width
        left, top = (atlas.width - across) // 2, (atlas.height - down) // 2
        part = atlas.convert("L").crop((left, top, left + across, top + down))
    file = io.BytesIO()
    part.resize((width, height), Image.Resampling.LANCZOS).save(file, "png", optimize=True)
    return file.getvalue()


def pictures() -> dict[str, bytes]:
    """The card's and the icon, by where they lie, from the page on."""
    card = picture(*CARD)
    name = f"{ROUTE[1:]}{hashlib.sha256(card).hexdigest()[:16]}/{CARD_NAME}"
    return {name: card, ICON[1:]: picture(ICON_SIZE, ICON_SIZE)}


def tags(title: str, description: str, image: str, root: str = "") -> str:
    """HTML for the head of a page.

    Args:
        image: where the card's picture lies, from the page on.
        root: the page's own address; "" where it is not known, as of files that anybody may host.
    """
    said = {"title": title, "description": description, "type": "website", "image": f"{root}/{image}".lstrip("/")}
    said |= {"image:width": str(CARD[0]), "image:height": str(CARD[1])} | ({"url": root} if root else {})
    properties = [f'<meta property="og:{name}" content="{html.escape(text)}">' for name, text in said.items()]
    return "\n".join([*properties, '<meta name="twitter:card" content="summary_large_image">'])


def with_own_tags(page: bytes, ours: str) -> bytes:
    """Gradio's page with our tags in place of its own."""
    return FOREIGN.sub(b"", page).replace(b"</head>", ours.encode() + b"</head>", 1)
