"""Prepare the first page of every tab from the built-in models: `python -m genmodels.ui.prepare`."""

from __future__ import annotations

import sys

from .. import zoo
from ..errors import UserError
from . import classes, first_page, map, real_or_fake, samples
from .models import KINDS, ModelStore, weights_digest

TABS = {"map": map, "samples": samples, "classes": classes, "real_or_fake": real_or_fake}


def main() -> int:
    """Write the files and say which; 1 if a built-in model is missing."""
    store = ModelStore()
    store.load()
    failed = any(model.reason for model in store.models.values())
    for tab, module in TABS.items():
        try:
            page = module.first_page(store)
        except UserError as error:
            print(f"{tab}: {error}", file=sys.stderr)
            failed = True
            continue
        page["weights"] = {
            model.name: weights_digest(zoo.model_folder(model.name))
            for model in (store.models[kind] for kind in KINDS)
            if model.kind in module.KINDS_SHOWN and model.reason is None
        }
        first_page.write(tab, page)
        print(f"{tab}: {sum(f.stat().st_size for f in (first_page.FOLDER / tab).iterdir()):,} bytes")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
