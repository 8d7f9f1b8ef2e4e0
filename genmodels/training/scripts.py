"""Running a training script: from a shell, or by its name from Python."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from .. import interrupts
from ..errors import UserError, in_flags
from ..evaluation.reproduce import load_model
from ..flags import suggestion
from ..privacy import redact_argument
from .config import TrainingConfig, types_of
from .processes import is_lost_process
from .publish import require_write_access
from .run import TrainingRun
from .stopping import RunEnded

# Errors of a full disk, a used-up quota, or a limit on file sizes.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Errors of a pipe whose reader has ended, and of a terminal that is closed.
NOBODY_READS = (errno.EPIPE, errno.EIO)
# Where the scripts lie in an installed package, and in a clone.
INSTALLED, CLONED = Path(__file__).parents[1] / "recipes", Path(__file__).parents[2] / "train"
HOME = INSTALLED if INSTALLED.is_dir() else CLONED
TOO_LARGE = "The training does not fit into the memory: give a smaller --train_batch_size, or narrower networks."
# Held by the training of this process: accelerate has one state for all threads.
ONE_AT_A_TIME = threading.Lock()

# From a run to the folder of its model.
Algorithm = Callable[[TrainingRun[Any]], Path]
# Says what ended a run, and what became of it.
Report = Callable[[BaseException, str, TrainingRun[Any] | None], NoReturn]


def script_names() -> list[str]:
    """What can be trained by its name."""
    return sorted(path.stem for path in HOME.glob("*.py") if path.stem != "minimal")


def load_script(name: str) -> ModuleType:
    """The module of a script, with its `Config` and its `train`; raises UserError if there is no such script."""
    names = script_names()
    if not isinstance(name, str) or name not in names:
        near = suggestion(str(name), names).replace("--", "")
        raise UserError(f"There is no training script {name!r}: {near or 'give one of ' + ', '.join(names) + '.'}")
    module_name = f"genmodels.recipes.{name}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, HOME / f"{name}.py")
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        sys.modules[module_name] = module
        try:
            spec.loader.exec_module(module)  # type: ignore[union-attr]
        except BaseException:
            del sys.modules[module_name]
            raise
    return sys.modules[module_name]


def train(name: str, **settings: Any) -> Any:
    """Train a model as the script of this name does, and return it.

    ```python
    from genmodels.training import train

    pipe = train("cgan", dataset_name="zoo:mnist-sample", max_train_steps=200)
    pipe(class_labels=["3", "8"]).images[0]
    ```

    Args:
        name: of a script in train/, such as "cgan"; `train("cgan", dry_run=True)` prints all its settings.
        settings: its flags, without dashes: `--classes 3 8` is `classes=["3", "8"]`.

    Returns:
        The pipeline, or the classifier of "evaluator"; None after a dry run. The checkpoints, the log and the saved model lie
        in `output_dir`.

    Raises:
        UserError: a script or a setting that does not exist, one that does not fit, a mistake in the data, or another training
            that runs in this process.
        KeyboardInterrupt: the run was interrupted; it says what of it is saved.
    """

    def report(error: BaseException, saved: str, run: TrainingRun[Any] | None) -> NoReturn:
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(spoken(saved) or "Interrupted before the first step.") from None
        if isinstance(error, UserError):
            raise UserError(f"{error} {saved}".strip()) from error
        if saved:
            error.add_note(spoken(saved))
        raise error

    with own_state():
        script = load_script(name)
        spoken = partial(in_python, script.Config)
        try:
            config = script.Config.resolve(settings, script=f"{name}.py", spoken=spoken)
            config.command = command_of(f"train/{name}.py", words_of(script.Config, settings))
            folder = perform(config, script.train, report)
        except UserError as error:
            raise UserError(spoken(in_flags(error))) from error
        except RunEnded as ended:
            if not ended.number:
                return None
            if ended.number == signal.SIGINT:
                again = 'the same call with resume_from_checkpoint="latest" goes on'
                raise KeyboardInterrupt(f"Stopped, with a checkpoint: {again}.") from None
            raise
    return load_model(folder)


def main(
    config_class: type[TrainingConfig], algorithm: Algorithm, words: Sequence[str] | None = None, name: str = ""
) -> None:
    """Run a script by its command line; whatever ends it, the training is saved first, and a user's mistake is one sentence
    without a traceback.

    Args:
        config_class, algorithm: `Config` and `train` of the script.
        words: of the command line, by default those of this process.
        name: of the script, by default the program of this process.
    """
    interrupts.raise_from_now_on()
    script = Path("train", f"{name}.py") if name else Path(sys.argv[0]).resolve()
    words = sys.argv[1:] if words is None else words
    try:
        command = command_of(f"{script.parent.name}/{script.name}", words)
        prog = f"python -m genmodels train {name}" if name else None
        config = config_class.parse(words, prog=prog, script=script.name, command=command)
    except UserError as error:
        sys.exit(f"{script.name}: error: {in_flags(error)}")
    except KeyboardInterrupt:
        print(interrupts.sentence(script=script.name), file=sys.stderr, flush=True)
        sys.exit(interrupts.EXIT_CODE)
    perform(config, algorithm, partial(end, config))


def perform(config: TrainingConfig, algorithm: Algorithm, report: Report) -> Path:
    """Run an algorithm; whatever breaks it off, the training is saved before `report` is called."""
    run = None
    try:
        require_write_access(config)
        run = TrainingRun(config)
        return algorithm(run)
    except SystemExit:
        raise
    except BaseException as error:
        saved = rescue(run, error)
        report(UserError(TOO_LARGE).with_traceback(error.__traceback__) if is_too_large(error) else error, saved, run)
    finally:
        if run:
            run.close()


def is_too_large(error: BaseException) -> bool:
    """Whether the machine's memory, or torch's count of bytes, did not suffice."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and ("can't allocate memory" in str(error) or "overflowed" in str(error))
    )


def rescue(run: TrainingRun[Any] | None, error: BaseException) -> str:
    """Save what there is to save, and say what became of it."""
    main_thread = threading.current_thread() is threading.main_thread()
    # The launcher ends all processes of a run as soon as one has failed.
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN) if main_thread else None
    try:
        return run.rescue(error) if run else ""
    except KeyboardInterrupt:
        return "The state of the training is not saved."
    finally:
        if main_thread:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def end(config: TrainingConfig, error: BaseException, saved: str, run: TrainingRun[Any] | None) -> NoReturn:
    """Leave with one sentence; of what is no user's mistake, behind its traceback."""
    if isinstance(error, KeyboardInterrupt):
        what = f". {saved}" if saved else " before the first step."
        print(interrupts.sentence(what, config.script), file=sys.stderr, flush=True)
        leave(interrupts.EXIT_CODE, run)
    if isinstance(error, UserError):
        text = in_flags(error)
    elif isinstance(error, OSError) and error.errno in NO_ROOM:
        text = f"{error.strerror} while writing {error.filename or 'to the output folder'}: make room."
    elif isinstance(error, OSError) and error.errno in NOBODY_READS and error.filename is None:
        text = f"What it prints is read by no one any more ({error.strerror}): redirect it to a file."
    elif isinstance(error, OSError) and is_of_output(error, config.output_dir):
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
    leave(f"{config.script}: error: {text} {saved}".strip(), run)


def is_of_output(error: OSError, output_dir: str) -> bool:
    """Whether a file of an output folder could not be written: someone has removed it, or taken away the right to."""
    return isinstance(error.filename, str | Path) and Path(error.filename).is_relative_to(output_dir)


def leave(code: int | str, run: TrainingRun[Any] | None) -> NoReturn:
    """SystemExit; one of several processes, which the others' connections might keep waiting, ends at once."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        if isinstance(code, str):
            print(code, file=sys.stderr, flush=True)
        if run:
            run.close()
        os._exit(code if isinstance(code, int) else 1)
    raise SystemExit(code) from None


@contextmanager
def own_state() -> Iterator[None]:
    """Let a run leave accelerate's state, which lasts as long as a process, and torch's threads as they were.

    Raises:
        UserError: another run of this process has not ended.
    """
    if not ONE_AT_A_TIME.acquire(blocking=False):
        raise UserError("A training runs in this process already: wait for it, or start another process.")
    try:
        states = (PartialState, AcceleratorState, GradientState)
        before, threads = [dict(state._shared_state) for state in states], torch.get_num_threads()
        for state in states[1:]:
            state._shared_state.clear()
        try:
            yield
        finally:
            for state, values in zip(states, before, strict=True):
                state._shared_state.clear()
                state._shared_state.update(values)
            torch.set_num_threads(threads)
    finally:
        ONE_AT_A_TIME.release()


def words_of(config: type[TrainingConfig], settings: dict[str, Any]) -> list[str]:
    """The flags that say the same on a command line."""
    words: list[str] = []
    for name, value in settings.items():
        if value is True:
            words.append(f"--{name}")
        elif value is False and types_of(config).get(name, (None, False, False))[2]:
            words.append(f"--no-{name}")
        elif value is not None and value is not False:
            words += [f"--{name}", *map(str, value if isinstance(value, list | tuple) else [value])]
    return words


def command_of(script: str, words: Sequence[str]) -> str:
    """The command that starts this training, for the card, without the user's tokens, paths and hosts.

    That a run was interrupted is left out: going on from its last checkpoint makes what it would have made.
    """
    command = " ".join(["accelerate launch", script, *map(_quoted, words)])
    return re.sub(r" --resume_from_checkpoint[ =]latest(?= |$)", "", command)


def _quoted(word: str) -> str:
    word = redact_argument(word)
    return word if re.fullmatch(r"[\w@%+=:,./-]+", word) else "'" + word.replace("'", "'\"'\"'") + "'"


def in_python(config: type[TrainingConfig], text: str) -> str:
    """A message about flags, for who calls `train`: `--seed 3` is seed=3 there."""
    known, kinds = config.settings(), types_of(config)

    def argument(match: re.Match[str]) -> str:
        negated, name, value = match[1], match[2], match[3] or ""
        if name not in known:
            return match[0]
        kind, many, _ = kinds[name]
        if value in ("True", "False", "None"):
            return f"{name}={value}"
        if negated or kind is bool:
            return f"{name}={not negated}{(match[3] and ' ' + value) or ''}"
        if re.fullmatch(r"[-+]?[\d.]+(e-?\d+)?", value) and kind is not str:
            return f"{name}={value}"
        if value == "latest" or (value in (known[name].choices or ()) and not many):
            return f'{name}="{value}"'
        return name + (f" {value}" if value else "")

    text = re.sub(r"--(no-)?(\w+)(?: ([\w+.-]*\w))?", argument, text)
    return re.sub(r"`(\w+)`", r"\1", text).replace("the same command", "the same call")
