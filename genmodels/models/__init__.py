"""Networks and nothing else: one file per family."""

from .attributes import AttributeDirections
from .autoencoder import AutoencoderDecoder, AutoencoderEncoder
from .cgan import CGANDiscriminator, CGANGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .diffusion import UNet
from .gan import VanillaGANDiscriminator, VanillaGANGenerator
from .lapgan import LAPGANDiscriminator, LAPGANGenerator
from .vae import VAEDecoder, VAEEncoder

__all__ = [
    "AttributeDirections",
    "AutoencoderDecoder",
    "AutoencoderEncoder",
    "CGANDiscriminator",
    "CGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "LAPGANDiscriminator",
    "LAPGANGenerator",
    "UNet",
    "VAEDecoder",
    "VAEEncoder",
    "VanillaGANDiscriminator",
    "VanillaGANGenerator",
]
