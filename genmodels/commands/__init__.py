"""One file per subcommand: `add_arguments(parser)`, and `run(args)`, which returns the exit code or None for 0."""


def silence_libraries() -> None:
    """What goes wrong is said in one sentence, not in the libraries' warnings before it."""
    from diffusers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
