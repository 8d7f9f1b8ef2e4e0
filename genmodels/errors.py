"""The one exception that command lines and the app show without a traceback."""

import re

# Arguments of `load_images` whose flags are called otherwise.
FLAGS = {
    "config_name": "dataset_config_name",
    "max_samples": "max_train_samples",
    "num_workers": "dataloader_num_workers",
    "revision": "dataset_revision",
    "sample_size": "resolution",
    "source": "dataset_name",
}
ARGUMENTS = {
    *FLAGS,
    "background",
    "class_weights",
    "classes",
    "dataset_name",
    "evaluator",
    "fit",
    "guidance_scale",
    "image_column",
    "label_column",
    "num_channels",
    "num_inference_steps",
    "split",
}


def first_line(error: Exception) -> str:
    """The first line of an error's text: what is left of a page of advice."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def escaped(text: str) -> str:
    """`text` with each character that a terminal obeys or hides, but line ends, as Python writes it: \\x1b."""
    return "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)


class UserError(ValueError):
    """A mistake in what the user typed or pointed at; its text says what was wrong and what to type instead.

    Names of files and what others have written may be part of it: nothing of that reaches a terminal as a command.
    """

    def __init__(self, text: str = ""):
        super().__init__(escaped(str(text)))


def in_flags(error: Exception) -> str:
    """An error's text for who has typed flags: `sample_size`, an argument of a function, is --resolution there."""

    def flag(match: re.Match) -> str:
        name = match[1]
        return f"--{FLAGS.get(name, name)}" if name in ARGUMENTS else match[0]

    return re.sub(r"`(\w+)`", flag, str(error))
