"""The suite in a browser: `python app.py`, then open http://127.0.0.1:7860."""

from __future__ import annotations

import argparse
import sys

from genmodels.commands.app import add_arguments, run
from genmodels.errors import UserError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except UserError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
