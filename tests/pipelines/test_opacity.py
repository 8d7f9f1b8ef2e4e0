"""Images with opacity: colours are premultiplied inside, and as ever outside."""

from __future__ import annotations

import io

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from genmodels import DCGANDiscriminator, DCGANGenerator, DCGANPipeline
from genmodels.data import load_images
from genmodels.grid import make_grid
from genmodels.models.modeling import on_white
from genmodels.pixels import to_output, to_pixel_values
from genmodels.ui.pictures import opaque, to_bytes


@pytest.fixture
def picture() -> Image.Image:
    """16x16: opaque red, half blue, and transparent green, which nobody sees."""
    image = Image.new("RGBA", (16, 16), (0, 255, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 8, 8))
    image.paste((0, 0, 255, 128), (8, 0, 16, 8))
    return image


def test_hidden_colours_count_for_nothing(picture):
    values = to_pixel_values(picture, 16, 4)
    assert values.shape == (1, 4, 16, 16)
    assert values[0, :, 12, 12].tolist() == [-1, -1, -1, -1]
    assert values[0, :, 2, 2].tolist() == [1, -1, -1, 1]
    torch.testing.assert_close(values[0, :, 2, 12], torch.tensor([-1, -1, 128 / 127.5 - 1, 128 / 127.5 - 1]))
    (back,) = to_output(values, "pil")
    assert back.mode == "RGBA"
    assert [back.getpixel(xy) for xy in ((2, 2), (12, 2), (12, 12))] == [
        (255, 0, 0, 255),
        (0, 0, 255, 128),
        (0, 0, 0, 0),
    ]
    # Arrays are like images.
    array = to_output(values, "np")
    np.testing.assert_allclose(array[0], np.asarray(back) / 255, atol=1e-6)
    torch.testing.assert_close(to_pixel_values(array, 16, 4), values)
    torch.testing.assert_close(to_pixel_values(np.asarray(picture)[None], 16, 4), values)


def test_colours_brighter_than_their_opacity_stay_in_range():
    wild = torch.tensor([1.0, -1.0, 0.5, -0.9]).view(1, 4, 1, 1).expand(1, 4, 16, 16)
    array = to_output(wild, "np")
    assert 0 <= array.min() <= array.max() <= 1
    assert to_output(wild, "pil")[0].getpixel((0, 0))[0] == 255


def test_shown_on_white(picture):
    values = to_pixel_values(picture, 16, 4)
    shown = on_white(values)
    assert shown[0, :, 12, 12].tolist() == [1, 1, 1]
    assert shown[0, :, 2, 2].tolist() == [1, -1, -1]
    grid = make_grid([picture])
    assert grid.mode == "RGB"
    assert [grid.getpixel(xy) for xy in ((4, 4), (14, 14))] == [(255, 0, 0), (255, 255, 255)]
    expected = ((shown[0].permute(1, 2, 0) + 1) * 127.5).numpy()
    drawn = to_bytes(to_output(values, "np"))
    assert drawn.shape[-1] == 4, "a page shows its own ground"
    np.testing.assert_allclose(opaque(drawn)[0], expected, atol=1)
    np.testing.assert_allclose(opaque(np.asarray(picture)[None])[0], expected, atol=1)
    grey = np.zeros((1, 4, 4, 1), np.uint8)
    assert opaque(grey) is grey


def test_a_generator_draws_and_a_discriminator_judges_them(picture, tmp_path):
    shape = {"sample_size": 16, "num_channels": 4, "base_channels": 4}
    DCGANPipeline(DCGANGenerator(latent_dim=8, **shape), DCGANDiscriminator(**shape)).save_pretrained(tmp_path)
    pipe = DCGANPipeline.from_pretrained(tmp_path)
    images = pipe(num_images=2, seed=0).images
    assert [image.mode for image in images] == ["RGBA", "RGBA"]
    assert pipe.discriminate([picture, *images]).shape == (3,)
    # An image without opacity is opaque.
    torch.testing.assert_close(
        pipe.discriminate(Image.new("RGB", (16, 16), "red")), pipe.discriminate(Image.new("RGBA", (16, 16), "red"))
    )


def test_read_from_a_dataset(picture, tmp_path):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    features = datasets.Features(image=datasets.Image())
    rows = {"image": [{"bytes": buffer.getvalue(), "path": None}] * 3}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "train-00000-of-00001.parquet")
    with_opacity, without = (
        next(load_images(str(tmp_path), num_channels=channels, num_workers=0).once())["pixel_values"]
        for channels in (4, None)
    )
    torch.testing.assert_close(with_opacity[:1], to_pixel_values(picture, 16, 4))
    assert without.shape == (3, 3, 16, 16)
