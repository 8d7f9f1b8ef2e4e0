"""Classic generative models, live: autoencoder and VAE, GAN and WGAN, DCGAN, CGAN and diffusion, one `from_pretrained` away.

Names resolve on first use, so that `import genmodels` alone loads neither torch nor diffusers.
"""

from .families import HOMES, load_name

__version__ = "0.1.0"

_HOMES = {"load_pipeline": "pipelines", **HOMES}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str):
    return load_name(name, _HOMES, __name__)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
