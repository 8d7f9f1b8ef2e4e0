"""What must not be published with a model: tokens, and the paths, people and hosts of the machine it was made on.

Imports nothing heavy: cards and training alike use it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

HUB_ID = re.compile(r"(?!\.)[\w.-]+/[\w.-]+")
# What a local path begins with: a root, a home, the folder above, a Windows drive or share, a file URL.
LOCAL = r"(?:/(?=\S)|~[\w.-]*(?=[/\\]|$)|\.\.(?=[/\\]|$)|[A-Za-z]:[\\/]|\\\\|file:)"
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY")
SECRET = r"[\w-]*(?:token|api_?key|secret|password)"
END = r"[^\s'\"`)|<>]*"

REPLACEMENTS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b(?:hf|api_org)_[A-Za-z0-9]{4,}", "TOKEN"),
        (rf"(?i)(\b{SECRET})=[^\s'\"]+", r"\1=TOKEN"),
        (rf"(?i)(--{SECRET}) +(?!-)[^\s'\"]+", r"\1 TOKEN"),
        # A quoted path may hold spaces.
        (rf"(['\"]){LOCAL}[^'\"\n]*\1", "PATH"),
        (rf"\bfile:/+{END}", "PATH"),
        (rf"(?<![\w~])~[\w.-]*[/\\]{END}", "PATH"),
        (rf"(?<!\w)[A-Za-z]:[\\/]{END}", "PATH"),
        (rf"(?<![\w\\])\\\\[\w.-]+\\{END}", "PATH"),
        (rf"(?<![\w.])\.\.[/\\]{END}", "PATH"),
        # Two names at least, and not the rest of an address or of a relative path.
        (rf"(?<![\w.:/~<\\-])/[\w.@+-]+/{END}", "PATH"),
        (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*", "USER@HOST"),
    )
]


def redact(text: str) -> str:
    """`text` with tokens, local paths and user@host replaced by TOKEN, PATH and USER@HOST."""
    for variable in TOKEN_VARIABLES:
        if len(value := os.environ.get(variable, "")) > 4:
            text = text.replace(value, "TOKEN")
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def redact_argument(word: str) -> str:
    """One word of a command line, redacted: of a local path nothing is left, not even its spaces."""
    name, equals, value = word.partition("=")
    if equals and re.match(LOCAL, value):
        return f"{redact(name)}=PATH"
    return "PATH" if re.match(LOCAL, word) else redact(word)


def redact_values(data):
    """JSON data with every string in it redacted."""
    if isinstance(data, dict):
        return {key: redact_values(value) for key, value in data.items()}
    if isinstance(data, list):
        return [redact_values(value) for value in data]
    return redact(data) if isinstance(data, str) else data


def public_name(source: str) -> str | None:
    """A dataset's or model's name if others find it under that name: a Hub id or a built-in one; None for a local folder."""
    if Path(source).exists():
        return None
    return source if HUB_ID.fullmatch(source) or re.fullmatch(r"(zoo:)?[\w-]+", source) else None
