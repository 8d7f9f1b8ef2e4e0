"""The game of the Real or fake? tab: one image at a time, guessed by the visitor, the discriminator and the evaluator alike."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...errors import UserError
from .. import Json
from ..admission import normal_lane
from ..inputs import one_of, server_function
from ..models import CLASSES, GAN_KINDS
from ..pictures import raw, to_bytes

if TYPE_CHECKING:
    from ...features.classifier import Classifier
    from ..comparer import Comparer

# Images of each side on which the two networks' thresholds are set.
CALIBRATED = 200
# Rounds of which it is remembered that they were told.
MAX_TOLD, MAX_NAME = 5000, 64
OVER = "That round is over: here is another."
# The first round is called by this and its kind: image FIRST_INDEX of FIRST_SEED.
FIRST, FIRST_SEED, FIRST_INDEX = "first-", 11, 5


@dataclass
class Round:
    """An image that waits for a guess.

    Attributes:
        kind: which model it is about.
        image: (H, W, C) uint8.
        label: the class it shows, or is meant to.
        is_real: whether it is a test image.
    """

    kind: str
    image: np.ndarray
    label: int
    is_real: bool


def best_threshold(real: np.ndarray, fake: np.ndarray) -> float:
    """The score that tells most real from fake ones, when higher scores are called real."""
    candidates = np.concatenate([real, fake])
    right = [(real >= t).mean() + (fake < t).mean() for t in candidates]
    return float(candidates[int(np.argmax(right))])


class Game:
    """Rounds of all visitors; which image is real stays here until it is guessed.

    Args:
        comparer: the tab's `Comparer`, which has the models, their real images, and the training images near an image.
    """

    def __init__(self, comparer: Comparer):
        self.comparer, self.store = comparer, comparer.store
        # A round is what its name and this key make of it: none must be kept until it is guessed, so none can be crowded out.
        self._key = secrets.token_bytes()
        self._told: OrderedDict[str, None] = OrderedDict()
        self._thresholds: dict[str, dict[str, float]] = {}
        self._evaluators: dict[str, Classifier | None] = {}
        self._lock = threading.Lock()
        self._random = np.random.default_rng()

    def judges(self, kind: str, images: np.ndarray, labels: list[int]) -> dict[str, np.ndarray]:
        """What each judge thinks of (N, H, W, C) uint8 images, higher for more real: (N,) by the judge's name."""
        pipe = self.store.pipe(kind)
        scores = {}
        if getattr(pipe, "discriminator", None) is not None:
            given = pipe.discriminate(images, labels) if self.store.models[kind].labelled else pipe.discriminate(images)
            scores["discriminator"] = np.nan_to_num(given.numpy())
        evaluator = self.evaluator(kind)
        if evaluator is not None:
            scores["evaluator"] = confidence(evaluator, images)
        return scores

    def evaluator(self, kind: str) -> Classifier | None:
        """The built-in classifier of images like a model's, None if there is none."""
        from ...features.evaluators import find_evaluator, load_classifier

        if kind not in self._evaluators:
            pipe = self.store.pipe(kind)
            try:
                self._evaluators[kind] = load_classifier(find_evaluator(pipe.sample_size, pipe.num_channels))[0]
            except UserError:
                self._evaluators[kind] = None
        return self._evaluators[kind]

    def draw(self, kind: str, count: int, seed: int) -> list[tuple[np.ndarray, int]]:
        """Fakes with their labels."""
        output = self.store.pipe(kind)(num_images=count, seed=seed, output_type="np")
        labels = output.class_labels
        return list(zip(to_bytes(output.images), [0] * count if labels is None else labels.tolist(), strict=True))

    def thresholds(self, kind: str) -> dict[str, float]:
        """The score from which each judge says "real", by the judge's name; set when a model's first round is asked for."""
        with self._lock:
            if kind not in self._thresholds:
                real, chosen = self.store.real_images_beside(kind), self._random
                picked = chosen.permutation(len(real.test))[:CALIBRATED]
                fakes = self.draw(kind, CALIBRATED, secrets.randbelow(2**31))
                of_real = self.judges(kind, real.test[picked], real.test_labels[picked].tolist())
                of_fake = self.judges(kind, np.stack([image for image, _ in fakes]), [label for _, label in fakes])
                self._thresholds[kind] = {name: best_threshold(of_real[name], of_fake[name]) for name in of_real}
            return self._thresholds[kind]

    def named(self, name: str) -> Round:
        """The round of a name: real or not, and which, follow from the name and a key that stays here.

        Raises:
            UserError: there is none.
        """
        kind, _, rest = name.partition("-")
        if kind not in GAN_KINDS or not rest or len(name) > MAX_NAME:
            raise UserError(OVER)
        digest = hmac.digest(self._key, name.encode(), "sha256")
        is_real, number = digest[0] % 2 == 1, int.from_bytes(digest[1:5], "big") % 2**31
        real = self.store.real_images_beside(kind)
        # Drawn for a real one as well: else the time that an answer takes would tell.
        fake, label = self.draw(kind, 1, number)[0]
        if not is_real:
            return Round(kind, fake, label, False)
        index = number % len(real.test)
        return Round(kind, real.test[index], int(real.test_labels[index]), True)

    def next(self, kind: str) -> Json:
        """A new round: its name, which says nothing without the key, and its image, made in the same way from either side."""
        self.thresholds(kind)
        name = f"{kind}-{secrets.token_urlsafe(12)}"
        return shown(name, self.named(name))

    def first(self, kind: str) -> Round:
        """The round that everybody begins with: it is on the page before the networks are loaded."""
        images, labels = self.comparer.generated(kind, FIRST_SEED)
        label = 0 if labels is None else int(labels[FIRST_INDEX])
        return Round(kind, to_bytes(images)[FIRST_INDEX], label, False)

    def guess(self, name: str) -> Json:
        """What an image was, and what the judges say of it; a round is told once.

        Raises:
            UserError: there is no such round.
        """
        kind = name.removeprefix(FIRST)
        round_ = self.first(kind) if kind in GAN_KINDS else self.named(name)
        with self._lock:
            if name in self._told:
                raise UserError(OVER)
            if kind not in GAN_KINDS:
                self._told[name] = None
            while len(self._told) > MAX_TOLD:
                self._told.popitem(last=False)
        thresholds = self.thresholds(round_.kind)
        scores = self.judges(round_.kind, round_.image[None], [round_.label])
        verdicts = {judge: bool(scores[judge][0] >= threshold) for judge, threshold in thresholds.items()}
        near = self.comparer.nearest(round_.kind, self.store.real_images_beside(round_.kind), round_.image)
        return {"kind": round_.kind, "real": round_.is_real, "judges": verdicts, **near}


def shown(name: str, round_: Round) -> Json:
    """A round for the page: raw pixels, in which nothing says where they come from."""
    height, _, channels = round_.image.shape
    return {
        "round": name,
        "kind": round_.kind,
        "picture": raw(round_.image),
        "size": height,
        "channels": min(channels, 3),
    }


def confidence(evaluator: Classifier, images: np.ndarray) -> np.ndarray:
    """How sure a classifier is of the class it sees: the log of its largest probability, (N,)."""
    import torch

    with torch.no_grad():
        pixel_values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
        return evaluator(pixel_values).log_softmax(1).amax(1).numpy()


def functions(game: Game) -> list[Callable]:
    """What the view's page may call."""

    @server_function(normal_lane)
    def play(payload: Json) -> Json:
        return game.next(one_of(payload.get("kind"), GAN_KINDS, CLASSES))

    @server_function(normal_lane)
    def guess(payload: Json) -> Json:
        name = payload.get("round")
        return game.guess(name if isinstance(name, str) else "")

    return [play, guess]
