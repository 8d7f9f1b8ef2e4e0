"""The guessing game: fair images, the truth only after a guess, and judges that guess the same images."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from genmodels.ui import comparer, game, real_or_fake
from genmodels.ui.models import CLASSES, SAMPLES

pytestmark = pytest.mark.slow

ROUNDS = 16


@pytest.fixture(autouse=True)
def short_games(monkeypatch):
    monkeypatch.setattr(game, "CALIBRATED", 6)


@pytest.fixture
def table(usual_store) -> game.Game:
    return game.Game(comparer.Comparer(usual_store))


def pixels_of(answer: dict) -> np.ndarray:
    shape = (answer["size"], answer["size"], answer["channels"])
    return np.frombuffer(base64.b64decode(answer["picture"]), np.uint8).reshape(shape)


@pytest.mark.parametrize("kind", game.GAN_KINDS)
def test_the_truth_is_told_after_the_guess_and_only_once(table, usual_store, kind):
    tests = usual_store.real_images(kind).test
    seen = set()
    for _ in range(ROUNDS):
        dealt = table.next(kind)
        image = pixels_of(dealt)
        answer = table.guess(dealt["round"])
        assert answer["real"] == bool((tests == image).all(axis=(1, 2, 3)).any())
        assert set(answer["judges"]) == {"discriminator", "evaluator"}
        seen.add(answer["real"])
        with pytest.raises(game.UserError, match="round is over"):
            table.guess(dealt["round"])
    assert seen == {True, False}


def test_nothing_but_the_pixels_tells_real_from_fake(table):
    dealt = [table.next(SAMPLES) for _ in range(ROUNDS)]
    for key in ("kind", "size", "channels"):
        assert len({answer[key] for answer in dealt}) == 1
    assert len({tuple(answer) for answer in dealt}) == 1
    assert len({(len(answer["round"]), len(answer["picture"])) for answer in dealt}) == 1
    assert len({answer["round"] for answer in dealt}) == ROUNDS


def test_the_first_round_is_the_same_for_everybody(table, usual_store):
    first = table.first(CLASSES)
    assert np.array_equal(first.image, game.Game(comparer.Comparer(usual_store)).first(CLASSES).image)
    assert [table.guess(game.FIRST + CLASSES)["real"] for _ in range(2)] == [False, False]
    page = real_or_fake.first_page(usual_store)
    assert np.array_equal(pixels_of(page[CLASSES]["game"]), first.image)


def test_thresholds_tell_the_two_sides_apart():
    real, fake = np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.0, 1.5])
    threshold = game.best_threshold(real, fake)
    # At 1 all reals and two fakes are right, at 2 two reals and all fakes: both 5 of 6.
    assert ((real >= threshold).sum(), (fake < threshold).sum()) in ((3, 2), (2, 3))
    assert game.best_threshold(np.array([5.0, 6.0]), np.array([1.0, 2.0])) == 5


def test_no_stranger_can_crowd_out_a_round(table, monkeypatch):
    monkeypatch.setattr(game, "MAX_TOLD", 2)
    mine, *others = [table.next(SAMPLES)["round"] for _ in range(6)]
    for name in others:
        table.guess(name)
    assert "real" in table.guess(mine)


def test_the_name_of_a_round_tells_nothing_without_the_key(usual_store):
    tables = [game.Game(comparer.Comparer(usual_store)) for _ in range(2)]
    names = [tables[0].next(SAMPLES)["round"] for _ in range(ROUNDS)]
    assert len({tuple(table.named(name).is_real for name in names) for table in tables}) == 2


def test_there_is_no_game_without_real_images(odd_store):
    page = real_or_fake.first_page(odd_store)
    without = [kind for kind in game.GAN_KINDS if odd_store.real_images(kind) is None]
    assert all("game" not in page[kind] for kind in without)
    for kind in without:
        with pytest.raises(game.UserError, match="nothing to compare"):
            game.Game(comparer.Comparer(odd_store)).next(kind)


@pytest.mark.parametrize("name", [None, 3, "", "first-", "first-map", "x" * 10_000, ["a"]])
def test_a_made_up_round_is_over(usual_store, name):
    call = {f.__name__: f for f in real_or_fake.functions(usual_store)}
    answer = call["guess"]({"round": name})
    assert (answer["status"], answer["message"]) == ("error", "That round is over: here is another.")
    json.dumps(call["play"]({"kind": name}), allow_nan=False)
