"""The Python for a GAN trained live."""

from __future__ import annotations

from collections.abc import Mapping

from ..snippets import GRID, TORCH, quoted


def live(settings: Mapping, steps: int) -> str:
    """A GAN trained as the Training tab did, to the same weights."""
    from ...live import Settings

    changed = {name: value for name, value in settings.items() if value != getattr(Settings, name)}
    arguments = ", ".join(f"{name}={quoted(v) if isinstance(v, str) else v}" for name, v in changed.items())
    if settings["data"] != "digits":
        return (
            "from genmodels.live import LiveGAN, Settings\n\n"
            f"gan = LiveGAN(Settings({arguments}))\n"
            f"gan.train({steps})\n"
            'print("modes reached, share of points near one:", gan.coverage())\n'
        )
    return (
        f"{TORCH}\nfrom diffusers.image_processor import VaeImageProcessor\n{GRID}\nfrom genmodels import zoo\n"
        "from genmodels.live import LiveGAN, Settings\n\n"
        'pixels = torch.from_numpy(zoo.load_sample("zoo:mnist-sample", "train").images)\n'
        "images = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1\n"
        f"gan = LiveGAN(Settings({arguments}), images)\n"
        f"gan.train({steps})\n"
        "digits = VaeImageProcessor().postprocess(gan.sample(36))\n"
        'make_image_grid(digits, rows=6, cols=6).save("digits.png")\n'
    )
