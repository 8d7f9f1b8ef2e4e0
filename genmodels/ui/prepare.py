"""Prepare the first page of every tab from the built-in models: `python -m genmodels.ui.prepare`."""

from __future__ import annotations

import sys

from ..errors import UserError
from . import classes, first_page, live, map, pair, real_or_fake, samples
from .models import CLASSES, GAN_KINDS, MAP, SAMPLES, ModelStore, weights_digest

# Folder of a page, what makes it, and the kinds of models that it shows.
PAGES = {
    "map": (map.first_page, (MAP,)),
    "pair": (pair.first_page, pair.PAIR),
    "samples": (samples.first_page, (SAMPLES,)),
    "classes": (classes.first_page, (CLASSES,)),
    "real_or_fake": (real_or_fake.prepared_page, GAN_KINDS),
    "live": (lambda store: live.first_page(), ()),
}


def main() -> int:
    """Write the files and say which; 1 if a built-in model is missing."""
    store = ModelStore()
    store.load(further=False)
    failed = any(model.reason for model in store.models.values())
    for name, (make, kinds) in PAGES.items():
        try:
            page = make(store)
        except UserError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = True
            continue
        models = [store.models[kind] for kind in kinds if store.models[kind].reason is None]
        page["weights"] = {model.name: weights_digest(model.folder) for model in models if model.folder}
        first_page.write(name, page)
        print(
            f"{name}: {sum(f.stat().st_size for f in (first_page.FOLDER / name / first_page.FIRST).iterdir()):,} bytes"
        )
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
