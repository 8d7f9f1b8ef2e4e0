"""The process in which visitors' GANs of digits train, apart from the page's: a JSON object a line in, one a line out.

    python -m genmodels.ui.live.worker

`live.Trainer` starts it when the first visitor presses start. It ends with the server, or when nobody has trained for a while.
"""

from __future__ import annotations

import json
import math
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ... import zoo
from ...errors import UserError
from ...live import LiveGAN, Settings
from .. import Json
from ..pictures import sheet_uri, to_bytes

# GANs that are kept in all, of one page and of one address; seconds without a turn after which one makes room for a stranger's,
# and after which one does that never had a turn; and what ends the process.
MAX_SESSIONS, MAX_OF_PAGE, MAX_OF_ADDRESS = 48, 2, 12
REST_SECONDS, FRESH_SECONDS, IDLE_SECONDS = 60, 4, 600
# Steps after which a GAN has had its share.
MAX_STEPS = 4_000
IMAGES, COLUMNS = 36, 6
# Losses of an answer at most: a curve of a few hundred pixels has no room for more.
MAX_LOSSES = 40
DIGITS = "zoo:mnist-sample"


@dataclass
class Run:
    """A visitor's GAN.

    Attributes:
        owner: address and session of the page that started it; each is empty where it is not known.
        used: when it was started or trained last, in seconds of a clock.
    """

    gan: LiveGAN
    owner: tuple[str, str]
    used: float


class Sessions:
    """The GANs of all visitors by the secret name that each page was given, those trained last at the end."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.runs: OrderedDict[str, Run] = OrderedDict()
        self.clock = clock
        self._images: torch.Tensor | None = None

    def images(self) -> torch.Tensor:
        """The digits that all learn from."""
        if self._images is None:
            pixels = torch.from_numpy(zoo.load_sample(DIGITS, "train").images)
            self._images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        return self._images

    def answer(self, request: Json) -> Json:
        """Start a GAN or go on with one, and what there is to see of it.

        Args:
            request: "session", maybe "owner" (see `Run`), and either "settings" or "steps" with "seconds".
        """
        name = request["session"]
        if "settings" in request:
            settings, owner = Settings(**request["settings"]), tuple(request.get("owner", ("", "")))
            if not self._make_room(owner):
                return {"full": True}
            self.runs[name] = Run(LiveGAN(settings, self.images()), owner, self.clock())
        if name not in self.runs:
            return {"lost": True}
        self.runs.move_to_end(name)
        self.runs[name].used = self.clock()
        gan = self.runs[name].gan
        before, left = gan.step, MAX_STEPS - gan.step
        if "steps" in request and left > 0:
            gan.train(min(request["steps"], left), request["seconds"])
        return view(gan, before)

    def _make_room(self, owner: tuple[str, str]) -> bool:
        """Forget what is in the way of one more run of an owner; False if others' running ones are."""
        address, page = owner
        of_page = [name for name, run in self.runs.items() if page and run.owner == owner]
        of_address = [name for name, run in self.runs.items() if address and run.owner[0] == address]
        if len(of_page) >= MAX_OF_PAGE:
            del self.runs[of_page[0]]
        elif len(of_address) >= MAX_OF_ADDRESS or len(self.runs) >= MAX_SESSIONS:
            mine = of_address if len(of_address) >= MAX_OF_ADDRESS else list(self.runs)
            resting = [name for name in mine if self._rests(self.runs[name])]
            if not resting:
                return False
            del self.runs[resting[0]]
        return True

    def _rests(self, run: Run) -> bool:
        return self.clock() - run.used > (REST_SECONDS if run.gan.step else FRESH_SECONDS)


def view(gan: LiveGAN, before: int) -> Json:
    """What is to be seen of a GAN: its images, and its losses since a step."""
    fakes = gan.sample(IMAGES)
    images = to_bytes((fakes.permute(0, 2, 3, 1).numpy() + 1) / 2)
    return {
        "step": gan.step,
        "done": gan.step >= MAX_STEPS,
        "losses": losses_of(gan, before),
        "sheet": sheet_uri(images, COLUMNS),
        "distance": mean_distance(fakes),
    }


def losses_of(gan: LiveGAN, before: int) -> list[list[float | None]]:
    """Some steps since one, each with both losses; None for what JSON has no number for."""

    def number(loss: float) -> float | None:
        return round(loss, 4) if math.isfinite(loss) else None

    stride = max(1, math.ceil((gan.step - before) / MAX_LOSSES))
    shown = range(before + stride, gan.step + 1, stride)
    return [[step, number(gan.losses_d[step - 1]), number(gan.losses_g[step - 1])] for step in shown]


def mean_distance(images: torch.Tensor) -> float:
    """Mean distance of two drawn images, root mean square of brightness: near 0 once all are the same."""
    flat = ((images.flatten(1) + 1) / 2).double()
    distances = torch.pdist(flat) / flat.shape[1] ** 0.5
    return round(float(distances.mean()), 3)


def main() -> None:
    # The page comes first.
    if hasattr(os, "nice"):
        os.nice(10)
    torch.set_num_threads(1)
    sessions, idle = Sessions(), None
    for line in sys.stdin:
        if idle:
            idle.cancel()
        try:
            answer = sessions.answer(json.loads(line))
        except UserError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)
        idle = threading.Timer(IDLE_SECONDS, os._exit, [0])
        idle.daemon = True
        idle.start()


if __name__ == "__main__":
    main()
