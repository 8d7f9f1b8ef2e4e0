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

# What opens somebody's account or machine, by what it is. Of each the fixed beginning and as much as tells it from a word.
SECRETS = {
    "a token for the Hub": r"(?<![A-Za-z0-9])(?:hf|api_org)_(?:oauth_)?(?![xX]{8})[A-Za-z0-9]{30,}",
    "a GitHub token": r"(?<![A-Za-z0-9])(?:gh[opsru]_(?![xX]{8})[A-Za-z0-9]{20,}|github_pat_(?![xX]{8})\w{20,})",
    "an API key": (
        r"(?<![A-Za-z0-9])(?:sk-(?:[A-Za-z0-9]{20,}|(?:admin|ant|or|proj|svcacct)-[\w-]{20,})|glpat-[\w-]{20,}|AIza[\w-]{35}|xox[abeoprs]-[\w-]{10,}"
        r"|npm_[A-Za-z0-9]{36}|r8_[A-Za-z0-9]{36}|dckr_pat_[\w-]{20,}|pypi-[\w-]{50,}|ya29\.[\w-]{40,}|hooks\.slack\.com/services/[\w/]{30,}"
        r"|GOCSPX-[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{32,}|do[opr]_v1_[0-9a-f]{64}|dapi[0-9a-f]{32}"
        r"|discord(?:app)?\.com/api/webhooks/\d+/[\w-]{40,}|AccountKey=[A-Za-z0-9+/]{60,}"
        r"|[rs]k_live_[A-Za-z0-9]{20,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
    ),
    "a key for Weights & Biases": (
        r"(?i:wandb_v\d_\w{20,}|wandb(?:[^\n]{0,40}(?:key|login|token)|\.ai\s[\s\S]{0,60}?password)?[^\w\n]{1,6}[0-9a-f]{40})(?![0-9a-f])"
    ),
    "an AWS key": (
        r"(?<![A-Z0-9])A(?:KIA|SIA)[A-Z0-9]{16}(?![A-Z0-9])"
        r"|(?i:aws_?(?:secret_?)?(?:access_?)?key)[^\w\n/+]{1,6}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])"
    ),
    "a private key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY|PuTTY-User-Key-File-\d|AGE-SECRET-KEY-1[A-Z0-9]{20}",
}
# What its name, or its place in an address, says to be one.
NAMED = (
    r"(?m:^[ \t]*(?:export[ \t]+)?[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD)=['\"]?(?=[^\s'\"]*\d)[A-Za-z0-9+/_=-]{16,})"
    r"|\b[a-z][a-z0-9+.-]*://[\w.-]+:(?!\w*(?:password|token|secret|xxx))[\w.~!*-]{8,}@"
)
SECRET_PATTERNS = {
    what: re.compile(pattern, re.ASCII) for what, pattern in {**SECRETS, "a password or key": NAMED}.items()
}
OWN_PATH = "the path of your home folder"
# x for a printable character of ASCII or white space.
IS_WRITTEN = bytes(ord("x") if i in b"\t\n\r" or 0x20 <= i < 0x7F else ord(" ") for i in range(256))
SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:token|api_?key|secret|password|credentials?)(?:_|$)")

REPLACEMENTS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\b(?:hf|api_org)_[A-Za-z0-9]{4,}", "TOKEN"),
        *((pattern, "TOKEN") for pattern in SECRETS.values()),
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


def find_secret(data: str | bytes, token: str | None = None) -> str | None:
    """What must stay secret in a text or in a file's bytes, in words; None if nothing is seen.

    Args:
        data: a text, or bytes, of which is looked at what is written in them as ASCII.
        token: one to look for, beside what looks like one and what the environment's variables of such names hold.
    """
    # Every other byte of UTF-16 is ASCII.
    text = data if isinstance(data, str) else "\n".join(map("\n".join, map(written_in, (data, data[::2], data[1::2]))))
    known = [value for name, value in os.environ.items() if SECRET_NAME.search(name) and len(value) >= 12]
    home = os.path.expanduser("~")
    if len(Path(home).parts) > 2 and re.search(rf"{re.escape(home)}(?![\w.-])", text):
        return OWN_PATH
    for value in (*known, *([token] if token else [])):
        if value in text and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text):
            return "a token of yours"
    return next((what for what, pattern in SECRET_PATTERNS.items() if pattern.search(text)), None)


def written_in(data: bytes) -> list[str]:
    """The pieces of a file's bytes that read as text, of 16 characters or more: no secret is shorter."""
    mask, runs, end = data.translate(IS_WRITTEN), [], 0
    while (start := mask.find(b"x" * 16, end)) >= 0:
        end = mask.find(b" ", start)
        end = len(data) if end < 0 else end
        runs.append(data[start:end].decode("ascii"))
    return runs


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
