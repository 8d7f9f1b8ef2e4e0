"""The Training tab's first view: a small GAN that is trained while its visitor watches.

GANs of points train in the page itself (points.js), those of digits in a process of the server's.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ...errors import UserError
from .. import Json
from .. import first_page as first_page_files
from ..admission import training_lane, visitor
from ..inputs import MAX_PAGE_SEED, integer, one_of, server_function
from . import snippets

DATA = ("ring", "grid", "drawn", "digits")
LOSSES = ("nonsaturating", "minimax", "wasserstein", "relativistic")
SWITCHES = ("gradient_penalty", "minibatch_stddev", "spectral_norm", "label_smoothing")
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
MAX_DISCRIMINATOR_STEPS = 5
# What each changes in the defaults of `genmodels.live.Settings`.
RECIPES = {
    "Balanced": {},
    "Mode collapse": {"discriminator_rate": 1e-4},
    "Cure: a faster discriminator": {"discriminator_rate": 3e-3},
    "Cure: five steps of it": {"discriminator_rate": 1e-4, "discriminator_steps": 5},
    "Relativistic, R1 + R2": {"loss": "relativistic", "gradient_penalty": True},
    "Critic with penalty": {"loss": "wasserstein", "gradient_penalty": True, "discriminator_steps": 5},
}
# The step at which the first page shows the first recipe.
FIRST_STEPS = 600
# Points of a batch in the page, as in points.js; of a picture; and cells of the plane along a side.
BATCH_SIZE, POINTS, SIDE = 32, 500, 48
# Scores that differ by less look alike in the heat map.
SCORES = 0.2
# A visitor's turn: steps, and seconds after which it ends in any case.
MAX_STEPS, SECONDS = 500, 0.1
# How long a turn may take before the process is taken for stuck: the first one imports torch.
STUCK, STUCK_AT_FIRST = 20.0, 90.0


class Trainer:
    """The process that trains, started when it is first asked; see `worker`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._turn = threading.Lock()

    def ask(self, request: Json) -> Json:
        """The answer to a request.

        Raises:
            UserError: the process died or is stuck; the next request starts another.
        """
        with self._turn:
            process, patience = self._process, STUCK
            if process is None or process.poll() is not None:
                process, patience = self._start(), STUCK_AT_FIRST
            line: str | None
            try:
                print(json.dumps(request), file=process.stdin, flush=True)
                line = self._answers.get(timeout=patience)
            except (OSError, queue.Empty):
                line = None
            if line is None:
                self.stop()
                raise UserError("The training process has ended: start again.")
            return json.loads(line)

    def _start(self) -> subprocess.Popen[str]:
        package = str(Path(__file__).parents[3])
        path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH")) if part)
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "genmodels.ui.live.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        self._answers = queue.Queue()
        threading.Thread(target=self._read, args=(process, self._answers), daemon=True).start()
        return process

    @staticmethod
    def _read(process: subprocess.Popen[str], answers: queue.Queue[str | None]) -> None:
        for line in process.stdout or ():
            answers.put(line)
        answers.put(None)

    def stop(self) -> None:
        """End the process, and with it all GANs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


# One for all visitors: they take turns.
TRAINER = Trainer()


def settings_of(payload: Json) -> Json:
    """The fields of `live.Settings` that a page asks for, every one legal."""
    given = payload.get("settings")
    given = given if isinstance(given, dict) else {}
    rate = {name: one_of(given.get(name), RATES, 1e-3) for name in ("generator_rate", "discriminator_rate")}
    return {
        "data": one_of(given.get("data"), DATA, DATA[0]),
        "loss": one_of(given.get("loss"), LOSSES, LOSSES[0]),
        **{name: given.get(name) is True for name in SWITCHES},
        **rate,
        "discriminator_steps": integer(given.get("discriminator_steps"), 1, MAX_DISCRIMINATOR_STEPS, 1),
        "seed": integer(given.get("seed"), 0, MAX_PAGE_SEED, 0),
    }


def first_page() -> Json:
    """What the view shows before any click, and what it must know of the data: as it is prepared ahead."""
    import torch

    from ...live import DATA as LEARNED
    from ...live import DRAWN_STD, LiveGAN, Settings
    from .worker import IMAGES, Sessions, losses_of, mean_distance

    torch.set_num_threads(1)
    gan = LiveGAN(Settings())
    gan.train(FIRST_STEPS)
    limit = gan.data.limit
    points = gan.sample(POINTS)
    modes, share = gan.coverage(POINTS)
    scores = gan.scores_on_plane(SIDE)
    heat = scores / max(float(scores.abs().max()), SCORES) * 127 + 128
    of_points = {name: data for name, data in LEARNED.items() if data.limit}
    return {
        "mixtures": {
            name: {
                "centers": data.mixture.centers.double().numpy().round(4).tolist() if data.mixture else [],
                "std": data.mixture.std if data.mixture else DRAWN_STD,
                "limit": data.limit,
            }
            for name, data in of_points.items()
        },
        "images": IMAGES,
        "distance": mean_distance(Sessions().images()[:POINTS]),
        "first": {
            "step": gan.step,
            "losses": losses_of(gan, 0),
            # In thousandths of the limit; far ones at three times the limit.
            "points": (points / limit).clamp(-3, 3).mul(1000).round().int().flatten().tolist(),
            "heat": base64.b64encode(heat.byte().numpy().tobytes()).decode(),
            "modes": modes,
            "share": round(share, 3),
            "settings": settings_of({}),
            "code": snippets.live("ring", FIRST_STEPS),
        },
    }


def page() -> Json:
    """What the view's JavaScript finds in its page."""
    return {
        **(first_page_files.read("live") or {}),
        "recipes": [{"name": name, "settings": settings_of({"settings": r})} for name, r in RECIPES.items()],
        "rates": RATES,
        "max_discriminator_steps": MAX_DISCRIMINATOR_STEPS,
        "batch_size": BATCH_SIZE,
        "code": {name: snippets.live(name) for name in DATA},
    }


def functions(trainer: Trainer = TRAINER) -> list[Callable]:
    """What the view's page may call."""

    def answered(request: Json) -> Json:
        answer = trainer.ask({**request, "owner": list(visitor())})
        if "error" in answer:
            raise UserError(answer["error"])
        return answer

    @server_function(training_lane)
    def live_start(payload: Json) -> Json:
        settings, session = {**settings_of(payload), "data": "digits"}, secrets.token_urlsafe(16)
        answer = answered({"session": session, "settings": settings})
        if answer.get("full"):
            return answer
        return {**answer, "session": session}

    @server_function(training_lane)
    def live_train(payload: Json) -> Json:
        session = payload.get("session")
        if not isinstance(session, str) or len(session) > 64:
            return {"lost": True}
        return answered(
            {
                "session": session,
                "steps": integer(payload.get("steps"), 1, MAX_STEPS, 1),
                "seconds": SECONDS,
            }
        )

    return [live_start, live_train]
