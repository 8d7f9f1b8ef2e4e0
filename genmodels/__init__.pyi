# The names of `genmodels` as editors and type checkers see them; at run time `families.py` tells where each lies.
from .models.attributes import AttributeDirections as AttributeDirections
from .models.autoencoder import AutoencoderDecoder as AutoencoderDecoder
from .models.autoencoder import AutoencoderEncoder as AutoencoderEncoder
from .models.cgan import CGANDiscriminator as CGANDiscriminator
from .models.cgan import CGANGenerator as CGANGenerator
from .models.dcgan import DCGANDiscriminator as DCGANDiscriminator
from .models.dcgan import DCGANGenerator as DCGANGenerator
from .models.diffusion import UNet as UNet
from .models.gan import VanillaGANDiscriminator as VanillaGANDiscriminator
from .models.gan import VanillaGANGenerator as VanillaGANGenerator
from .models.lapgan import LAPGANDiscriminator as LAPGANDiscriminator
from .models.lapgan import LAPGANGenerator as LAPGANGenerator
from .models.prior import LatentMixture as LatentMixture
from .models.vae import VAEDecoder as VAEDecoder
from .models.vae import VAEEncoder as VAEEncoder
from .pipelines import load_pipeline as load_pipeline
from .pipelines.autoencoder import AutoencoderPipeline as AutoencoderPipeline
from .pipelines.diffusion import PixelDiffusionPipeline as PixelDiffusionPipeline
from .pipelines.gan import CGANPipeline as CGANPipeline
from .pipelines.gan import DCGANPipeline as DCGANPipeline
from .pipelines.gan import VanillaGANPipeline as VanillaGANPipeline
from .pipelines.gan import WGANPipeline as WGANPipeline
from .pipelines.lapgan import LAPGANPipeline as LAPGANPipeline
from .pipelines.vae import VAEPipeline as VAEPipeline

__version__: str
