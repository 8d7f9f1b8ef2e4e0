"""How many seconds of two CPU cores a conditional GAN of digits takes from nothing: `reproduce.py speedrun`, on a quiet machine.

python tests/benchmarks/speedrun.py
python tests/benchmarks/speedrun.py --rows "two processes of one thread"
"""

from __future__ import annotations

import sys

import reproduce

if __name__ == "__main__":
    sys.path.insert(0, str(reproduce.REPO))
    sys.argv.insert(1, "speedrun")
    reproduce.main()
