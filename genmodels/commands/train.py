"""`genmodels train`: what `accelerate launch` does with a script in train/."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("script", metavar="SCRIPT", help="such as cgan; `train cgan --help` shows its flags")
    parser.add_argument("flags", nargs=argparse.REMAINDER, metavar="...", help="the flags of the script")


def run(args: argparse.Namespace) -> None:
    """Train by the script of this name."""
    from ..training.scripts import load_script, main

    script = load_script(args.script)
    main(script.Config, script.train, args.flags, args.script)
