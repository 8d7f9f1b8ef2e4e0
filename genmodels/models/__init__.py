"""Networks and nothing else: one file per family."""

from .attributes import AttributeDirections
from .autoencoder import AutoencoderDecoder, AutoencoderEncoder
from .cgan import CGANDiscriminator, CGANGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .gan import VanillaGANDiscriminator, VanillaGANGenerator
from .vae import VAEDecoder, VAEEncoder

__all__ = [
    "AttributeDirections",
    "AutoencoderDecoder",
    "AutoencoderEncoder",
    "CGANDiscriminator",
    "CGANGenerator",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "VAEDecoder",
    "VAEEncoder",
    "VanillaGANDiscriminator",
    "VanillaGANGenerator",
]
