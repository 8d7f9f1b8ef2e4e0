"""The one door for data: a Hub id, a folder, a file or a built-in sample in, checked batches out.

Names resolve on first use, so that the listing of folders loads without torch and `datasets`.
"""

from importlib import import_module

_HOMES = {"ImageStream": "stream", "load_images": "stream"}

__all__ = list(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'genmodels.data' has no attribute {name!r}")
    return getattr(import_module(f"genmodels.data.{_HOMES[name]}"), name)
