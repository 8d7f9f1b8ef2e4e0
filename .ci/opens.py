"""Load every built-in model and draw with it, export two of them, then open the page and call it: what `.ci/lowest` runs in
its environment.

The page is opened in Chromium where there is one, as $CHROMIUM says or under its usual names.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parent.parent
# On a machine that does other work besides.
START_SECONDS = 600
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# What the map's JavaScript makes, as a browser writes it: the colour of a digit.
DRAWN = 'class="swatch" style="background: rgb('


def draw_with_every_model() -> None:
    """A picture of each, in its size; of evaluators, the features of one."""
    import torch
    from diffusers.utils import logging

    from genmodels import load_pipeline, zoo
    from genmodels.features.classifier import Classifier

    logging.disable_progress_bar()
    for name in zoo.model_names():
        pipe = load_pipeline(name)
        image = pipe(num_images=2, seed=0).images[1]
        assert image.size == (pipe.sample_size, pipe.sample_size), name
        print(f"{name}: {type(pipe).__name__}, {image.width}x{image.height}", flush=True)
    for name in set(zoo.EVALUATORS.values()):
        evaluator = Classifier.from_pretrained(str(zoo.model_folder(name)))
        size, channels = evaluator.config.sample_size, evaluator.config.num_channels
        assert evaluator.eval().features(torch.zeros(1, channels, size, size)).isfinite().all(), name


def export_models() -> None:
    """One that draws in a pass and one that does so in steps, as ONNX; an export compares itself with torch."""
    from genmodels import load_pipeline

    with tempfile.TemporaryDirectory() as scratch:
        for name in ("cgan-mnist", "flow-mnist"):
            folder = load_pipeline(name).export("onnx", Path(scratch) / name)
            print(f"{name} as ONNX: {', '.join(sorted(path.name for path in folder.iterdir()))}", flush=True)


def open_page() -> None:
    """`python app.py`: the page, its files, and a picture from its API."""
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    page = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert page.poll() is None, "app.py has ended"
            try:
                text = urllib.request.urlopen(url, timeout=30).read().decode()
                break
            except OSError:
                assert time.monotonic() < deadline, "the page does not open"
                time.sleep(0.5)
        assert "genmodels" in text
        client = Client(url, verbose=False, httpx_kwargs={"timeout": START_SECONDS})
        while True:
            try:
                path = client.predict(model="cgan-mnist", class_labels="2,0,2,6", seed=7, api_name="/sample")
                break
            except AppError as error:
                if "still loading" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(1)
        assert os.path.getsize(path) > 100
        print(f"the page opens and draws: {len(text):,} characters")
        browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
        if browser is None:
            print("not seen in a browser: there is no Chromium")
        else:
            flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=15000", "--dump-dom"]
            seen = subprocess.run([browser, *flags, url], capture_output=True, text=True, timeout=START_SECONDS).stdout
            assert DRAWN in seen, f"{browser} shows no map: {seen[:2000]}"
            print("and a browser shows it")
    finally:
        page.terminate()
        page.wait(30)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ["PYTHONPATH"] = str(ROOT)
    draw_with_every_model()
    export_models()
    open_page()
