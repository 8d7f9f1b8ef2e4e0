"""The files of a dataset, and nothing else: what a dataset names is opened only if it is one of its own.

A row, a card or a list of data files may name any path and any protocol; `datasets` would follow them through fsspec.
"""

from __future__ import annotations

import itertools
import os
import posixpath
import re
import tarfile
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import yaml
from huggingface_hub import HfFileSystem, hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from ..errors import UserError
from ..hub.retries import is_transient, retry
from .columns import trouble
from .metadata import METADATA_NAMES

# How often the Hub is asked for what a dataset consists of; while it streams, `datasets` tries again itself.
HUB_ATTEMPTS = 4
# Where a dataset declares its configurations and data files.
CARD, CARD_DATA = "README.md", ".huggingface.yaml"
# Of a tar archive, to tell what it is by.
FIRST_MEMBERS = 32
OUTSIDE = "only files of the dataset itself are opened"


class DatasetFiles(ABC):
    """The files of one dataset.

    Attributes:
        commit: of a dataset on the Hub; else empty.
    """

    commit = ""
    _place = "of it"

    @abstractmethod
    def text(self, name: str) -> str | None:
        """A file's text; None if there is no such file."""

    @abstractmethod
    def read(self, path: str) -> bytes:
        """The bytes of a file of the dataset.

        Raises:
            UserError: the path leads out of the dataset.
            OSError: there is no such file.
        """

    @abstractmethod
    def has(self, path: str) -> bool:
        """Whether what `datasets` has found as a data file is one of the dataset's own."""

    def check_data_files(self, paths: list[str]) -> None:
        """Raise UserError if `datasets` has found data files that are not the dataset's own."""
        for path in paths:
            if not self.has(path):
                raise self.outside(f"data file {path!r}")

    def outside(self, what: str) -> UserError:
        """The error to raise when the dataset names what is not its own."""
        return UserError(f"The dataset names the {what}, which lies outside {self._place}: {OUTSIDE}.")

    def declared(self) -> dict[str, bool]:
        """The configurations that the dataset's card declares, by name, and whether each is said to be the default.

        Raises:
            UserError: one of them names data files outside of the dataset.
        """
        found: dict[str, bool] = {}
        for name in (CARD, CARD_DATA):
            text = self.text(name)
            if text is None:
                continue
            head = re.match(r"\A---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|\Z)", text, re.DOTALL)
            block = head[1] if head else text if name == CARD_DATA else ""
            try:
                data = yaml.safe_load(block) or {}
            except yaml.YAMLError as error:
                raise UserError(f"The {name} of the dataset is no YAML at its head: repair it.") from error
            configs = data.get("configs") if isinstance(data, dict) else None
            for config in configs if isinstance(configs, list) else []:
                if isinstance(config, dict):
                    for path in _strings([config.get("data_files"), config.get("data_dir")]):
                        check_declared(path, name)
                    found[str(config.get("config_name", "default"))] = bool(config.get("default"))
        return found


class LocalFiles(DatasetFiles):
    """The files of a dataset in a folder of this machine."""

    _place = "of its folder"

    def __init__(self, root: Path):
        self._root = os.path.realpath(root)

    def text(self, name: str) -> str | None:
        path = Path(self._root, name)
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None

    def read(self, path: str) -> bytes:
        refuse_protocols(path)
        real = os.path.realpath(os.path.join(self._root, path))
        if not self.has(real):
            raise self.outside(f"image {path!r}")
        # A pipe or a device would wait for ever.
        if not os.path.isfile(real):
            raise FileNotFoundError(f"there is no file {path}")
        return Path(real).read_bytes()

    def has(self, path: str) -> bool:
        return os.path.abspath(path).startswith(self._root.rstrip(os.sep) + os.sep)


class HubFiles(DatasetFiles):
    """The files of a dataset on the Hub at one commit."""

    def __init__(self, repo_id: str, commit: str):
        self.repo_id, self.commit = repo_id, commit
        self._address = f"hf://datasets/{repo_id}@{commit}/"

    def download(self, name: str) -> str:
        """The path of a copy of a file here.

        Raises:
            UserError: the Hub does not give it.
            EntryNotFoundError: there is no such file.
        """
        try:
            return retry(
                lambda: hf_hub_download(self.repo_id, name, repo_type="dataset", revision=self.commit),
                attempts=HUB_ATTEMPTS,
            )
        except Exception as error:
            if not is_transient(error):
                raise
            raise UserError(f"The dataset {self.repo_id!r} cannot be read: {trouble(error)}.") from error

    def is_webdataset(self, name: str) -> bool:
        """Whether a tar archive has no folders of images, by its first members alone."""

        def first_members() -> list[str]:
            path = f"datasets/{self.repo_id}/{name}"
            with (
                HfFileSystem().open(path, revision=self.commit, block_size=2**20) as file,
                tarfile.open(fileobj=file) as tar,
            ):
                return [
                    member.name.removeprefix("./") for member in itertools.islice(tar, FIRST_MEMBERS) if member.isfile()
                ]

        try:
            members = retry(first_members, attempts=HUB_ATTEMPTS)
        except (tarfile.TarError, EOFError):
            return False
        described = [posixpath.splitext(member) for member in members]
        stems = Counter(stem for stem, _ in described)
        if any(suffix.lower() in (".cls", ".json") and stems[stem] > 1 for stem, suffix in described):
            return True
        return not any("/" in member or member in (*METADATA_NAMES, "dataset.json") for member in members)

    def text(self, name: str) -> str | None:
        try:
            return Path(self.download(name)).read_text(encoding="utf-8", errors="replace")
        except EntryNotFoundError:
            return None

    def read(self, path: str) -> bytes:
        name = path.removeprefix(self._address)
        refuse_protocols(name)
        name = posixpath.normpath(name.replace("\\", "/"))
        if name.startswith(("/", "..")) or name == ".":
            raise self.outside(f"image {path!r}")
        try:
            return Path(self.download(name)).read_bytes()
        except EntryNotFoundError as error:
            raise FileNotFoundError(f"the dataset has no file {name}") from error

    def has(self, path: str) -> bool:
        return path.startswith(self._address) and "::" not in path and ".." not in path.split("/")


class HubFile(NamedTuple):
    """One of them."""

    files: HubFiles
    name: str

    def read(self) -> bytes:
        """Its bytes; see `HubFiles.download`."""
        return Path(self.files.download(self.name)).read_bytes()


def refuse_protocols(path: str) -> None:
    """Raise UserError if a path asks for more than a file, such as "https://..." or "zip://a.png::b.zip"."""
    if "::" in path or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", path) or "\0" in path:
        raise UserError(f"The dataset names the image {path!r}, an address and no file: {OUTSIDE}.")


def check_declared(path: str, card: str) -> None:
    """Raise UserError if a card names data files that are not below it."""
    parts = path.replace("\\", "/").split("/")
    if "::" in path or "://" in path or ":" in parts[0] or ".." in parts or path.startswith(("/", "~", "\\")):
        raise UserError(f"The {card} of the dataset names the data files {path!r}, outside of it: {OUTSIDE}.")


def _strings(value: object) -> list[str]:
    """All strings in lists and mappings, the values of these."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    return [text for inner in value for text in _strings(inner)] if isinstance(value, list) else []
