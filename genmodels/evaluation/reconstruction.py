"""What reconstructions are held against: principal components, and a median filter."""

from __future__ import annotations

import torch
from torch.nn import functional as F

# Images whose products are summed up at once.
BLOCK = 1000
# Beyond so many pixels all eigenvectors of the covariance would take minutes.
MAX_EXACT = 4096


class PCA:
    """The best linear autoencoder: projection onto the directions in which training images vary most.

    Its mean square error is the least of all linear maps through `latent_dim` numbers (Eckart, Young 1936).

    Args:
        images: (N, ...) float, at least two.
        latent_dim: how many directions; not more than an image has numbers.

    Attributes:
        mean: (D,) float32, D numbers making an image.
        components: (latent_dim, D) float32, orthonormal, the one of the largest variance first.

    Raises:
        ValueError: fewer than two images, or too many directions.
    """

    def __init__(self, images: torch.Tensor, latent_dim: int):
        points = images.flatten(1)
        n, size = points.shape
        if n < 2 or not 1 <= latent_dim <= size:
            raise ValueError(f"Need at least 2 images and from 1 to {size} directions, got {n} and {latent_dim}.")
        self.mean = points.mean(0)
        if size <= MAX_EXACT:
            blocks = points.split(BLOCK)
            covariance = sum(((block - self.mean).T @ (block - self.mean)).double() for block in blocks) / n
            vectors = torch.linalg.eigh(covariance).eigenvectors.flip(1)[:, :latent_dim]
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                rank = min(latent_dim + 16, n, size)
                vectors = torch.pca_lowrank(points - self.mean, q=rank, center=False, niter=6)[2][:, :latent_dim]
        self.components = vectors.T.to(points.dtype).contiguous()

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(N, ...) to (N, latent_dim)."""
        return (images.flatten(1) - self.mean) @ self.components.T

    def reconstruct(self, images: torch.Tensor) -> torch.Tensor:
        """The projections of (N, ...) images, of the same shape."""
        return (self.mean + self.encode(images) @ self.components).view(images.shape)


def psnr(images: torch.Tensor, clean: torch.Tensor) -> float:
    """Peak signal-to-noise ratio in dB, the mean over the images: 10 log10 (1 / MSE), brightness from 0 to 1.

    Args:
        images, clean: `pixel_values` (N, C, H, W).
    """
    # Equal images would be infinitely good; this is what half an 8-bit step everywhere makes.
    errors = ((images - clean) / 2).square().flatten(1).mean(1).double().clamp_min((0.5 / 255) ** 2)
    return float(-10 * errors.log10().mean())


def median_filter(pixel_values: torch.Tensor) -> torch.Tensor:
    """Each pixel of (N, C, H, W) replaced by the median of the 3x3 around it, the edge being repeated outside."""
    n, channels, height, width = pixel_values.shape
    padded = F.pad(pixel_values, (1, 1, 1, 1), mode="replicate")
    patches = F.unfold(padded, 3).view(n, channels, 9, height, width)
    return patches.median(2).values
