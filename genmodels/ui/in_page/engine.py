"""onnxruntime-web, the engine of the page: brought by npm once, kept for the user, and never fetched by a page elsewhere."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ...errors import UserError

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
# What a page needs of it, and their sha256: WebAssembly alone. With WebGPU its two files are 6.62 MB as gzip and not 3.68,
# for networks of which all but the flow's take a core 1 to 30 ms a pass, and graphics cards add up in orders of their own, while
# the page promises torch's pictures.
FILES = {
    "ort.wasm.bundle.min.mjs": "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
# What npm may take.
SECONDS = 600


def cache_folder() -> Path:
    """Where files for pages are kept between builds: below $XDG_CACHE_HOME, by default ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genmodels"


def is_engine(folder: Path) -> bool:
    """Whether a folder holds the engine's files, whole and of the pinned version."""
    return all(
        (folder / name).is_file() and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for name, digest in FILES.items()
    )


def bring_engine(folder: Path) -> Path:
    """Put the engine's files into a folder, which is made if it is not there; npm brings them if they are not kept yet.

    Returns:
        The folder.

    Raises:
        UserError: there is no npm, it cannot bring the package, or the folder cannot be written.
    """
    kept = cache_folder() / f"{PACKAGE}-{VERSION}"
    try:
        if not is_engine(folder):
            if not is_engine(kept):
                _pack(kept)
            if folder != kept:
                folder.mkdir(parents=True, exist_ok=True)
                for name in FILES:
                    shutil.copyfile(kept / name, folder / name)
    except OSError as error:
        raise UserError(f"The engine's files cannot be written: {error}.") from error
    return folder


def _pack(folder: Path) -> None:
    """Let npm fetch the package, and keep what pages need of it."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"There is no npm, which brings {PACKAGE}, the page's engine: install Node.js, and try again.")
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", temporary]
        try:
            done = subprocess.run(
                command, cwd=temporary, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(f"npm took longer than {SECONDS} s to bring {PACKAGE}: try again later.") from error
        archives = list(Path(temporary).glob("*.tgz"))
        if done.returncode or not archives:
            lines = done.stderr.strip().splitlines() or ["it says nothing"]
            raise UserError(
                f"npm does not bring {PACKAGE} {VERSION}: {lines[-1]}. Check the network, and try again later."
            )
        with tarfile.open(archives[0]) as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            files = {name: archive.extractfile(members[name]) for name in FILES if name in members}
            data = {name: file.read() for name, file in files.items() if file is not None}
    if any(hashlib.sha256(data.get(name, b"")).hexdigest() != digest for name, digest in FILES.items()):
        raise UserError(f"npm brought another {PACKAGE} {VERSION} than the one that was tested: it is not used.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in data.items():
        # Whole or not at all: another build may read beside.
        half = folder / f".{name}.{os.getpid()}"
        half.write_bytes(content)
        half.replace(folder / name)
