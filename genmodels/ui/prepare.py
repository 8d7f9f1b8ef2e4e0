"""Prepare the first page of every tab from the built-in models: `python -m genmodels.ui.prepare`."""

from __future__ import annotations

import sys

from .. import zoo
from ..errors import UserError
from . import first_page
from .models import KINDS_SHOWN, ModelStore, weights_digest
from .suite import TABS


def main() -> int:
    """Write the files and say which; 1 if a built-in model is missing."""
    store = ModelStore()
    store.load()
    failed = any(model.reason for model in store.models.values())
    for tab, (_, _, module) in TABS.items():
        try:
            page = module.first_page(store)
        except UserError as error:
            print(f"{tab}: {error}", file=sys.stderr)
            failed = True
            continue
        page["weights"] = {
            model.name: weights_digest(zoo.model_folder(model.name))
            for model in store.models.values()
            if model.kind in KINDS_SHOWN[tab] and model.reason is None
        }
        first_page.write(tab, page)
        print(f"{tab}: {sum(f.stat().st_size for f in (first_page.FOLDER / tab).iterdir()):,} bytes")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
