"""The suite: one file per tab, each a view over a pipeline. Nothing here imports torch before the page is up."""

import os
from typing import Any

# An object of JSON: what a page sends, which may be anything at all, and what it is answered.
Json = dict[str, Any]

# All are read when gradio, torch and numpy are imported. Without the first, the server looks up outside hosts at start;
# without the second, threads of many visitors fight over the cores and a 5 ms forward pass takes 200 ms.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Without the last, Gradio keeps statistics of ten thousand calls, and counts them anew after each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("GRADIO_ANALYTICS_MAX_EVENTS", "1")
