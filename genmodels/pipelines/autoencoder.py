"""Pipelines of an encoder and a decoder: images to latents and back. The plain autoencoder also compresses and denoises."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import Self

import numpy as np
import torch

from ..checks import check_count
from ..latents import Generators, interpolate_latents, truncated
from ..models.autoencoder import AutoencoderDecoder, AutoencoderEncoder
from ..models.modeling import Network
from ..models.prior import LatentMixture, fit_mixture
from ..pixels import Images, check_output_type, to_output
from .base import GenerationOutput, ImagePipeline, as_in_diffusers, in_chunks

# What `compress` puts in front of the latents, little-endian: magic, version, bits, side, channels; length of a latent,
# number of images; lowest and highest level; CRC-32 of the decoder's weights and of the latents that follow.
HEADER = struct.Struct("<4sBBBBIIffII")
MAGIC, VERSION = b"GMAE", 1
MAX_BITS = 16


class EncoderDecoderPipeline(ImagePipeline):
    """Base of the pipelines with an encoder and a decoder: everything that only needs one latent for each image."""

    _drawing_component = "decoder"
    encoder: Network
    decoder: Network
    prior: LatentMixture | None

    @as_in_diffusers
    def __call__(
        self,
        num_images: int = 1,
        *,
        generator: Generators = None,
        seed: int | None = None,
        latents: torch.Tensor | np.ndarray | None = None,
        prior: str | None = None,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """Decode latents from the prior, or given ones.

        Args:
            num_images: how many; ignored if `latents` are given.
            generator, seed: source of the latents. Image i of a seed has the same latents whatever `num_images` is.
            latents: (N, latent_dim) to use instead.
            prior: "normal", N(0, I), or "fitted", what `fit_latents` found, which is the default where it was called.
            output_type: "pil", "pt" or "np"; see `GenerationOutput`.

        Raises:
            ValueError: an argument is out of its range.
        """
        check_output_type(output_type)
        drawn = self._to_latents(num_images, generator, seed, latents)
        latents = self.from_normal(drawn, prior) if latents is None else drawn
        pixel_values = torch.cat(in_chunks(self.decoder, latents))
        return GenerationOutput(images=to_output(pixel_values, output_type), latents=latents)

    def from_normal(self, latents: torch.Tensor, prior: str | None = None, psi: float = 1.0) -> torch.Tensor:
        """Latents (N, latent_dim) from N(0, I) to as many from the prior, each to its own: to themselves if that is N(0, I).

        Raises:
            ValueError: there is no such prior.
        """
        scaled = truncated(latents, psi)
        if prior not in (None, "normal", "fitted"):
            raise ValueError(f'prior must be "normal" or "fitted", got {prior!r}.')
        if prior == "fitted" and self.prior is None:
            raise ValueError("No prior was fitted to this model's latents: call pipe.fit_latents, or leave prior out.")
        return scaled if self.prior is None or prior == "normal" else self.prior(latents, psi)

    def fit_latents(
        self, batches: Iterable[Mapping[str, torch.Tensor]], num_components: int = 10, *, seed: int = 0
    ) -> Self:
        """Fit a mixture of Gaussians to the latents of images, to draw from in place of N(0, I), and return the pipeline.

        Where an encoder's latents leave gaps, or lie elsewhere than N(0, I), much of what is drawn from N(0, I) resembles
        nothing: Ghosh et al. 2020, https://arxiv.org/abs/1903.12436, section 4. The mixture is saved with the model.

        Args:
            batches: `pixel_values` (N, C, H, W) each, and `class_labels` (N,) for a model with classes, as streams of
                `load_images` give them; all of the training split at best.
            num_components: how many Gaussians.
            seed: of where they begin.

        Raises:
            ValueError: too few images for so many Gaussians; or wrong size, shape or values of them.
        """
        check_count("num_components", num_components)
        generator = torch.Generator().manual_seed(seed)
        latents = torch.cat([self._codes_of(batch, generator) for batch in batches])
        mixture = fit_mixture(latents, num_components, seed)
        # That of diffusers' models warns about precisions.
        torch.nn.Module.to(mixture, device=self.device, dtype=self.dtype)
        self.register_modules(prior=mixture)
        return self

    def _codes_of(self, batch: Mapping[str, torch.Tensor], generator: torch.Generator) -> torch.Tensor:
        """What the decoder learned to draw images from, (N, latent_dim) float32 on the CPU."""
        return self._latents_of(batch["pixel_values"])

    def _latents_of(self, images: Images) -> torch.Tensor:
        """One latent for each image, (N, latent_dim) float32 on the CPU."""
        raise NotImplementedError

    def decode(self, latents: torch.Tensor, output_type: str = "pil") -> GenerationOutput:
        """Images of the given (N, latent_dim) latents."""
        return self(latents=latents, output_type=output_type)

    def reconstruct(self, images: Images, output_type: str = "pil") -> GenerationOutput:
        """Images through the bottleneck and back; of a VAE, the decoded posterior means."""
        return self.decode(self._latents_of(images), output_type)

    def interpolate(
        self, a: Images, b: Images, steps: int = 8, mode: str = "lerp", output_type: str = "pil"
    ) -> GenerationOutput:
        """`steps` images on the way from image `a` to image `b` in latent space, both ends reconstructed.

        Raises:
            ValueError: not one image at each end, or see `interpolate_latents`.
        """
        ends = [self._latents_of(images) for images in (a, b)]
        if any(len(latents) != 1 for latents in ends):
            raise ValueError("interpolate needs exactly one image at each end.")
        return self.decode(interpolate_latents(ends[0][0], ends[1][0], steps, mode), output_type)

    def traverse(
        self,
        axes: tuple[int, int] = (0, 1),
        steps: int = 20,
        limit: float = 3.0,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """The manifold picture: a grid over two latent axes, the others held fixed.

        Args:
            axes: the axis that grows to the right and the one that grows upwards.
            steps: images along each axis, at least 2.
            limit: the grid spans [-limit, limit] on both axes.
            latents: (latent_dim,) to stand on; zeros by default, the mean of the prior.
            output_type: "pil", "pt" or "np".

        Returns:
            steps * steps images in reading order: rows from the top (+limit) down, each from left (-limit) to right.

        Raises:
            ValueError: an axis does not exist, the two are the same, or a number is out of range.
        """
        return self.decode(self._axes_grid(axes, steps, limit, latents), output_type)

    def _axes_grid(self, axes: tuple[int, int], steps: int, limit: float, latents: torch.Tensor | None) -> torch.Tensor:
        """The latents of `traverse`, (steps * steps, latent_dim)."""
        if (
            len(axes) != 2
            or len(set(axes)) != 2
            or not all(isinstance(i, int) and 0 <= i < self.latent_dim for i in axes)
        ):
            raise ValueError(f"axes must be two different numbers from 0 to {self.latent_dim - 1}, got {axes!r}.")
        directions = torch.eye(self.latent_dim, dtype=torch.float32)[list(axes)]
        if latents is not None and latents.numel() == self.latent_dim:
            # The grid is about the origin of the two axes.
            latents = latents.flatten().cpu() * (1 - directions.sum(0))
        return self._grid(directions, steps, limit, latents)

    def _grid(self, directions: torch.Tensor, steps: int, limit: float, latents: torch.Tensor | None) -> torch.Tensor:
        """Latents (steps * steps, latent_dim) over two directions, (2, latent_dim): to the right, and upwards."""
        check_count("steps", steps, low=2)
        if not 0 < limit < float("inf"):
            raise ValueError(f"limit must be a positive number, got {limit!r}.")
        base = torch.zeros(self.latent_dim, dtype=torch.float32) if latents is None else latents.flatten().cpu()
        if len(base) != self.latent_dim:
            raise ValueError(f"A latent has {self.latent_dim} numbers, got shape {tuple(base.shape)}.")
        line = torch.linspace(-limit, limit, steps, dtype=torch.float32)
        up, right = torch.meshgrid(line.flip(0), line, indexing="ij")
        return base + torch.stack([right.flatten(), up.flatten()], 1) @ directions


class AutoencoderPipeline(EncoderDecoderPipeline):
    """A bottleneck to reconstruct, compress and denoise through: https://doi.org/10.1126/science.1127647.

    Nothing in its training says how latents are distributed, so nothing promises a good image for a latent drawn at random.
    Trained models are whitened: of all Gaussians N(0, I) fits their latents best. What is drawn from the gaps between the
    clusters of a small latent space is no digit; `fit_latents` goes around them, and a `VAEPipeline` closes them.

    Args:
        encoder: images to latents.
        decoder: latents to images.
        prior: what latents are drawn from in place of N(0, I); see `fit_latents`.

    Example:
        >>> from genmodels import AutoencoderPipeline
        >>> pipe = AutoencoderPipeline.from_pretrained("autoencoder-mnist")
        >>> images = pipe(num_images=100, seed=0).images
        >>> pipe.encode(images).shape
        torch.Size([100, 2])
        >>> len(pipe.compress(images, bits=6))  # 32 bytes of header, then 2 * 6 bits for each image
        182
    """

    _optional_components = ["prior"]

    def __init__(self, encoder: AutoencoderEncoder, decoder: AutoencoderDecoder, prior: LatentMixture | None = None):
        super().__init__()
        self.register_modules(encoder=encoder, decoder=decoder, prior=prior)

    @property
    def noise(self) -> float:
        """Standard deviation of the noise that it was trained to remove, in units of brightness from 0 to 1; 0 if none."""
        return self.encoder.config.noise

    def encode(self, images: Images) -> torch.Tensor:
        """The latents of the images, (N, latent_dim) float32; images in any form that the pipeline returns.

        Raises:
            ValueError: wrong size, shape or values.
        """
        return torch.cat(in_chunks(self.encoder, self._to_pixels(images))).float().cpu()

    def _latents_of(self, images: Images) -> torch.Tensor:
        return self.encode(images)

    def denoise(self, images: Images, output_type: str = "pil") -> GenerationOutput:
        """Noisy images without their noise.

        Raises:
            ValueError: the model was trained without noise; or wrong size, shape or values of the images.
        """
        if not self.noise:
            raise ValueError(
                "This autoencoder was trained without noise: call reconstruct, or train one with train/autoencoder.py "
                "--noise 0.5."
            )
        return self.reconstruct(images, output_type)

    def compression_ratio(self, bits: int = 8) -> float:
        """Size of 8-bit images over that of their latents at so many bits a number; `HEADER` adds 32 bytes a call."""
        pixels = self.num_channels * self.sample_size**2
        return pixels * 8 / (self.latent_dim * check_count("bits", bits, high=MAX_BITS))

    def compress(self, images: Images, bits: int = 8) -> bytes:
        """Images as a few bytes each: their latents on a grid of 2^bits equal steps, behind a header (see `HEADER`).

        The latents follow image by image, each number in `bits` bits, the highest first, without gaps; the last byte is
        filled with zeros. Number i stands for low + i * (high - low) / (2^bits - 1).

        Args:
            images: in any form that the pipeline returns.
            bits: for each number of a latent, 1 to 16.

        Raises:
            ValueError: `bits` is out of range; or wrong size, shape or values of the images.
        """
        check_count("bits", bits, high=MAX_BITS)
        latents = self.encode(images).numpy()
        low, high = float(latents.min()), float(latents.max())
        step = (high - low) / (2**bits - 1) or 1.0
        levels = np.rint((latents.astype(np.float64).ravel() - low) / step).astype(np.int64)
        places = np.arange(bits - 1, -1, -1)
        payload = np.packbits((levels[:, None] >> places & 1).astype(np.uint8)).tobytes()
        shape = (self.sample_size, self.num_channels, self.latent_dim, len(latents))
        checksums = (self._weights_checksum(), zlib.crc32(payload))
        return HEADER.pack(MAGIC, VERSION, bits, *shape, low, high, *checksums) + payload

    def decompress(self, data: bytes, output_type: str = "pil") -> GenerationOutput:
        """The images that `compress` of the same model made bytes of.

        Raises:
            ValueError: the bytes are damaged, cut short, or not of `compress`, or of another model.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise ValueError(f"data must be the bytes that compress returned, got {type(data).__name__}.")
        data = bytes(data)
        if len(data) < HEADER.size or data[:4] != MAGIC:
            raise ValueError(f"These {len(data):,} bytes are not compressed images: give what compress returned.")
        _, version, bits, size, channels, latent_dim, count, low, high, weights, checksum = HEADER.unpack_from(data)
        payload = data[HEADER.size :]
        if version != VERSION:
            raise ValueError(
                f"These bytes are of version {version} of the format, and this is {VERSION}: update genmodels."
            )
        if (size, channels, latent_dim) != (self.sample_size, self.num_channels, self.latent_dim):
            raise ValueError(
                f"These bytes hold images of {size}x{size}, {channels} channel(s), as {latent_dim} latents each, not of "
                f"{self.sample_size}x{self.sample_size}, {self.num_channels} channel(s), as {self.latent_dim}: decompress "
                "with the model that compressed them."
            )
        whole = 1 <= bits <= MAX_BITS and count > 0 and len(payload) == math.ceil(count * latent_dim * bits / 8)
        if not whole or not math.isfinite(high - low) or zlib.crc32(payload) != checksum:
            raise ValueError(f"These {len(data):,} bytes are damaged or cut short: give all that compress returned.")
        if weights != self._weights_checksum():
            raise ValueError(
                "These bytes were made with other weights, or another precision of them: decompress with the model that "
                "compressed them."
            )
        digits = np.unpackbits(np.frombuffer(payload, np.uint8), count=count * latent_dim * bits)
        levels = digits.reshape(-1, bits).astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1))
        latents = low + levels * ((high - low) / (2**bits - 1))
        return self.decode(torch.from_numpy(latents.astype(np.float32)).view(count, latent_dim), output_type)

    def whiten(self, images: Images) -> AutoencoderPipeline:
        """Give the latents of these images mean 0 and covariance I, in place, and return the pipeline.

        Latents have no scale of their own: whatever linear map the encoder ends with, the decoder can begin by undoing.
        So both are changed by one that makes N(0, I) the Gaussian closest to the latents; every reconstruction stays.

        Args:
            images: at least 2, better many more than `latent_dim`. What `fit_latents` found before holds no longer, and goes.

        Raises:
            ValueError: fewer than two images; or wrong size, shape or values of them.
        """
        self.register_modules(prior=None)
        latents = self.encode(images).double()
        if len(latents) < 2:
            raise ValueError("whiten needs at least two images, got one.")
        mean, covariance = latents.mean(0), torch.cov(latents.T).view(self.latent_dim, self.latent_dim)
        # A number that never varies has no inverse.
        slack = 1e-6 * covariance.diagonal().mean() + 1e-12
        root = torch.linalg.cholesky(covariance + slack * torch.eye(self.latent_dim, dtype=torch.float64))
        last, first = self.encoder.to_latents, self.decoder.layers[0]
        with torch.no_grad():
            weight, bias = (parameter.double().cpu() for parameter in (last.weight, last.bias))
            last.weight.copy_(torch.linalg.solve_triangular(root, weight, upper=False))
            last.bias.copy_(torch.linalg.solve_triangular(root, (bias - mean)[:, None], upper=False)[:, 0])
            weight, bias = (parameter.double().cpu() for parameter in (first.weight, first.bias))
            first.weight.copy_(weight @ root)
            first.bias.copy_(bias + weight @ mean)
        return self

    def _weights_checksum(self) -> int:
        checksum = 0
        for tensor in self.decoder.state_dict().values():
            checksum = zlib.crc32(tensor.cpu().contiguous().view(torch.uint8).numpy(), checksum)
        return checksum


def add_noise(pixel_values: torch.Tensor, std: float, generator: torch.Generator | None = None) -> torch.Tensor:
    """`pixel_values` in [-1, 1] with Gaussian noise, cut off at black and white as in any image file.

    Args:
        pixel_values: of any shape.
        std: standard deviation in units of brightness, which goes from 0 to 1.
        generator: source of the noise.
    """
    noise = torch.randn(pixel_values.shape, generator=generator, device=pixel_values.device, dtype=torch.float32)
    return (pixel_values + 2 * std * noise).clamp(-1, 1)
