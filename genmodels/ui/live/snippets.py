"""The Python for a GAN trained live."""

from __future__ import annotations

from ..snippets import GRID, TORCH

IMPORT = "from genmodels.live import LiveGAN, Settings"


def live(data: str, steps: int = 0) -> str:
    """A GAN trained as the Training tab does.

    The page writes its settings into `Settings()`, its step in place of a 0, and drawn points in place of [[0.0, 0.0]].
    """
    if data != "digits":
        head, points = (f"{TORCH}\n\n{IMPORT}", ", torch.tensor([[0.0, 0.0]])") if data == "drawn" else (IMPORT, "")
        return (
            f"{head}\n\ngan = LiveGAN(Settings(){points})\n"
            f"gan.train({steps})\n"
            'print("modes reached, share of points near one:", gan.coverage())\n'
        )
    return (
        f"{TORCH}\nfrom diffusers.image_processor import VaeImageProcessor\n{GRID}\nfrom genmodels import zoo\n"
        f"{IMPORT}\n\n"
        'pixels = torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "train").images)\n'
        "images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1\n"
        "gan = LiveGAN(Settings(), images)\n"
        f"gan.train({steps})\n"
        "digits = VaeImageProcessor().postprocess(gan.sample(36))\n"
        'make_image_grid(digits, rows=6, cols=6).save("digits.png")\n'
    )
