"""Classic generative models, live: autoencoder and VAE, GAN and WGAN, DCGAN, CGAN and diffusion, one `from_pretrained` away.

Names resolve on first use, so that `import genmodels` alone loads neither torch nor diffusers.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOMES = {
    "AttributeDirections": "genmodels.models",
    "AutoencoderDecoder": "genmodels.models",
    "AutoencoderEncoder": "genmodels.models",
    "AutoencoderPipeline": "genmodels.pipelines",
    "CGANDiscriminator": "genmodels.models",
    "CGANGenerator": "genmodels.models",
    "CGANPipeline": "genmodels.pipelines",
    "DCGANDiscriminator": "genmodels.models",
    "DCGANGenerator": "genmodels.models",
    "DCGANPipeline": "genmodels.pipelines",
    "LAPGANDiscriminator": "genmodels.models",
    "LAPGANGenerator": "genmodels.models",
    "LAPGANPipeline": "genmodels.pipelines",
    "PixelDiffusionPipeline": "genmodels.pipelines",
    "UNet": "genmodels.models",
    "VAEDecoder": "genmodels.models",
    "VAEEncoder": "genmodels.models",
    "VAEPipeline": "genmodels.pipelines",
    "VanillaGANDiscriminator": "genmodels.models",
    "VanillaGANGenerator": "genmodels.models",
    "VanillaGANPipeline": "genmodels.pipelines",
    "WGANPipeline": "genmodels.pipelines",
    "load_pipeline": "genmodels.pipelines",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'genmodels' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
