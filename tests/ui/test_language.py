"""Every text of the page has a translation, and every translation is of a text that exists."""

from __future__ import annotations

import json
import re

import pytest
from texts import in_one_line, texts, texts_in_html, texts_in_script

from genmodels.ui import language, widget

LANGUAGES = [file.stem for file in language.FOLDER.glob("*.json")]
# Proper names and formulas, the same in every language.
AS_THEY_ARE = {"genmodels"}


def catalogue(name: str) -> dict[str, str]:
    return json.loads((language.FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def test_there_is_a_second_language():
    assert "de" in LANGUAGES


@pytest.mark.parametrize("name", LANGUAGES)
def test_nothing_is_left_untranslated(name):
    assert [text for text in texts() if text not in catalogue(name) and text not in AS_THEY_ARE] == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_translation_is_of_a_text_that_is_still_there(name):
    sources = [file.read_text(encoding="utf-8") for file in widget.FOLDER.rglob("*") if file.suffix in (".py", ".js")]
    written = in_one_line("\n".join(sources))
    known = set(texts())
    # f-strings hold their numbers elsewhere.
    orphans = [t for t in catalogue(name) if t not in known and t not in written and "1,000" not in t]
    assert orphans == []


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_translation_has_the_places_and_the_tags_of_its_text(name):
    def parts(text: str) -> list[str]:
        return sorted(re.findall(r"\{\d\}|<[^>]+>", text))

    assert {text: t for text, t in catalogue(name).items() if parts(text) != parts(t)} == {}
    assert all(t.strip() for t in catalogue(name).values())


def test_texts_are_found():
    html = '<p title="A tip">One <b>bold</b> text,\n in two lines.</p><label>Seed <input></label><h2>Head <span>small</span></h2>'
    assert texts_in_html(html) == ["A tip", "One <b>bold</b> text, in two lines.", "Seed", "Head", "small"]
    script = "a = t`Plain`; b = t`step ${x.of({a: 1})} of ${t`inner`}`; python.set('Spot', 1)"
    assert texts_in_script(script) == ["Plain", "step {0} of {1}", "inner", "Spot"]
