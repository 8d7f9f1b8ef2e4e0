"""The settings of a run: a typed dataclass, whose fields are the flags of a script and the arguments of `train`."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import os
import re
import reprlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, NoReturn, Self, get_args, get_origin, get_type_hints

from ..errors import FLAGS, UserError
from ..flags import explain, suggestion
from ..images import parse_colour
from .trackers import TRACKERS, check_trackers

# The groups of --help, in their order.
GROUPS = (
    *("", "model", "objective", "latents", "stabilisers", "few images", "data", "run"),
    *("checkpoints and logs", "samples, monitor and validation"),
)


# How far numbers without a limit of their own may go: what torch, NumPy and TensorBoard all take.
MOST = 2**31 - 1


@dataclass(frozen=True)
class Setting:
    """What there is to say of a field besides its type and its default.

    Attributes:
        help: of the flag; the default is added to it.
        group: in --help.
        low, high: of a number, or of each number of a list.
        choices: if there are only so many.
        metavar: what stands for the value in --help.
        const: the value of the flag without one.
        check: raises UserError for what is wrong with a value in some other way.
        source: of whoever proposed it: an arXiv id or an address.
    """

    help: str = ""
    group: str = ""
    low: float | None = None
    high: float | None = None
    choices: Sequence[Any] | None = None
    metavar: str | None = None
    const: Any = None
    check: Callable[[Any], Any] | None = None
    source: str = ""

    def wanted(self, kind: type) -> str:
        """What a value must be."""
        if kind is bool:
            return "True or False"
        what = {int: "an integer", float: "a number"}.get(kind, "text")
        if self.low is None:
            return what
        return f"{what} of at least {self.low}" if self.high is None else f"{what} from {self.low} to {self.high}"

    def checked(self, kind: type, value: Any) -> Any:
        """One value, a number as Python's own; raises ValueError with what it must be, or UserError with what is wrong."""
        if kind is bool:
            fits = isinstance(value, bool)
        elif kind in (int, float):
            fits = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
            low, high = (-MOST if self.low is None else self.low), (MOST if self.high is None else self.high)
            if fits and self.high is None and value > MOST:
                raise ValueError(f"must be {self.wanted(kind)} and at most {MOST}")
            fits = fits and low <= value <= high
        else:
            fits = isinstance(value, str | os.PathLike) or (
                isinstance(value, Integral) and not isinstance(value, bool) and abs(int(value)) < 2**63
            )
        if not fits:
            raise ValueError(f"must be {self.wanted(kind)}")
        value = os.fspath(value) if isinstance(value, os.PathLike) else kind(value)
        if kind is str:
            refuse_unwritable(value)
        if self.check:
            self.check(value)
        if self.choices and value not in self.choices:
            raise ValueError(f"must be one of {', '.join(map(repr, self.choices))}")
        return value


def setting(default: Any, help: str = "", **options: Any) -> Any:
    """A field of a config that is a flag, too; `options` are those of `Setting`."""
    metadata = {"setting": Setting(help, **options)}
    if isinstance(default, list):
        return field(default_factory=partial(list, default), metadata=metadata)
    return field(default=default, metadata=metadata)


def refuse_unwritable(text: str) -> None:
    """Raise UserError for text that neither files nor checkpoints nor cards nor TensorBoard could take."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(f"{text!a} is no UTF-8: set PYTHONUTF8=1, or rename what it stands for") from None
    if "\0" in text:
        raise UserError(f"{text!r} has a null character: leave it out")


def refuse_fp16(precision: str) -> None:
    """Raise UserError for the one precision that training here is not sound in."""
    if precision == "fp16":
        raise UserError("fp16 overflows in gradient penalties and is slow on CPUs: give bf16 or no")


def told(value: Any) -> str:
    """A value as Python writes it, as far as it does: not an integer of thousands of digits."""
    try:
        return repr(value)
    except ValueError:
        return "more digits than Python writes"


def types_of(config: type[TrainingConfig]) -> dict[str, tuple[type, bool, bool]]:
    """Of each field the type, whether it is a list of those, and whether it may be None."""
    found = {}
    for name, hint in get_type_hints(config).items():
        if get_origin(hint) is ClassVar:
            continue
        choices = [kind for kind in get_args(hint) or (hint,) if kind is not type(None)]
        optional = type(None) in get_args(hint)
        kind = choices[0] if optional else hint
        many = get_origin(kind) is list
        found[name] = (get_args(kind)[0] if many else kind, many, optional)
    return found


SAMPLES = "of a folder chosen at random by --seed, else the first"
CHANNELS = "1: grey, 3: colour, 4: and transparency (default: 3 if any of the first 256 images has channels for it)"
FALLING = "linear, cosine and, from the middle on, trapezoid fall to 0 at the last step"
SCHEDULES = ("constant", "linear", "cosine", "trapezoid", "exponential")
PRECISIONS = ("auto", "no", "bf16")
PRETRAINED = "a built-in model, a folder or a Hub id, whose networks must be those of these flags"

data = partial(setting, group="data")
run = partial(setting, group="run")
saving = partial(setting, group="checkpoints and logs")
watching = partial(setting, group="samples, monitor and validation")
model = partial(setting, group="model")
objective = partial(setting, group="objective")


@dataclass(kw_only=True)
class TrainingConfig:
    """The settings that all scripts share, named as in the diffusers examples.

    A script's own config inherits from this one and adds fields; a field that it only gives another default needs no
    `setting`. Every value is checked as the config is made.

    Raises:
        UserError: a value of the wrong type or out of range, or values that do not go together.
    """

    # What the values of --preset change in the defaults, and which fields of this class a script has no use for.
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {}
    ABSENT: ClassVar[tuple[str, ...]] = ()

    dataset_name: str = data("ylecun/mnist", "Hub id, folder, .zip, .tar or parquet file; or zoo:mnist-sample")
    dataset_config_name: str | None = data(None, "configuration of the dataset, if it has several")
    dataset_revision: str | None = data(None, "commit, branch or tag on the Hub (default: main)", metavar="REVISION")
    split: str = data("train")
    max_train_samples: int | None = data(None, f"use only so many images: {SAMPLES} (default: all)", low=1, metavar="N")
    image_column: str | None = data(None, "by default found by its type")
    label_column: str | None = data(None, "text, integers or booleans (default: declared classes, or the folders)")
    classes: list[str] | None = data(None, "keep only these classes (default: all)", metavar="NAME")
    resolution: int | None = data(None, "side of the images in pixels, 16 to 128 (default: their own, if square)")
    fit: str = data("crop", "how images become square", choices=("crop", "pad", "stretch"))
    num_channels: int | None = data(None, CHANNELS, choices=(1, 3, 4))
    background: str = data("black", "behind transparent parts: a colour such as white or #ff8000", check=parse_colour)
    skip_unreadable: bool = data(False, "leave out images that cannot be read, and say which (default: the run ends)")
    random_flip: bool | None = data(None, "mirror at random (default: below 10,000 images, but for letters and digits)")
    shuffle_buffer: int = data(10_000, "rows; fewer if they have more than 0.5 GB", low=0)
    dataloader_num_workers: int = data(1, low=0)
    cache_gb: float = data(2.0, "keep the decoded images if they fit into so many GB of memory", low=0, high=1024)

    output_dir: str = run("runs/model")
    # Each process adds its rank, and NumPy takes 32 bits.
    seed: int = run(0, low=0, high=2**31 - 1)
    max_train_steps: int = run(10_000, low=1)
    num_train_epochs: int | None = run(None, "so many passes over the images, in place of steps", low=1, metavar="N")
    train_batch_size: int = run(64, "per process", low=2)
    gradient_accumulation_steps: int = run(1, "batches whose mean gradient makes one step", low=1)
    lr_scheduler: str = run("constant", f"{FALLING}; exponential to a tenth", choices=SCHEDULES)
    lr_warmup_steps: int = run(0, low=0)
    ema_decay: float = run(0.999, "of the saved weights, an exponential moving average", low=0, high=0.999999)
    mixed_precision: str = run("auto", "auto: bf16 where the machine has it", choices=PRECISIONS, check=refuse_fp16)
    pretrained_model_name_or_path: str | None = run(None, f"start from its weights: {PRETRAINED}", metavar="MODEL")
    dry_run: bool = run(False, "check everything, print the settings and sizes, and stop")

    checkpointing_steps: int = saving(1000, low=1)
    checkpoints_total_limit: int = saving(2, "older ones are removed", low=1)
    resume_from_checkpoint: str | None = saving(None, "go on from a checkpoint", metavar="latest|FOLDER")
    logging_steps: int = saving(20, "steps between log lines", low=1)
    report_to: list[str] = saving(["tensorboard"], "besides metrics.jsonl (default: tensorboard)", choices=TRACKERS)
    push_to_hub: bool = saving(False, "upload the result; needs HF_TOKEN or `hf auth login`")
    hub_model_id: str | None = saving(None, "where to (default: your name and the folder's)", metavar="NAME/MODEL")
    hub_private: bool = saving(False, "only you, or the organization, can see it")
    hub_strategy: str = saving("end", "every_save: checkpoints too, to last-checkpoint/", choices=("end", "every_save"))

    sample_steps: int = watching(500, "steps between grids, the frames of the film", low=1)
    monitor_steps: int = watching(
        250, "steps between looks for mode collapse, memorising and the like; 0: never", low=0
    )
    validation_steps: int = watching(
        1000, "steps between FIDs, which choose the weights where the evaluator knows such images; 0: never", low=0
    )

    # No flags: the script's name, for its checkpoints and its messages, and the command that does the same, for the card.
    script: str = field(default="train.py", repr=False)
    command: str = field(default="", repr=False)
    # How the messages of the run are put into words.
    spoken: Callable[[str], str] = field(default=str, repr=False)

    def __init_subclass__(cls, **options: Any) -> None:
        """Let `name: type = value` in a subclass keep what is known of the field."""
        super().__init_subclass__(**options)
        for name in inspect.get_annotations(cls):
            value = cls.__dict__.get(name)
            inherited = cls.settings().get(name)
            if inherited and not hasattr(value, "metadata"):
                setattr(cls, name, setting(value, **vars(inherited)))

    def __post_init__(self) -> None:
        kinds = types_of(type(self))
        for name, known in self.settings().items():
            (kind, many, optional), value = kinds[name], getattr(self, name)
            if value is None and optional:
                continue
            values = value if many and isinstance(value, list | tuple) else [value]
            if many and not isinstance(value, list | tuple | str | os.PathLike | Real):
                raise UserError(f"`{name}` must be a list, got {reprlib.repr(value)}.")
            if not values:
                raise UserError(f"`{name}` must hold at least one value, got {value!r}: leave it out for its default.")
            try:
                checked = [known.checked(kind, one) for one in values]
            except UserError as error:
                raise UserError(f"`{name}`: {error}.") from None
            except ValueError as error:
                raise UserError(f"`{name}` {error}, got {told(value)}.") from None
            if many and len(checked) > 1 and "none" in checked and "none" in (known.choices or ()):
                raise UserError(f"`{name}`: 'none' stands alone, got {value!r}.")
            if not many and checked[0] == "":
                raise UserError(f"`{name}` must not be empty: leave it out for its default.")
            setattr(self, name, checked if many else checked[0])
        self.check()

    def check(self) -> None:
        """Raise UserError if values do not go together; a script's own config adds to it."""
        if self.resolution is not None and not 16 <= self.resolution <= 128:
            raise UserError(f"--resolution must be from 16 to 128, got {self.resolution}.")
        if not self.push_to_hub:
            because = "says where or how to push: add --push_to_hub, or leave it out"
            self.refuse(because, "hub_model_id", "hub_private", "hub_strategy")
        check_trackers(self.report_to)

    @property
    def batches_per_step(self) -> int:
        """How many times --train_batch_size images a step takes."""
        return 1

    def reading(self) -> dict[str, Any]:
        """How the data is read, as arguments of `load_images`."""
        names = ["source", "config_name", "revision", "sample_size", "split", "image_column", "label_column", "classes"]
        names += ["fit", "num_channels", "background", "skip_unreadable"]
        # Only some scripts have use for attributes.
        more = {"attributes": getattr(self, "attributes", None)}
        return {name: getattr(self, FLAGS.get(name, name)) for name in names} | more

    def refuse(self, because: str, *names: str) -> None:
        """Raise UserError if one of these, which do nothing here, is not at its default: `because` says why, and what to do."""
        defaults = self.defaults(vars(self))
        for name in names:
            if getattr(self, name) != defaults[name]:
                raise UserError(f"--{name} {because}.")

    def wrong(self, text: str) -> NoReturn:
        """Raise UserError: for `check`."""
        raise UserError(text)

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """The fields that are flags."""
        known: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            known |= base.__dict__.get("__dataclass_fields__", {})
        known = {name: f for name, f in known.items() if name not in cls.ABSENT}
        return {name: f.metadata["setting"] for name, f in known.items() if "setting" in f.metadata}

    @classmethod
    def defaults(cls, chosen: dict[str, Any]) -> dict[str, Any]:
        """Every default, beside what is chosen: a preset changes some."""
        own = {f.name: f.default_factory() if callable(f.default_factory) else f.default for f in fields(cls)}
        preset = chosen.get("preset", own.get("preset"))
        return own | (cls.PRESETS.get(preset, {}) if isinstance(preset, str) else {})

    @classmethod
    def resolve(cls, chosen: dict[str, Any], **more: str) -> Self:
        """The config of what is chosen; all else is at its default.

        Raises:
            UserError: there is no such setting, or see `TrainingConfig`.
        """
        known = list(cls.settings())
        for name in chosen:
            if name not in known:
                near = suggestion(name, known)
                raise UserError(f"There is no argument `{name}`: {near or '--dry_run prints them all.'}")
        return cls(**{**cls.defaults(chosen), **chosen, **more})

    @classmethod
    def parse(cls, words: Sequence[str], *, prog: str | None = None, **more: str) -> Self:
        """The config of a command line; `more` are fields that are no flags.

        Raises:
            UserError: words that are no flags or no UTF-8, or see `TrainingConfig`.
        """
        for word in words:
            try:
                refuse_unwritable(word)
            except UserError as error:
                raise UserError(f"On the command line {error}.") from None
        return cls.resolve(vars(cls.parser(prog).parse_args(words)), **more)

    @classmethod
    def parser(cls, prog: str | None = None) -> argparse.ArgumentParser:
        """Its flags, those of the script first."""
        parser = argparse.ArgumentParser(
            prog=prog,
            description=sys.modules[cls.__module__].__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            argument_default=argparse.SUPPRESS,
        )

        def refuse(message: str) -> NoReturn:
            raise UserError(f"{explain(parser, message)} (--help shows all flags)")

        # In place of the usage of 60 lines.
        parser.error = refuse  # type: ignore[method-assign]
        known, defaults, kinds = cls.settings(), cls.defaults({}), types_of(cls)
        groups = {group: parser.add_argument_group(group) if group else parser for group in GROUPS}
        for name, flag in known.items():
            groups[flag.group].add_argument(f"--{name}", **options_of(flag, *kinds[name], defaults[name]))
        return parser


def options_of(flag: Setting, kind: type, many: bool, optional: bool, default: Any) -> dict[str, Any]:
    """argparse's options of a flag."""
    shown = "" if default is None or default is False or "default" in flag.help else f"(default: {default})"
    options: dict[str, Any] = {"help": f"{flag.help} {shown}".strip().replace("%", "%%")}
    if kind is bool:
        return {**options, "action": argparse.BooleanOptionalAction if optional else "store_true"}

    def parse(text: str) -> Any:
        value: Any = text
        if kind is int and re.fullmatch(r"[+-]?\d{1,1000}", text):
            value = int(text)
        elif kind is float and re.fullmatch(r"[-+\w.]+", text):
            with contextlib.suppress(ValueError):
                value = float(text)
        try:
            # Of choices argparse itself names all.
            return value if flag.choices and value not in flag.choices and not flag.check else flag.checked(kind, value)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}, got {text!r}") from None

    options |= {"type": parse, "choices": flag.choices, "metavar": flag.metavar}
    if many:
        options["nargs"] = "+"
    elif flag.const is not None:
        options |= {"nargs": "?", "const": flag.const}
    return options
