"""What only the plain autoencoder does: compress, denoise, whiten."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
import torch
from helpers import make_pipeline

from genmodels import AutoencoderDecoder, AutoencoderEncoder, AutoencoderPipeline, load_pipeline
from genmodels.pipelines.autoencoder import HEADER, add_noise


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def pipe(images):
    """Untrained, but with latents that differ."""
    return make_pipeline("autoencoder").whiten(images)


def changed(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


class TestCompression:
    @pytest.mark.parametrize("bits", range(1, 17))
    def test_latents_come_back_to_half_a_step(self, pipe, images, bits):
        data = pipe.compress(images, bits)
        assert isinstance(data, bytes)
        assert len(data) == HEADER.size + math.ceil(len(images) * pipe.latent_dim * bits / 8)
        before, after = pipe.encode(images), pipe.decompress(data, "pt")
        step = float(before.max() - before.min()) / (2**bits - 1)
        assert (after.latents - before).abs().max() <= step / 2 + 1e-5
        assert torch.equal(after.images, pipe.decode(after.latents, "pt").images)

    def test_more_bits_are_closer(self, pipe, images):
        exact = pipe.reconstruct(images, "pt").images
        errors = [
            float((pipe.decompress(pipe.compress(images, b), "pt").images - exact).abs().mean()) for b in (2, 6, 12)
        ]
        assert errors[0] > 4 * errors[1] > 16 * errors[2]

    def test_the_format_is_as_documented(self, pipe, images):
        """Read by hand from the docstring: 4 bits a number, the higher half of a byte first."""
        data = pipe.compress(images[:2], bits=4)
        magic, version, bits, side, channels, latent_dim, count, low, high = struct.unpack_from("<4sBBBBIIff", data)
        assert (magic, version, bits, side, channels, latent_dim, count) == (b"GMAE", 1, 4, 28, 1, 3, 2)
        levels = [half for byte in data[32:] for half in (byte >> 4, byte & 15)]
        latents = pipe.encode(images[:2]).flatten()
        assert (low, high) == (float(latents.min()), float(latents.max()))
        assert levels == [round(float(v - low) / (high - low) * 15) for v in latents]

    def test_equal_latents_and_any_form_of_images_and_bytes(self, pipe, images):
        one = make_pipeline("autoencoder")
        with torch.no_grad():
            one.encoder.to_latents.weight.zero_()
            one.encoder.to_latents.bias.fill_(0.25)
        assert torch.equal(one.decompress(one.compress(images, 3)).latents, torch.full((40, 3), 0.25))
        pictures = pipe(num_images=2, seed=0).images
        data = pipe.compress(pictures)
        assert pipe.compress(np.stack([np.asarray(p) for p in pictures])[..., None]) == data
        for form in (data, bytearray(data), memoryview(data)):
            assert len(pipe.decompress(form).images) == 2

    def test_ratio(self, pipe):
        assert pipe.compression_ratio() == pytest.approx(784 / 3)
        assert pipe.compression_ratio(4) == pytest.approx(784 / 1.5)

    @pytest.mark.parametrize("bits", [0, 17, -1, 8.0, "8", None, True])
    def test_wrong_bits(self, pipe, images, bits):
        for call in (lambda: pipe.compress(images, bits), lambda: pipe.compression_ratio(bits)):
            with pytest.raises(ValueError, match="bits must be an integer from 1 to 16, got"):
                call()

    def test_foreign_bytes(self, pipe, images):
        data = pipe.compress(images)
        for foreign in (b"", b"GMAE", b"\x89PNG" + data[4:], data[1:], bytes(100)):
            with pytest.raises(ValueError, match="are not compressed images: give what compress returned"):
                pipe.decompress(foreign)
        for wrong in ("GMAE", None, [1, 2], images):
            with pytest.raises(ValueError, match="data must be the bytes that compress returned, got"):
                pipe.decompress(wrong)
        with pytest.raises(ValueError, match="are of version 2 of the format, and this is 1"):
            pipe.decompress(changed(data, 4, b"\x02"))

    def test_damaged_bytes(self, pipe, images):
        data = pipe.compress(images)
        count_at, low_at = 12, 16
        for damaged in (
            data[: HEADER.size],
            data[:-1],
            data + b"\0",
            changed(data, 50, bytes([data[50] ^ 1])),
            changed(data, 5, b"\0"),
            changed(data, 5, b"\xff"),
            changed(data, count_at, b"\0\0\0\0"),
            changed(data, count_at, b"\xff\xff\xff\xff"),
            changed(data, low_at, struct.pack("<f", math.nan)),
            changed(data, low_at, struct.pack("<f", -math.inf)),
        ):
            with pytest.raises(ValueError, match="are damaged or cut short: give all that compress returned"):
                pipe.decompress(damaged)

    def test_other_models(self, pipe, images):
        data = pipe.compress(images)
        with pytest.raises(ValueError, match="were made with other weights"):
            make_pipeline("autoencoder", seed=1).decompress(data)
        shape = {"latent_dim": 4, "base_channels": 4, "hidden_dim": 16}
        other = AutoencoderPipeline(AutoencoderEncoder(**shape), AutoencoderDecoder(**shape))
        with pytest.raises(
            ValueError, match=r"28x28, 1 channel\(s\), as 3 latents each, not of 28x28.* as 4: decompress"
        ):
            other.decompress(data)

    def test_bytes_outlive_the_pipeline(self, pipe, images, tmp_path):
        pipe.save_pretrained(tmp_path)
        again = AutoencoderPipeline.from_pretrained(tmp_path)
        data = pipe.compress(images)
        assert again.compress(images) == data
        assert torch.equal(again.decompress(data, "pt").images, pipe.decompress(data, "pt").images)


class TestDenoising:
    def test_without_noise_it_refuses(self, pipe, images):
        with pytest.raises(ValueError, match="was trained without noise: call reconstruct, or train one with"):
            pipe.denoise(images)

    def test_it_is_the_way_through_the_bottleneck(self, images, tmp_path):
        shape = {"latent_dim": 3, "base_channels": 4, "hidden_dim": 16}
        AutoencoderPipeline(AutoencoderEncoder(noise=0.5, **shape), AutoencoderDecoder(**shape)).save_pretrained(
            tmp_path
        )
        pipe = AutoencoderPipeline.from_pretrained(tmp_path)
        assert pipe.noise == 0.5
        assert torch.equal(pipe.denoise(images, "pt").images, pipe.reconstruct(images, "pt").images)

    def test_noise_is_of_the_wanted_strength_and_never_beyond_black_and_white(self):
        grey = torch.zeros(1, 1, 200, 200)
        noisy = add_noise(grey, 0.1, torch.Generator().manual_seed(0))
        # 0.1 of the brightness is 0.2 of pixel_values.
        assert float(noisy.std()) == pytest.approx(0.2, rel=0.02)
        assert torch.equal(noisy, add_noise(grey, 0.1, torch.Generator().manual_seed(0)))
        black = add_noise(-torch.ones(1, 1, 50, 50), 0.5)
        assert black.min() == -1 < black.max() <= 1
        assert torch.equal(add_noise(grey, 0.0), grey)


class TestWhitening:
    def test_latents_are_standard_and_pictures_stay(self, images):
        pipe = make_pipeline("autoencoder")
        before = pipe.reconstruct(images, "pt").images
        assert (torch.cov(pipe.encode(images).T) - torch.eye(3)).abs().max() > 0.1
        assert pipe.whiten(images) is pipe
        latents = pipe.encode(images)
        torch.testing.assert_close(latents.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(torch.cov(latents.T), torch.eye(3), atol=1e-3, rtol=0)
        torch.testing.assert_close(pipe.reconstruct(images, "pt").images, before, atol=1e-5, rtol=0)

    def test_latents_that_never_vary_are_no_obstacle(self, images):
        pipe = make_pipeline("autoencoder")
        with torch.no_grad():
            pipe.encoder.to_latents.weight[1] = 0
        before = pipe.reconstruct(images, "pt").images
        pipe.whiten(images)
        torch.testing.assert_close(pipe.reconstruct(images, "pt").images, before, atol=1e-4, rtol=0)
        pipe.whiten(images[:1].expand(3, -1, -1, -1))
        assert all(torch.isfinite(p).all() for p in (*pipe.encoder.parameters(), *pipe.decoder.parameters()))

    def test_one_latent_and_one_image(self, images):
        pipe = AutoencoderPipeline(AutoencoderEncoder(latent_dim=1), AutoencoderDecoder(latent_dim=1)).whiten(images)
        assert float(pipe.encode(images).std()) == pytest.approx(1, abs=1e-3)
        with pytest.raises(ValueError, match="at least two images"):
            pipe.whiten(images[:1])


@pytest.mark.parametrize("kind", ["autoencoder", "vae"])
def test_what_is_drawn_follows_the_fitted_latents(kind, tmp_path):
    pipe = make_pipeline(kind)
    side = pipe.sample_size
    images = torch.rand(200, 1, side, side, generator=torch.Generator().manual_seed(3)) * 2 - 1
    assert pipe.fit_latents([{"pixel_values": part} for part in images.split(100)], 2) is pipe
    options = {"num_images": 5, "seed": 4, "output_type": "pt"}
    fitted, normal = pipe(**options), pipe(**options, prior="normal")
    torch.testing.assert_close(fitted.latents, pipe.prior(normal.latents))
    assert not torch.equal(fitted.images, normal.images)
    assert torch.equal(pipe(**options, prior="fitted").images, fitted.images)
    # Given latents are what is decoded.
    assert torch.equal(pipe(latents=fitted.latents, output_type="pt").images, fitted.images)
    pipe.save_pretrained(tmp_path)
    assert torch.equal(load_pipeline(tmp_path)(**options).images, fitted.images)


def test_priors_that_are_not_there():
    pipe = make_pipeline("vae")
    with pytest.raises(ValueError, match=r"No prior was fitted to this model's latents: call pipe\.fit_latents"):
        pipe(seed=0, prior="fitted")
    with pytest.raises(ValueError, match='prior must be "normal" or "fitted", got \'gauss\''):
        pipe(seed=0, prior="gauss")
    with pytest.raises(ValueError, match="10 Gaussians need more than"):
        pipe.fit_latents([{"pixel_values": torch.zeros(4, 1, pipe.sample_size, pipe.sample_size)}])
