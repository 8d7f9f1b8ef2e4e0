"""The Training tab's third view: whether a GAN has learned its training images by heart."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from .. import Json
from ..admission import normal_lane
from ..inputs import one_of, seed_of, server_function
from ..models import CLASSES, GAN_KINDS, Model, ModelStore, RealImages
from ..pictures import sheet_uri, to_bytes
from ..snippets import GRID, PIL, head, neighbors_dataset, real_lines, spaced_indices_code

# Images of each side that are measured, those of them that are shown, and the training images beside each.
COUNT, SHOWN, NEAREST = 200, 6, 5
FIRST_SEED = 0


class Memory:
    """Distances to the nearest training image, of generated and of test images.

    Args:
        store: where models and real images come from.
    """

    def __init__(self, store: ModelStore):
        self.store = store
        self._of_test: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def of_test(self, kind: str, real: RealImages) -> np.ndarray:
        """Distances of test images to the nearest training image of a model."""
        with self._lock:
            if kind not in self._of_test:
                chosen = np.linspace(0, len(real.test) - 1, min(COUNT, len(real.test))).astype(int)
                self._of_test[kind] = real.nearest(real.test[chosen], 1)[1][:, 0]
            return self._of_test[kind]

    def check(self, kind: str, seed: int) -> Json:
        """Both sides' distances, and the generated images nearest to any training image beside those.

        Raises:
            UserError: the model cannot be used, or there are no images to compare with.
        """
        real = self.store.real_images_beside(kind)
        of_test = self.of_test(kind, real)
        images = to_bytes(self.store.pipe(kind)(num_images=COUNT, seed=seed, output_type="np").images)
        found, distances = real.nearest(images, NEAREST)
        suspects = distances[:, 0].argsort()[:SHOWN]
        rows = [part for i in suspects for part in (images[i : i + 1], real.train[found[i]])]
        return {
            "kind": kind,
            "seed": seed,
            "size": images.shape[1],
            "generated": rounded(distances[:, 0]),
            "test": rounded(of_test),
            "sheet": sheet_uri(np.concatenate(rows), NEAREST + 1),
            "distances": [rounded(distances[i]) for i in suspects],
            "train": len(real.train),
            "code": program(self.store.models[kind], real, COUNT, seed, SHOWN, NEAREST),
        }


def rounded(values: np.ndarray) -> list[float]:
    """For JSON."""
    return [round(float(v), 4) for v in values]


def program(model: Model, real: RealImages, count: int, seed: int, shown: int, nearest: int) -> str:
    """Distances of generated and of test images to the nearest training image, and the generated ones that come nearest."""
    lines, arguments = neighbors_dataset(model, real)
    return head(model, ["import numpy as np", PIL, GRID], modules=["zoo"]) + (
        f"{lines}images = pipe(num_images={count}, seed={seed}).images\n"
        f"near = pipe.neighbors(images, k={nearest}, {arguments})\n"
        f"{real_lines(model, real, 'real', 'test', spaced_indices_code(real, count))}"
        f"of_real = pipe.neighbors(real, k=1, {arguments}).distances\n"
        'print("median distance:", near.distances[:, 0].median(), "generated,", of_real.median(), "test images")\n'
        f"suspects = near.distances[:, 0].argsort()[:{shown}]\n"
        "pictures = [picture for i in suspects for picture in (images[i], *near.images[i])]\n"
        f'make_image_grid(pictures, rows={shown}, cols={nearest + 1}).save("by-heart.png")\n'
    )


def functions(store: ModelStore) -> list[Callable]:
    """What the view's page may call."""
    memory = Memory(store)

    @server_function(normal_lane)
    def memorised(payload: Json) -> Json:
        seed = seed_of(payload, FIRST_SEED)
        return memory.check(one_of(payload.get("kind"), GAN_KINDS, CLASSES), seed)

    return [memorised]
