"""Networks and nothing else: one file per family."""

from .autoencoder import AutoencoderDecoder, AutoencoderEncoder
from .cgan import CGANDiscriminator, CGANGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .gan import VanillaGANDiscriminator, VanillaGANGenerator
from .lapgan import LAPGANDiscriminator, LAPGANGenerator
from .vae import VAEDecoder, VAEEncoder

__all__ = [
    "AutoencoderDecoder",
    "AutoencoderEncoder",
    "CGANDiscriminator",
    "CGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "LAPGANDiscriminator",
    "LAPGANGenerator",
    "VAEDecoder",
    "VAEEncoder",
    "VanillaGANDiscriminator",
    "VanillaGANGenerator",
]
