"""The monitor speaks of what has gone wrong, once, and of nothing else."""

from __future__ import annotations

import json

import pytest
import torch

import genmodels
from genmodels import zoo
from genmodels.features.classifier import Classifier
from genmodels.training.monitor import Monitor

N = 128
DIGITS = [str(digit) for digit in range(10)]
WANTED = torch.arange(N) * 10 // N


def tensors(name: str, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    sample = zoo.load_sample(name, split)
    return torch.tensor(sample.images).permute(0, 3, 1, 2).contiguous(), torch.tensor(sample.labels)


def pixel_values(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 127.5 - 1


@pytest.fixture(scope="module")
def train():
    images, labels = tensors("zoo:mnist-sample", "train")
    return images[:1500], labels[:1500]


@pytest.fixture(scope="module")
def held_out():
    """Real digits that are not in `train`: N of any class, and N of the wanted ones."""
    images, labels = tensors("zoo:mnist-sample", "test")
    wanted = torch.cat([images[labels == k][: int((k == WANTED).sum())] for k in range(10)])
    return pixel_values(images[:N]), pixel_values(wanted)


@pytest.fixture(scope="module")
def evaluator():
    return Classifier.from_pretrained(str(zoo.model_folder("evaluator-mnist"))).eval()


def watch(monitor: Monitor, fakes: torch.Tensor, labels=WANTED, accuracy_d=0.7, steps=range(250, 1001, 250)):
    """All findings of a run whose images stay the same."""
    return [finding for step in steps for finding in monitor.check(step, fakes, labels, {"accuracy_d": accuracy_d})[1]]


def one_of_each(fakes: torch.Tensor) -> torch.Tensor:
    """The first image of every wanted class, over and over."""
    return torch.stack([fakes[k == WANTED][0] for k in WANTED])


def kinds(findings) -> list[str]:
    return [finding.kind for finding in findings]


@pytest.mark.parametrize("conditional", [True, False])
def test_silent_on_real_images(train, held_out, evaluator, conditional):
    monitor = Monitor(*train, DIGITS, evaluator=evaluator, conditional=conditional)
    assert watch(monitor, held_out[conditional]) == []
    figures, _ = monitor.check(1500, held_out[conditional], WANTED, {})
    assert figures["diversity"] == pytest.approx(1, abs=0.1)
    assert figures["nearest_ratio"] == pytest.approx(1, abs=0.1)
    assert figures["copies"] == 0
    assert figures["class_accuracy" if conditional else "class_share_min"] > (0.95 if conditional else 0.5)
    assert "accuracy_d" not in figures
    assert "no sign in 5 checks; last figures: diversity 1.0" in monitor.verdict()


@pytest.mark.parametrize("name", ["cgan-mnist", "vae-mnist", "vae-mnist-16", "dcgan-cifar10-frogs"])
def test_silent_on_the_built_in_models(train, evaluator, name):
    conditional, frogs = name == "cgan-mnist", "frogs" in name
    images = tensors("zoo:cifar10-frogs-sample", "train") if frogs else train
    monitor = Monitor(*images, ["frog"] if frogs else DIGITS, evaluator=evaluator, conditional=conditional)
    arguments = {"class_labels": WANTED.tolist()} if conditional else {"num_images": N}
    fakes = genmodels.load_pipeline(name)(seed=0, output_type="pt", **arguments).images
    assert watch(monitor, fakes, accuracy_d=0.96) == []


def test_mode_collapse_names_the_classes(train, held_out):
    fakes = held_out[1].clone()
    for k in (3, 8):
        fakes[k == WANTED] = fakes[k == WANTED][0] + 0.02 * torch.randn(int((k == WANTED).sum()), 1, 28, 28)
    monitor = Monitor(*train, DIGITS, conditional=True, advice={"mode collapse": "try --r1 0.5"})
    (finding,) = watch(monitor, fakes)
    assert (finding.kind, finding.step) == ("mode collapse", 250)
    assert finding.message.startswith("Fakes of classes 3 and 8 have been nearly identical since step 250 (")
    assert finding.message.endswith(": mode collapse; try --r1 0.5.")
    # The others follow later: another finding, of these alone.
    (later,) = watch(monitor, one_of_each(fakes), steps=range(1500, 2501, 250))
    assert later.message.startswith("Fakes of classes 0, 1, 2, 4, 5, 6, 7 and 9 have")
    assert monitor.findings == [finding, later]


def test_mode_collapse_of_all_classes_and_without_classes(train, held_out):
    (finding,) = watch(Monitor(*train, DIGITS, conditional=True), one_of_each(held_out[1]))
    assert finding.message.startswith("Fakes of all classes have been nearly identical")
    assert "--learning_rate" in finding.message
    (finding,) = watch(Monitor(*train, []), held_out[0][:1].expand(N, -1, -1, -1))
    assert finding.message.startswith("Fakes have been nearly identical since step 250 (their distance is 0% of")


def test_missing_class(train, held_out, evaluator):
    images, labels = tensors("zoo:mnist-sample", "test")
    without = pixel_values(images[(labels != 4) & (labels != 9)][:N])
    monitor = Monitor(*train, DIGITS, evaluator=evaluator)
    (finding,) = watch(monitor, without)
    # At step 250 there were too few fakes to tell.
    assert finding.message.startswith("Fakes of classes 4 and 9 have been missing since step 500 (they are ")
    assert "Fakes of classes 4 and 9 have been missing since step 500" in monitor.verdict()
    assert "--learning_rate" not in monitor.verdict()
    # They come back.
    watch(monitor, held_out[0], steps=range(1500, 2501, 250))
    assert "no longer so at the last check" in monitor.verdict()


def test_ignored_labels(train, held_out, evaluator):
    shifted = WANTED.roll(N // 10 + 1)
    monitor = Monitor(*train, DIGITS, evaluator=evaluator, conditional=True)
    assert kinds(watch(monitor, held_out[1], shifted)) == ["labels ignored"]
    # A generator that learns nothing is one finding, not two.
    monitor = Monitor(*train, DIGITS, evaluator=evaluator, conditional=True)
    assert kinds(watch(monitor, held_out[1], shifted, accuracy_d=1.0)) == ["discriminator winning"]


def test_classes_go_by_name(train, held_out, evaluator):
    images, labels = train
    odd = labels % 2 == 1
    # The data's classes are some of the evaluator's, in another order.
    names = ["9", "7", "5", "3", "1"]
    monitor = Monitor(images[odd], (9 - labels[odd]) // 2, names, evaluator=evaluator, conditional=True)
    odd = WANTED % 2 == 1
    figures, _ = monitor.check(1, held_out[1][odd], (9 - WANTED[odd]) // 2, {})
    assert figures["class_accuracy"] > 0.95


@pytest.mark.parametrize("names", [[f"kana {k}" for k in range(10)], DIGITS[::-1], []], ids=["other", "wrong", "none"])
def test_an_evaluator_of_other_classes_is_not_asked(train, held_out, evaluator, names):
    monitor = Monitor(*train, names, evaluator=evaluator, conditional=True)
    figures, _ = monitor.check(1, held_out[1], WANTED, {})
    assert set(figures) == {"diversity", "diversity_min", "nearest_ratio", "copies"}


@pytest.mark.parametrize("name", ["zoo:mnist-sample", "zoo:cifar10-frogs-sample"])
def test_copies_of_training_images(name):
    images, labels = tensors(name, "train")
    images, labels = images[:2000], labels[:2000]
    torch.manual_seed(0)
    real, fresh = pixel_values(images[-N:]), pixel_values(tensors(name, "test")[0][:N])
    # A third of the fakes, with a little noise on each.
    fakes = torch.where(torch.arange(N)[:, None, None, None] % 3 == 0, real, fresh) + 0.1 * torch.randn_like(real)
    (finding,) = watch(Monitor(images, labels, []), fakes)
    assert finding.kind == "memorising"
    assert "near copies of training images since step 250 (now 3" in finding.message


def test_discriminator_that_wins(train, held_out):
    monitor = Monitor(*train, DIGITS)
    assert watch(monitor, held_out[0], accuracy_d=0.97) == []
    (finding,) = watch(monitor, held_out[0], accuracy_d=0.998, steps=range(1500, 2501, 250))
    assert (finding.kind, finding.step) == ("discriminator winning", 1500)
    assert "99.8% of pairs" in finding.message


def test_silent_in_the_beginning_and_after_an_interruption(train, held_out):
    grey = torch.zeros(N, 1, 28, 28) + 1e-3 * torch.randn(N, 1, 28, 28)
    # However often it is asked, and however rarely.
    assert watch(Monitor(*train, DIGITS, conditional=True), grey, accuracy_d=1.0, steps=range(1, 500, 50)) == []
    monitor = Monitor(*train, DIGITS, conditional=True)
    assert watch(monitor, grey, accuracy_d=1.0, steps=(1000, 2000)) == []
    # One good check, and the count begins again.
    assert watch(monitor, held_out[1], steps=(3000,)) == []
    assert watch(monitor, grey, accuracy_d=1.0, steps=(4000, 5000)) == []
    assert kinds(watch(monitor, grey, accuracy_d=1.0, steps=(6000,))) == ["mode collapse", "discriminator winning"]


def test_state_goes_through_json(train, held_out, evaluator):
    def new():
        return Monitor(*train, DIGITS, evaluator=evaluator)

    same = held_out[0][:1].expand(N, -1, -1, -1)
    straight, stopped = new(), new()
    for step in range(500, 2501, 500):
        fakes, losses = held_out[0] if step < 1000 else same, {"accuracy_d": step / 1000}
        state = json.loads(json.dumps(stopped.state_dict()))
        stopped = new()
        stopped.load_state_dict(state)
        assert stopped.check(step, fakes, WANTED, losses) == straight.check(step, fakes, WANTED, losses)
    assert kinds(straight.findings) == ["mode collapse", "discriminator winning"]
    assert stopped.findings == straight.findings
    assert stopped.verdict() == straight.verdict()
    assert stopped.state_dict() == straight.state_dict()


def test_no_random_numbers_are_drawn_and_nothing_is_changed(train, held_out, evaluator):
    before, fakes = torch.get_rng_state(), held_out[1].clone()
    Monitor(*train, DIGITS, evaluator=evaluator, conditional=True).check(250, fakes, WANTED, {"accuracy_d": 1.0})
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(fakes, held_out[1])


def test_fakes_that_are_becoming_different_are_left_in_peace_until_they_stop(train, held_out):
    monitor = Monitor(*train, DIGITS, conditional=True)
    _, fakes = held_out
    same = one_of_each(fakes)

    def check(step: int, share: float):
        # A mixture with the class's one image has `share` of the real distances.
        return monitor.check(step, same + share * (fakes - same), WANTED, {})[1]

    assert not [f for step, share in enumerate((0.02, 0.06, 0.1, 0.14, 0.18)) for f in check(250 * step, share)]
    assert "mode collapse" in kinds(check(1250, 0.18))
