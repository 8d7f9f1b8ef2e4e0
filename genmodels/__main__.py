"""The command line, `python -m genmodels`: see `COMMANDS`."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import NoReturn

from . import __version__
from .errors import UserError, in_flags
from .flags import explain

# Each is a file in genmodels/commands, which is read only when it is asked for.
COMMANDS = {
    "app": "open the page: the suite in a browser",
    "list": "the built-in models and one measured number of each",
    "sample": "draw images into one grid",
    "train": "train a model by the script of this name in train/",
    "evaluate": "measure a model against real images",
    "verify": "check a model's files and measure its card's numbers again",
    "export": "a model as ONNX, for programs and pages without torch",
    "push": "upload a model's folder to the Hub, with its card, in one commit",
    "push-dataset": "make a folder of images a dataset on the Hub",
    "space": "build a folder for a hosted Space, or deploy it",
}
EXAMPLES = (
    "python -m genmodels app --models runs",
    "python -m genmodels list",
    "python -m genmodels sample vae-mnist --output digits.png",
    "python -m genmodels sample cgan-mnist --class_labels 2,0,2,6 --seed 10 --scale 4 --output year.png",
    "python -m genmodels sample dcgan-cifar10-frogs --num_images 64 --psi 0.8 --output frogs.png",
    "python -m genmodels train cgan --dataset_name zoo:mnist-sample --max_train_steps 500",
    "python -m genmodels evaluate cgan-mnist",
    "python -m genmodels evaluate runs/cgan/model --write_card",
    "python -m genmodels verify your-name/cgan-mnist",
    "python -m genmodels export cgan-mnist --output cgan-onnx",
    "python -m genmodels push runs/cgan/model your-name/cgan-mnist",
    "python -m genmodels push runs/cgan/model your-name/cgan-mnist --onnx",
    "python -m genmodels push-dataset photos your-name/photos --resolution 64 --test_share 0.1",
    "python -m genmodels space build suite my-space",
    "python -m genmodels space deploy vae your-name/vae",
    "python -m genmodels app --models your-name",
)


class OneLineParser(argparse.ArgumentParser):
    """Answers a mistake with one sentence instead of the whole usage, and --help with the examples of its command."""

    def __init__(self, **options):
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)
        mine = [example for example in EXAMPLES if f"{example} ".startswith(f"{self.prog} ")]
        self.epilog = "\n  ".join(["examples:" if len(mine) > 1 else "example:", *mine])

    def parse_known_args(self, args=None, namespace=None):
        # Here, not by the parser above, which does not know this command's flags.
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {explain(self, message)} (--help shows what is possible)\n")


# The extra of pip that brings what drawing does not need.
EXTRAS = {
    "app": ("gradio",),
    "train": ("accelerate", "tensorboard"),
    "eval": ("datasets", "pyarrow", "torchmetrics"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
}


def module_of(command: str):
    """The file of a command."""
    return import_module(f"genmodels.commands.{command.replace('-', '_')}")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 if `verify` found something wrong, or 2 for a mistake of the user."""
    argv = sys.argv[1:] if argv is None else argv
    parser = OneLineParser(
        prog="python -m genmodels",
        description="Classic generative models: open the page, list, sample, train, evaluate, verify, export, push and host.",
    )
    parser.add_argument("--version", action="version", version=f"genmodels {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar=f"{{{','.join(COMMANDS)}}}")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if name in argv[:1]:
            module_of(name).add_arguments(command)
    args = parser.parse_args(argv)
    try:
        return module_of(args.command).run(args) or 0
    except UserError as error:
        print(f"python -m genmodels {args.command}: {in_flags(error)}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        extra = next((extra for extra, packages in EXTRAS.items() if error.name in packages), None)
        if extra is None:
            raise
        print(
            f"python -m genmodels {args.command}: {error.name} is not installed; `pip install 'genmodels[{extra}]'` brings it.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader, such as head, has seen enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
