"""The engine under the scripts in train/: knows no particular model."""

from .arguments import add_common_arguments, at_least, command_line, in_range, parse_arguments, run_main
from .run import TrainingRun

__all__ = ["TrainingRun", "add_common_arguments", "at_least", "command_line", "in_range", "parse_arguments", "run_main"]
