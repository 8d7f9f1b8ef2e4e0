"""Networks and nothing else: one file per family. Each class is imported on first use."""

from ..families import NETWORK_HOMES, load_name

__all__ = list(NETWORK_HOMES)


def __getattr__(name: str):
    return load_name(name, NETWORK_HOMES, __name__)
