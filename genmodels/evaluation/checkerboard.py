"""How much of a checkerboard there is in images: what transposed convolutions of stride 2 tend to leave."""

from __future__ import annotations

import torch

# Images transformed at once.
BLOCK = 500


def checkerboard_energy(pixel_values: torch.Tensor) -> float:
    """Share of the images' spectral energy at the Nyquist frequency of rows or of columns: in patterns of period 2.

    Of |F(u, v)|^2, F the discrete Fourier transform of each channel, summed over all images, the share where u or v is half a
    cycle per pixel; the mean brightness, at u = v = 0, is left out. The patterns: Odena et al. 2016,
    https://distill.pub/2016/deconv-checkerboard/. Real images have some of it, by their edges: compare with theirs.

    Args:
        pixel_values: (N, C, H, W), H and W at least 2; of an odd size the last row or column is left out.

    Returns:
        From 0, also for images that are all flat, to 1, for stripes and checkerboards of single pixels.

    Raises:
        ValueError: not four dimensions, no images, or images of a single row or column.
    """
    if pixel_values.ndim != 4 or not pixel_values.numel() or min(pixel_values.shape[2:]) < 2:
        raise ValueError(f"Expected images of shape (N, C, H, W) from 2x2 on, got {tuple(pixel_values.shape)}.")
    height, width = (size - size % 2 for size in pixel_values.shape[2:])
    total = nyquist = 0.0
    for block in pixel_values[..., :height, :width].split(BLOCK):
        block = block.double()
        energy = torch.fft.fft2(block - block.mean((2, 3), keepdim=True)).abs().square().sum((0, 1))
        row, column = energy[height // 2], energy[:, width // 2]
        total += float(energy.sum())
        # Where they cross is in both.
        nyquist += float(row.sum() + column.sum() - row[width // 2])
    return nyquist / total if total else 0.0
