"""What a link to the page shows elsewhere."""

from __future__ import annotations

import html
import io
import re

from PIL import Image

from genmodels.ui import cover

GRADIO = b"""<head>
<meta name="viewport" content="width=device-width">
<meta property="og:title" content="Gradio" />
<meta
    property="og:image"
    content="https://elsewhere.example/picture.jpg"
/>
<meta name="twitter:creator" content="@Gradio" />
</head><body></head>"""


def test_gradios_own_words_give_way_to_ours():
    ours = cover.tags('A "page" & more', "What <it> does", "modules/0/cover.png", "https://here.example/app")
    page = cover.with_own_tags(GRADIO, ours).decode()
    assert "radio" not in page
    assert "elsewhere" not in page
    assert page.count("viewport") == 1
    said = dict(re.findall(r'property="og:([\w:]+)" content="([^"]*)"', page))
    assert html.unescape(said["title"]) == 'A "page" & more'
    assert html.unescape(said["description"]) == "What <it> does"
    assert said["image"] == "https://here.example/app/modules/0/cover.png"
    assert said["url"] == "https://here.example/app"


def test_without_an_address_the_picture_lies_beside_the_page():
    said = cover.tags("title", "description", "cover.png")
    assert 'property="og:image" content="cover.png"' in said
    assert "og:url" not in said


def test_the_pictures_are_of_the_size_that_is_told():
    card, icon = (Image.open(io.BytesIO(data)) for data in cover.pictures().values())
    assert (card.size, icon.size) == (cover.CARD, (192, 192))
    # Digits on black, to the edges.
    assert [image.getextrema() > (0, 200) for image in (card, icon)] == [True, True]
    assert max(len(data) for data in cover.pictures().values()) < 300_000
