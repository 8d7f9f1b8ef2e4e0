"""The Training tab: the process in which visitors' GANs train, and the replay of finished trainings."""

from __future__ import annotations

import base64
import json
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from genmodels import zoo
from genmodels.errors import UserError
from genmodels.live import Settings
from genmodels.ui import first_page, live, memory, replay
from genmodels.ui.live import worker
from genmodels.ui.models import ModelStore

# How many training images the dishonest generator draws.
pytestmark = pytest.mark.slow
COPIES = 3
DIGITS = {"data": "digits"}


@pytest.fixture(scope="module")
def page():
    """The functions of a page, on a process of its own, which takes seconds to start."""
    trainer = live.Trainer()
    yield {f.__name__: f for f in live.functions(trainer)}, trainer
    trainer.stop()


def test_turns_go_on_where_the_last_one_ended(page):
    call, _ = page
    start = call["live_start"]({"settings": {"seed": 5}})
    assert (start["status"], start["step"], start["losses"]) == ("ok", 0, [])
    turn = {"session": start["session"], "steps": 1}
    first, second = call["live_train"](turn), call["live_train"](turn)
    assert [first["step"], second["step"]] == [1, 2]
    assert [row[0] for row in second["losses"]] == [2]
    assert first["sheet"] != second["sheet"]
    json.dumps(second, allow_nan=False)


def test_visitors_do_not_see_each_others_gans(page):
    call, _ = page
    one, two = (call["live_start"]({"settings": {"seed": seed}})["session"] for seed in (0, 1))
    assert one != two
    call["live_train"]({"session": one, "steps": 1})
    call["live_train"]({"session": one, "steps": 1})
    assert call["live_train"]({"session": two, "steps": 1})["step"] == 1
    for unknown in ("", one[:-1], None, 7, "x" * 10_000):
        assert call["live_train"]({"session": unknown, "steps": 1}) == {"status": "ok", "lost": True}


def test_a_turn_is_short_and_nothing_runs_between_turns(page):
    call, trainer = page
    session = call["live_start"]({})["session"]
    call["live_train"]({"session": session, "steps": 1})
    start = time.perf_counter()
    answer = call["live_train"]({"session": session, "steps": 10**9})
    # It ends by the clock, with the step it is in.
    assert time.perf_counter() - start < 10
    assert answer["step"] < 1 + live.MAX_STEPS + 1
    # A visitor who has left asks for no further turn: the process then only waits.
    before = cpu_seconds(trainer)
    time.sleep(0.5)
    assert cpu_seconds(trainer) - before < 0.1


def cpu_seconds(trainer: live.Trainer) -> float:
    psutil = pytest.importorskip("psutil")
    times = psutil.Process(trainer._process.pid).cpu_times()
    return times.user + times.system


def test_a_dead_process_is_said_and_replaced(page):
    call, trainer = page
    session = call["live_start"]({})["session"]
    trainer._process.kill()
    trainer._process.wait()
    assert call["live_train"]({"session": session, "steps": 1})["lost"]
    assert call["live_start"]({})["step"] == 0


def test_a_process_that_dies_in_a_turn_is_said(page, monkeypatch):
    call, trainer = page
    call["live_start"]({})
    monkeypatch.setattr(trainer._process.stdin, "write", lambda line: trainer._process.kill())
    assert call["live_start"]({})["message"] == "The training process has ended: start again."
    assert call["live_start"]({})["status"] == "ok"


def test_settings_from_outside_are_legal():
    nasty = {"data": ["x"], "loss": "hinge", "generator_rate": 1e9, "discriminator_steps": 1e308, "seed": -3}
    settings = live.settings_of({"settings": {**nasty, "spectral_norm": "yes", "gradient_penalty": True}})
    usual = {name: value for name, value in Settings().__dict__.items() if name != "batch_size"}
    most = live.MAX_DISCRIMINATOR_STEPS
    assert settings == {**usual, "gradient_penalty": True, "discriminator_steps": most, "seed": 0}
    assert live.settings_of({}) == live.settings_of({"settings": 3}) == usual


def test_every_recipe_is_legal_and_differs():
    made = [live.settings_of({"settings": recipe}) for recipe in live.RECIPES.values()]
    assert all(m | recipe == m for recipe, m in zip(live.RECIPES.values(), made, strict=True))
    assert all(Settings(**m) for m in made)
    assert len({json.dumps(m) for m in made}) == len(live.RECIPES)


def test_each_gan_has_its_share(monkeypatch):
    monkeypatch.setattr(worker, "MAX_STEPS", 3)
    sessions = worker.Sessions()
    sessions.answer({"session": "a", "settings": DIGITS})
    answer = sessions.answer({"session": "a", "steps": 10, "seconds": 999})
    assert (answer["step"], answer["done"]) == (3, True)
    assert sessions.answer({"session": "a", "steps": 10, "seconds": 999})["step"] == 3


class Room:
    """Room for few GANs, and a clock that is set by hand."""

    def __init__(self):
        self.seconds = 100.0
        self.sessions = worker.Sessions(lambda: self.seconds)

    def start(self, name: str, page: str, address: str = "") -> bool:
        return not self.sessions.answer({"session": name, "settings": DIGITS, "owner": [address, page]}).get("full")

    def train(self, name: str) -> bool:
        return not self.sessions.answer({"session": name, "steps": 1, "seconds": 9}).get("lost")


@pytest.fixture
def room(monkeypatch) -> Room:
    monkeypatch.setattr(worker, "MAX_SESSIONS", 3)
    monkeypatch.setattr(worker, "MAX_OF_ADDRESS", 2)
    return Room()


def test_no_stranger_ends_a_running_training(room):
    assert all(room.start(name, page=name) and room.train(name) for name in "abc")
    for i in range(200):
        assert not room.start(f"stranger {i}", page=f"page {i}")
    assert all(room.train(name) for name in "abc")


def test_what_nobody_trains_makes_room(room):
    assert all(room.start(name, page=name) for name in "abc")
    room.seconds += worker.FRESH_SECONDS + 1
    assert room.train("a")
    # b and c were started and left alone.
    assert room.start("d", page="d")
    assert [room.train(name) for name in "ab"] == [True, False]
    room.seconds += worker.REST_SECONDS + 1
    assert room.train("a")
    assert room.start("e", page="e")
    assert not room.train("c")


def test_a_page_replaces_its_own(room):
    assert all(room.start(str(i), page="mine") for i in range(5))
    assert [room.train(str(i)) for i in range(5)] == [False, False, False, True, True]


def test_an_address_has_its_bound_and_others_have_room(room):
    assert all(room.start(str(i), page=str(i), address="10.0.0.1") and room.train(str(i)) for i in range(2))
    assert not room.start("more", page="more", address="10.0.0.1")
    assert room.start("other", page="other", address="10.0.0.2")
    assert [room.train(name) for name in "01"] == [True, True]


def test_digits_are_trained_and_compared():
    answer = worker.Sessions().answer({"session": "a", "settings": {"data": "digits"}})
    assert 0 <= answer["distance"] < 0.2
    assert answer["sheet"].startswith("data:image/png")


def test_the_first_page_is_what_its_python_makes(monkeypatch):
    monkeypatch.setattr(live, "FIRST_STEPS", 20)
    prepared, made = first_page.read("live"), live.first_page()
    first, fresh = prepared["first"], made["first"]
    assert first["settings"] == fresh["settings"]
    assert {name: prepared[name] for name in ("mixtures", "images", "distance")} == {
        name: made[name] for name in ("mixtures", "images", "distance")
    }
    assert (first["step"], first["modes"], len(first["losses"])) == (600, 8, worker.MAX_LOSSES)
    assert len(fresh["points"]) == 2 * live.POINTS
    plane = np.frombuffer(base64.b64decode(fresh["heat"]), np.uint8)
    assert len(plane) == live.SIDE**2
    # Where scores are 0, which divides real from fake, it is 128.
    assert plane.max() == 255 or plane.min() <= 1
    json.dumps(made, allow_nan=False)


@pytest.fixture
def trained(usual_models, tmp_path) -> ModelStore:
    """A model with film and log beside it."""
    folder = tmp_path / "dcgan"
    shutil.copytree(usual_models / "dcgan", folder)
    frames = [Image.new("RGB", (40, 40), (i, 0, 0)) for i in (0, 90, 200)]
    frames[0].save(folder / "film.webp", save_all=True, append_images=frames[1:])
    rows = [{"step": i, "loss_d": 1 / i, "loss_g": i, "lr": 3} for i in range(1, 1001)]
    lines = [*map(json.dumps, rows), '{"step": 7, "fid": 3.0}', '{"step": 1001, "loss_d": NaN}']
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "training.json").write_text(json.dumps({"title": "T", "steps": 1000, "command": "accelerate launch x"}))
    return ModelStore(str(folder))


def test_a_replay_has_film_and_losses(trained):
    (call,) = replay.functions(trained)
    answer = call({"model": "no such"})
    assert (answer["status"], answer["title"], answer["count"]) == ("ok", "T", 3)
    assert answer["steps"] == [0, 500, 1000]
    assert list(answer["curves"]) == ["step", "loss_d", "loss_g"]
    assert len(answer["curves"]["step"]) <= replay.MAX_POINTS
    assert answer["curves"]["loss_g"][:2] == [1.0, 5.0]
    json.dumps(answer, allow_nan=False)


@pytest.mark.parametrize("folder", zoo.replay_folders(), ids=lambda folder: folder.name)
def test_the_packages_own_replays_are_whole(folder, usual_store):
    (call,) = replay.functions(usual_store)
    answer = call({"model": folder.name})
    assert (answer["status"], answer["model"]) == ("ok", folder.name)
    assert answer["command"].startswith("accelerate launch train/")
    assert len(answer["steps"]) == answer["count"]


def test_a_broken_log_is_said(trained):
    folder = next(iter(replay.replays(trained).values()))
    for text in ("not json\n", "", "[1]\n", '{"step": 1}\n'):
        (folder / "metrics.jsonl").write_text(text)
        with pytest.raises(UserError, match="metrics"):
            replay.curves(folder / "metrics.jsonl")


def test_models_without_film_have_no_replay(usual_models, monkeypatch):
    monkeypatch.setattr(zoo, "replay_folders", list)
    store = ModelStore(str(usual_models), tabs=("samples",))
    assert replay.replays(store) == {}
    (call,) = replay.functions(store)
    assert "came with film and log" in call({})["message"]


@pytest.mark.parametrize("kind", memory.GAN_KINDS)
def test_copies_are_found_out(usual_store, monkeypatch, kind):
    """A generator that draws training images has distances of 0, and the nearest is what it copied."""
    real = usual_store.real_images(kind)
    copied = real.train[:COPIES]
    pipe = usual_store.pipe(kind)

    def copy(num_images, seed, output_type):
        images = pipe(num_images=num_images, seed=seed, output_type=output_type).images
        images[:COPIES] = copied / 255
        return SimpleNamespace(images=images)

    honest = memory.Memory(usual_store).check(kind, 0)
    assert min(honest["generated"]) > 0
    assert len(honest["generated"]) == memory.COUNT
    monkeypatch.setattr(usual_store, "pipe", lambda kind: copy)
    answer = memory.Memory(usual_store).check(kind, 0)
    assert answer["generated"][:COPIES] == [0.0] * COPIES
    assert [row[0] for row in answer["distances"]] == [0.0] * COPIES + sorted(
        row[0] for row in answer["distances"][COPIES:]
    )
    assert answer["test"] == honest["test"]
    assert all(row == sorted(row) and len(row) == memory.NEAREST for row in answer["distances"])


def test_without_training_images_there_is_nothing_to_compare(odd_store):
    (call,) = memory.functions(odd_store)
    for kind in memory.GAN_KINDS:
        if odd_store.real_images(kind) is None:
            assert "nothing to compare" in call({"kind": kind})["message"]
