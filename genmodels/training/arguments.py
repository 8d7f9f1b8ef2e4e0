"""The flags that all training scripts share, named as in the diffusers examples, and their checks."""

from __future__ import annotations

import argparse
import errno
import hashlib
import math
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator

from .. import interrupts
from ..data import ImageStream
from ..errors import UserError, in_flags
from ..flags import explain
from ..images import parse_colour
from ..models.dcgan import UPSAMPLINGS
from ..privacy import redact_argument
from .processes import is_lost_process
from .trackers import check_trackers

MIXED_PRECISIONS = ("auto", "no", "bf16")
CIFAR10 = "uoft-cs/cifar10"
TRACKERS = ("none", "tensorboard", "trackio", "wandb")
# Errors of a full disk, a used-up quota, or a limit on file sizes.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of a pipe whose reader has ended, and of a terminal that is closed.
NOBODY_READS = (errno.EPIPE, errno.EIO)
# The run under way, if any, for `run_main` to save and to close.
RUNS: list = []
# Flags that leave the trained weights and the logged losses as they are.
WITHOUT_EFFECT = {
    "checkpointing_steps",
    "checkpoints_total_limit",
    "dry_run",
    "hub_model_id",
    "hub_private",
    "hub_strategy",
    "logging_steps",
    "monitor_steps",
    # It only sets --max_train_steps.
    "num_train_epochs",
    "output_dir",
    "push_to_hub",
    "report_to",
    "resume_from_checkpoint",
    "sample_steps",
    "skip_unreadable",
}


def at_least(low: int, high: int | None = None) -> Callable[[str], int]:
    """An argparse type: integers from `low` on, or up to `high`."""

    def parse(text: str) -> int:
        value = int(text) if re.fullmatch(r"[+-]?\d+", text) else None
        if value is None or value < low or (high is not None and value > high):
            wanted = f"of at least {low}" if high is None else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"must be an integer {wanted}, got {text!r}")
        return value

    return parse


def in_range(low: float, high: float) -> Callable[[str], float]:
    """An argparse type: numbers from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be a number from {low:g} to {high:g}, got {text!r}")
        return value

    return parse


# An argparse type: of a moving average, which with 1 would never move.
decay = in_range(0, 0.999999)


def background(text: str) -> str:
    """An argparse type: a colour."""
    try:
        parse_colour(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def mixed_precision(text: str) -> str:
    """An argparse type: a precision that training here is sound in."""
    if text == "fp16":
        raise argparse.ArgumentTypeError("fp16 overflows in gradient penalties and is slow on CPUs: give bf16 or no")
    return text


def add_upsampling_argument(group: argparse._ArgumentGroup) -> None:
    """Add the flag of how a generator or decoder doubles its resolution."""
    group.add_argument(
        "--upsampling",
        choices=UPSAMPLINGS,
        default="transposed",
        help="transposed convolutions, or nearest-neighbour upsampling before plain ones, which leaves no checkerboard "
        "(Odena et al. 2016, https://distill.pub/2016/deconv-checkerboard; default: %(default)s)",
    )


def add_headroom_argument(group: argparse._ArgumentGroup) -> None:
    """Add the flag of how much of the tanh's range lies beyond black and white."""
    group.add_argument(
        "--headroom",
        type=in_range(0, 0.5),
        default=0.04,
        metavar="SHARE",
        help="of the tanh's range, beyond black and white, so that pixels reach both; 0 as in the papers (default: %(default)s)",
    )


def add_residual_argument(group: argparse._ArgumentGroup) -> None:
    """Add the flag of how deep a DCGAN's networks are at 4x4 pixels."""
    group.add_argument(
        "--residual_layers",
        type=int,
        choices=range(9),
        default=0,
        metavar="N",
        help="of both networks, at 4x4 pixels, where depth is cheap: 0 to 8 (He et al. 2016, 1512.03385; default: %(default)s)",
    )


def add_fine_argument(group: argparse._ArgumentGroup) -> None:
    """Add the flag of how many layers see every pixel."""
    group.add_argument(
        "--fine_layers",
        type=int,
        choices=range(5),
        default=0,
        metavar="N",
        help="convolutions of both networks at the images' own resolution, 0 to 4: for sharp edges, which one transposed "
        "convolution cannot draw nor one of stride 2 tell from others (default: %(default)s)",
    )


def add_layer_arguments(group: argparse._ArgumentGroup) -> None:
    """Add the flags of how networks of the DCGAN kind are built, beside their widths."""
    add_upsampling_argument(group)
    add_residual_argument(group)
    add_fine_argument(group)
    add_headroom_argument(group)


def depth_of(args: argparse.Namespace) -> dict[str, int]:
    """What `add_layer_arguments` gives both networks."""
    return {"residual_layers": args.residual_layers, "fine_layers": args.fine_layers}


def check_unused(args: argparse.Namespace, parser: argparse.ArgumentParser, flags: Iterable[str], because: str) -> None:
    """Raise UserError if one of these flags, which do nothing here, is not at its default: `because` says why, and what to do."""
    for name in flags:
        if getattr(args, name) != parser.get_default(name):
            raise UserError(f"--{name} {because}.")


def require_classes(data: ImageStream, what: str) -> None:
    """Raise UserError unless there are images of two classes at least, for `what` to learn."""
    if data.num_classes >= 2:
        return
    if data.num_classes == 1:
        here = f"here there is one, {data.class_names[0]!r}"
    elif data.label_columns:
        here = f"none are chosen here: name the column that holds them with --label_column, {' or '.join(data.label_columns)}"
    else:
        here = (
            "there are none here: sort the images into one folder for each class, or give a column with --label_column"
        )
    raise UserError(f"{what} needs labels of at least two classes; {here}.")


def steps_of(epochs: int, data: ImageStream, world_size: int) -> int:
    """How many batches so many passes over the images make, in each of the processes.

    Raises:
        UserError: nobody knows how many images there are.
    """
    count = data.num_images if data.num_images is not None else data.count_labels()
    if count is None:
        raise UserError(
            "How many images there are is not known before they have been read: give --max_train_steps in place of "
            "--num_train_epochs."
        )
    batches = count // world_size // data.batch_size
    # Of fewer images than a batch takes, several passes fill one.
    return epochs * batches or math.ceil(epochs * count / (world_size * data.batch_size))


def layer_papers(args: argparse.Namespace) -> list[str]:
    """The DOI or arXiv id of who proposed the chosen layers, where they are not the usual ones."""
    papers = ["10.23915/distill.00003"] if args.upsampling == "nearest" else []
    return papers + (["1512.03385"] if getattr(args, "residual_layers", 0) else [])


def choose_frogs(args: argparse.Namespace) -> None:
    """Of CIFAR-10 learn the frogs, unless --classes or --conditional ask for others; without --random_flip or
    --no-random_flip its images are mirrored at random, however many there are."""
    cifar10 = args.dataset_name == CIFAR10
    if cifar10 and args.classes is None and not getattr(args, "conditional", False):
        args.classes = ["frog"]
    if cifar10 and args.random_flip is None:
        args.random_flip = True


def add_adam_arguments(group: argparse._ArgumentGroup, *, learning_rate: float, beta1: float, beta2: float) -> None:
    """Add the flags that `adam_pair` reads, with these defaults."""
    group.add_argument("--learning_rate", type=in_range(0, 1), default=learning_rate, help="(default: %(default)s)")
    group.add_argument("--adam_beta1", type=decay, default=beta1, help="(default: %(default)s)")
    group.add_argument("--adam_beta2", type=decay, default=beta2, help="(default: %(default)s)")


def add_common_arguments(
    parser: argparse.ArgumentParser, *, output_dir: str, dataset_name: str, classes: str = "all", draws: bool = True
) -> None:
    """Add the shared flags in groups, with this script's defaults for where it writes and what it reads.

    Args:
        parser: the script's own.
        output_dir, dataset_name: defaults.
        classes: what the script learns without --classes, in words.
        draws: whether the model draws images; else there are no flags for samples, monitor and validation.
    """

    def refuse(message: str) -> NoReturn:
        raise UserError(f"{explain(parser, message)} (--help shows all flags)")

    # In place of the usage of 60 lines.
    parser.error = refuse
    data = parser.add_argument_group("data")
    data.add_argument(
        "--dataset_name",
        default=dataset_name,
        help="Hub id; folder, .zip or .tar of images, whose folders are classes; dataset folder or parquet file; or "
        "zoo:mnist-sample (default: %(default)s)",
    )
    data.add_argument("--dataset_config_name", help="configuration of the dataset, if it has several")
    data.add_argument("--dataset_revision", metavar="REVISION", help="commit, branch or tag on the Hub (default: main)")
    data.add_argument("--split", default="train", help="(default: %(default)s)")
    data.add_argument(
        "--max_train_samples",
        type=at_least(1),
        metavar="N",
        help="use only so many images: of a folder chosen at random by --seed, else the first (default: all)",
    )
    data.add_argument("--image_column", help="by default found by its type")
    data.add_argument(
        "--label_column",
        help="text, integers or booleans (default: a column that declares its classes, or the folders)",
    )
    data.add_argument("--classes", nargs="+", metavar="NAME", help=f"keep only these classes (default: {classes})")
    data.add_argument(
        "--resolution", type=int, help="side of the images in pixels, 16 to 128 (default: their own, if square)"
    )
    data.add_argument("--fit", choices=("crop", "pad", "stretch"), default="crop", help="how images become square")
    data.add_argument(
        "--num_channels",
        type=int,
        choices=(1, 3, 4),
        help="1: grey, 3: colour, 4: colour and transparency (default: 3 if any of the first 256 images has channels for it)",
    )
    data.add_argument(
        "--background",
        type=background,
        default="black",
        help="what transparent parts show: black, white or a colour such as #ff8000 (default: %(default)s)",
    )
    data.add_argument(
        "--skip_unreadable",
        action="store_true",
        help="leave out images that cannot be read, and say which (default: the first of them ends the run, with a checkpoint)",
    )
    data.add_argument(
        "--random_flip",
        action=argparse.BooleanOptionalAction,
        help="mirror at random (default: where there are fewer than 10,000 images, unless their classes are letters or digits)",
    )
    data.add_argument(
        "--shuffle_buffer",
        type=at_least(0),
        default=10_000,
        help="rows; fewer if they have more than 0.5 GB (default: %(default)s)",
    )
    data.add_argument("--dataloader_num_workers", type=at_least(0), default=1, help="(default: %(default)s)")
    data.add_argument(
        "--cache_gb",
        type=in_range(0, 1024),
        default=2.0,
        help="keep the decoded images if they fit into so many GB of memory (default: %(default)s)",
    )

    run = parser.add_argument_group("run")
    run.add_argument("--output_dir", default=output_dir, help="(default: %(default)s)")
    # Each process adds its rank, and NumPy takes 32 bits.
    run.add_argument("--seed", type=at_least(0, 2**31 - 1), default=0, help="(default: %(default)s)")
    run.add_argument("--max_train_steps", type=at_least(1), default=10_000, help="(default: %(default)s)")
    run.add_argument(
        "--num_train_epochs",
        type=at_least(1),
        metavar="N",
        help="train for so many passes over the images, whatever --max_train_steps says",
    )
    run.add_argument("--train_batch_size", type=at_least(2), default=64, help="per process (default: %(default)s)")
    run.add_argument(
        "--gradient_accumulation_steps",
        type=at_least(1),
        default=1,
        help="batches whose mean gradient makes one step: for more than fits into memory (default: %(default)s)",
    )
    run.add_argument(
        "--lr_scheduler",
        choices=("constant", "linear", "cosine", "trapezoid", "exponential"),
        default="constant",
        help="linear, cosine and, from the middle on, trapezoid fall to 0 at the last step; exponential to a tenth "
        "(default: %(default)s)",
    )
    run.add_argument("--lr_warmup_steps", type=at_least(0), default=0, help="(default: %(default)s)")
    run.add_argument(
        "--ema_decay",
        type=decay,
        default=0.999,
        help="of the saved weights, an exponential moving average (default: %(default)s)",
    )
    run.add_argument(
        "--mixed_precision",
        type=mixed_precision,
        choices=MIXED_PRECISIONS,
        default="auto",
        help="auto takes bf16 where the hardware has it (default: %(default)s)",
    )
    if draws:
        run.add_argument(
            "--pretrained_model_name_or_path",
            metavar="MODEL",
            help="start from the weights of a built-in model, a folder or a Hub id, in place of random ones; its networks must "
            "be those of these flags",
        )
    run.add_argument("--dry_run", action="store_true", help="check everything, print the settings and sizes, and stop")

    saving = parser.add_argument_group("checkpoints and logs")
    saving.add_argument("--checkpointing_steps", type=at_least(1), default=1000, help="(default: %(default)s)")
    saving.add_argument(
        "--checkpoints_total_limit", type=at_least(1), default=2, help="older ones are removed (default: %(default)s)"
    )
    saving.add_argument("--resume_from_checkpoint", metavar="latest|FOLDER", help="go on from a checkpoint")
    saving.add_argument(
        "--logging_steps", type=at_least(1), default=20, help="steps between log lines (default: %(default)s)"
    )
    saving.add_argument(
        "--report_to",
        nargs="+",
        choices=TRACKERS,
        default=["tensorboard"],
        help="trackers beside metrics.jsonl; trackio and wandb are packages of their own (default: tensorboard)",
    )
    saving.add_argument(
        "--push_to_hub", action="store_true", help="upload the result; needs HF_TOKEN or `hf auth login`"
    )
    saving.add_argument("--hub_model_id", metavar="NAME/MODEL", help="where to (default: your name and the folder's)")
    saving.add_argument("--hub_private", action="store_true", help="only you, or the organization, can see it")
    saving.add_argument(
        "--hub_strategy",
        choices=("end", "every_save"),
        default="end",
        help="every_save uploads checkpoints too, in the background, to last-checkpoint/ (default: %(default)s)",
    )
    if not draws:
        parser.set_defaults(sample_steps=0, monitor_steps=0, validation_steps=0, pretrained_model_name_or_path=None)
        return
    watching = parser.add_argument_group("samples, monitor and validation")
    watching.add_argument(
        "--sample_steps",
        type=at_least(1),
        default=500,
        help="steps between grids, the frames of the film (default: %(default)s)",
    )
    watching.add_argument(
        "--monitor_steps",
        type=at_least(0),
        default=250,
        help="steps between looks for mode collapse, memorising and the like; 0: never (default: %(default)s)",
    )
    watching.add_argument(
        "--validation_steps",
        type=at_least(0),
        default=1000,
        help="steps between measuring FID; the best weights are what is saved. 0: the last ones are (default: %(default)s)",
    )


def parse_arguments(
    parser: argparse.ArgumentParser, presets: dict[str, dict] | None = None, arguments: list[str] | None = None
) -> argparse.Namespace:
    """Parse the command line; a preset sets defaults, which flags override.

    Raises:
        UserError: flags that do not go together or are no UTF-8, or a tracker that is not there.
    """
    for word in sys.argv[1:] if arguments is None else arguments:
        try:
            word.encode()
        except UnicodeEncodeError:
            # Neither checkpoints nor cards nor TensorBoard could take it.
            raise UserError(
                f"{word!a} on the command line is no UTF-8: set PYTHONUTF8=1, or rename what it stands for."
            ) from None
    if presets:
        known, _ = parser.parse_known_args(arguments)
        parser.set_defaults(**presets[known.preset])
    args = parser.parse_args(arguments)
    if args.resolution is not None and not 16 <= args.resolution <= 128:
        raise UserError(f"--resolution must be from 16 to 128, got {args.resolution}.")
    for flag in ("hub_model_id", "hub_private", "hub_strategy"):
        if not args.push_to_hub and getattr(args, flag) != parser.get_default(flag):
            raise UserError(f"--{flag} says where or how to push: add --push_to_hub, or leave it out.")
    check_trackers(args.report_to)
    return args


def settings_of(args: argparse.Namespace, accelerator: Accelerator) -> dict:
    """What the result depends on beside the code: flags, precision, threads, library."""
    settings = {f"--{name}": value for name, value in vars(args).items() if name not in WITHOUT_EFFECT}
    # They are saved with checkpoints, which may be published; of another folder the digest is another.
    for flag in ("dataset_name", "pretrained_model_name_or_path"):
        value = getattr(args, flag) or ""
        public = redact_argument(value)
        if public != value:
            settings[f"--{flag}"] = f"{public} {hashlib.sha256(value.encode()).hexdigest()[:8]}"
    if args.lr_scheduler == "constant" and not getattr(args, "instance_noise", 0):
        # It only says where a run ends.
        del settings["--max_train_steps"]
    return {
        **settings,
        "--mixed_precision": accelerator.mixed_precision,
        "threads": torch.get_num_threads(),
        "device": accelerator.device.type,
        "torch": torch.__version__,
    }


def changed_settings(before: dict, now: dict) -> list[str]:
    """Each setting that differs between two results of `settings_of`, in words."""
    return [
        f"{name} {now.get(name)} (was {before.get(name)})"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def command_line() -> str:
    """The command that started this script, for the card, without the user's tokens, paths and hosts.

    That a run was interrupted is left out: going on from its last checkpoint makes what it would have made.
    """
    script = Path(sys.argv[0]).resolve()
    words = " ".join(["accelerate launch", f"{script.parent.name}/{script.name}", *map(_quoted, sys.argv[1:])])
    return re.sub(r" --resume_from_checkpoint[ =]latest(?= |$)", "", words)


def _quoted(word: str) -> str:
    word = redact_argument(word)
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word) else "'" + word.replace("'", "'\"'\"'") + "'"


def script_name() -> str:
    """Of the script that trains."""
    return Path(sys.argv[0]).name


def run_main(main: Callable[[], None]) -> None:
    """Run a script; whatever ends it, the training is saved first, and a user's mistake is one sentence without a traceback."""
    interrupts.raise_from_now_on()
    try:
        main()
    except SystemExit:
        raise
    except BaseException as error:
        end(error)
    finally:
        for run in RUNS:
            run.close()
        RUNS.clear()


def end(error: BaseException) -> None:
    """Save what there is to save, and leave with one sentence; of what is no user's mistake, behind its traceback."""
    main_thread = threading.current_thread() is threading.main_thread()
    # The launcher ends all processes of a run as soon as one has failed.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN) if main_thread else None
    try:
        saved = " ".join(filter(None, (run.rescue(error) for run in RUNS)))
    except KeyboardInterrupt:
        saved = "The state of the training is not saved."
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)
    if isinstance(error, KeyboardInterrupt):
        print(interrupts.sentence(f". {saved}") if saved else interrupts.sentence(), file=sys.stderr, flush=True)
        leave(interrupts.EXIT_CODE)
    if isinstance(error, UserError):
        text = in_flags(error)
    elif isinstance(error, OSError) and error.errno in NO_ROOM:
        text = f"{error.strerror} while writing {error.filename or 'to the output folder'}: make room."
    elif isinstance(error, OSError) and error.errno in NOBODY_READS and error.filename is None:
        text = f"What it prints is read by no one any more ({error.strerror}): redirect it to a file."
    elif is_of_output(error):
        text = (
            f"{error.strerror} while writing {error.filename}: mend the output folder, or choose another --output_dir."
        )
    elif is_lost_process(error):
        text = "Another process of this run has ended, so this one does."
    elif saved:
        traceback.print_exception(error)
        text = f"The training broke off with the {type(error).__name__} above."
    else:
        raise error
    leave(f"{script_name()}: error: {text} {saved}".strip())


def is_of_output(error: BaseException) -> bool:
    """Whether a file of an output folder could not be written: someone has removed it, or taken away the right to."""
    name = error.filename if isinstance(error, OSError) else None
    return isinstance(name, str | Path) and any(Path(name).is_relative_to(run.output_dir) for run in RUNS)


def leave(code: int | str) -> None:
    """SystemExit; one of several processes, which the others' connections might keep waiting, ends at once."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        if isinstance(code, str):
            print(code, file=sys.stderr, flush=True)
        for run in RUNS:
            run.close()
        os._exit(code if isinstance(code, int) else 1)
    raise SystemExit(code) from None
