"""The decoder that runs in the page draws what torch draws."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from suite_browser import new_page

from genmodels import VAEDecoder, VAEEncoder, VAEPipeline
from genmodels.ui.in_page import MAX_WEIGHTS, layers_of
from genmodels.ui.modules import MODULES

# A page with nothing but the modules.
HOST = "http://modules.test/"
RUN = """async ({ layers, size, channels, z }) => {
    const { decoderInPage } = await import('/common/all.js');
    return Array.from(decoderInPage(layers, size, channels)(z));
}"""


def fulfil(route) -> None:
    module = route.request.url.removeprefix(HOST)
    route.fulfill(body=MODULES.get(module, b""), content_type="text/javascript" if module else "text/html")


def pipeline_of(**config) -> VAEPipeline:
    """Untrained, but for its decoder's last layer."""
    torch.manual_seed(0)
    config = {"base_channels": 4, "hidden_dim": 16, **config}
    shared = {name: value for name, value in config.items() if name != "upsampling"}
    decoder = VAEDecoder(**config).half().float().eval()
    with torch.no_grad():
        # Fresh weights draw hardly anything but grey.
        decoder.layers[-1].weight.mul_(40)
    return VAEPipeline(VAEEncoder(**shared), decoder.half().float())


@pytest.mark.parametrize(("size", "channels"), [(28, 1), (16, 3), (64, 3)])
def test_it_draws_what_torch_draws(browser, size, channels):
    pipe = pipeline_of(sample_size=size, num_channels=channels)
    z = [0.7, -1.3]
    with torch.no_grad():
        expected = ((pipe.decoder(torch.tensor([z]))[0] + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert expected.std() > 5
    page = new_page(browser)
    page.route(f"{HOST}**", fulfil)
    page.goto(HOST)
    asked = {"layers": json.loads(json.dumps(layers_of(pipe))), "size": size, "channels": channels, "z": z}
    drawn = np.array(page.evaluate(RUN, asked)).reshape(size, size, channels)
    page.close()
    # One 8-bit step where a value lies between two.
    assert np.abs(drawn - expected).max() <= 1
    assert (drawn != expected).mean() < 0.01


def test_others_stay_on_the_server():
    assert layers_of(pipeline_of(upsampling="nearest")) is None
    assert layers_of(pipeline_of(num_classes=10)) is None
    large = pipeline_of(base_channels=64, hidden_dim=256)
    assert sum(weight.numel() for weight in large.decoder.parameters()) > MAX_WEIGHTS
    assert layers_of(large) is None
