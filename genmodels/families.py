"""The families of models: a row says all that the rest of the suite has to know of one.

A family is a file of networks in models/, one of a pipeline in pipelines/, a script in train/, and a row here. Code asks a row
what the family can do, never what it is called. Nothing heavy is imported here: names resolve before torch is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

MALFORMED = "A share of its images is malformed: the table says how far it is."


@dataclass(frozen=True)
class Family:
    """What a family of models is made of, and what it can do.

    Attributes:
        pipeline: its file in pipelines/ and its class, such as "gan.CGANPipeline".
        networks: by component, the file in models/ and the class; a scheduler is diffusers', and is not listed.
        description: of a model, for its card.
        tags: of a model on the Hub.
        limits: what not to expect of a model, for its card.
        draws: the component that draws: its config says size, channels and classes of the images.
        view: the tab of the page that shows its models without classes: "map", "autoencoder", "samples"; or "classes".
        encodes: has an encoder: `encode` and `decode`, latents whose prior is N(0, I), `reconstruct`.
        has_likelihood: is trained on a bound of the likelihood, which is measured.
        compresses: makes bytes of images: `compress` and `decompress`.
        edits: may learn attributes: `edit`.
        takes_classes: may be trained with classes: `class_labels`.
        classifies: images that a model with classes is measured to classify, at most; 0 without `classify`.
        discriminates: may be saved with what scores images: `discriminate`.
        truncates: takes `psi`.
        takes_steps: takes `num_inference_steps`.
        draws_in_stages: shows how an image emerges from coarse to fine: `return_stages`.
        breeds: has a single latent to cross and to walk: `breed`, `loop`, `principal_directions`.
    """

    pipeline: str
    networks: Mapping[str, str]
    description: str
    tags: tuple[str, ...]
    limits: str = MALFORMED
    draws: str = "generator"
    view: str = "samples"
    encodes: bool = False
    has_likelihood: bool = False
    compresses: bool = False
    edits: bool = False
    takes_classes: bool = False
    classifies: int = 0
    discriminates: bool = False
    truncates: bool = False
    takes_steps: bool = False
    draws_in_stages: bool = False
    breeds: bool = False
    class_name: str = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "class_name", self.pipeline.split(".")[1])

    @property
    def title(self) -> str:
        """Its name in a table, such as "CGAN"."""
        return self.class_name.removesuffix("Pipeline")


# In the order in which they were invented.
FAMILIES = (
    Family(
        pipeline="autoencoder.AutoencoderPipeline",
        networks={
            "encoder": "autoencoder.AutoencoderEncoder",
            "decoder": "autoencoder.AutoencoderDecoder",
            "prior": "prior.LatentMixture",
        },
        description="An encoder that presses images through a bottleneck and a decoder that draws them again from what is left.",
        tags=("autoencoder",),
        limits="Latents lie in clusters with gaps between: what it draws from N(0, I), the closest Gaussian, need not look like "
        "any training image, and nothing in its training promises more.",
        draws="decoder",
        view="autoencoder",
        encodes=True,
        compresses=True,
    ),
    Family(
        pipeline="vae.VAEPipeline",
        networks={
            "encoder": "vae.VAEEncoder",
            "decoder": "vae.VAEDecoder",
            "attributes": "attributes.AttributeDirections",
            "prior": "prior.LatentMixture",
        },
        description="An encoder that places images in a continuous latent space and a decoder that draws them back from any "
        "point of it.",
        tags=("vae",),
        limits="Its images are blurrier than real ones, as those of every VAE with a per-pixel likelihood.",
        draws="decoder",
        view="map",
        encodes=True,
        has_likelihood=True,
        edits=True,
        takes_classes=True,
        classifies=10_000,
        truncates=True,
    ),
    Family(
        pipeline="gan.VanillaGANPipeline",
        networks={"generator": "gan.VanillaGANGenerator", "discriminator": "gan.VanillaGANDiscriminator"},
        description="A generator that draws images from noise by dense layers alone, with the discriminator that taught it.",
        tags=("gan",),
        discriminates=True,
        truncates=True,
        breeds=True,
    ),
    Family(
        pipeline="gan.CGANPipeline",
        networks={"generator": "cgan.CGANGenerator", "discriminator": "cgan.CGANDiscriminator"},
        description="A generator that draws images of a wanted class from noise, with the discriminator that taught it.",
        tags=("gan", "conditional-gan"),
        view="classes",
        takes_classes=True,
        classifies=1000,
        discriminates=True,
        truncates=True,
        breeds=True,
    ),
    Family(
        pipeline="lapgan.LAPGANPipeline",
        networks={"generator": "lapgan.LAPGANGenerator", "discriminator": "lapgan.LAPGANDiscriminator"},
        description="A generator that draws images from coarse to fine, each level what the enlarged coarse image lacks, with "
        "the discriminators that taught it.",
        tags=("gan", "lapgan"),
        takes_classes=True,
        discriminates=True,
        truncates=True,
        draws_in_stages=True,
    ),
    Family(
        pipeline="gan.DCGANPipeline",
        networks={"generator": "dcgan.DCGANGenerator", "discriminator": "dcgan.DCGANDiscriminator"},
        description="A generator that draws images from noise by transposed convolutions, with the discriminator that taught it.",
        tags=("gan", "dcgan"),
        discriminates=True,
        truncates=True,
        breeds=True,
    ),
    Family(
        pipeline="gan.WGANPipeline",
        networks={"generator": "dcgan.DCGANGenerator", "discriminator": "dcgan.DCGANDiscriminator"},
        description="A generator that draws images from noise by transposed convolutions, with the critic that taught it: its "
        "scores are unbounded, and no probabilities.",
        tags=("gan", "wgan"),
        discriminates=True,
        truncates=True,
        breeds=True,
    ),
    Family(
        pipeline="diffusion.PixelDiffusionPipeline",
        networks={"unet": "diffusion.UNet"},
        description="A U-Net that takes noise away from an image, and draws images from pure noise by doing so again and again.",
        tags=("diffusion",),
        limits="Each image takes as many passes through the network as `num_inference_steps` says, where a GAN's takes one; with "
        "other numbers it looks other than the table says. A share of its images is malformed all the same.",
        draws="unet",
        takes_classes=True,
        takes_steps=True,
    ),
)
BY_PIPELINE = {family.class_name: family for family in FAMILIES}
# Class of a pipeline or network to its module inside the package.
PIPELINE_HOMES = {family.class_name: f"pipelines.{family.pipeline.split('.')[0]}" for family in FAMILIES}
NETWORK_HOMES = {
    name: f"models.{module}"
    for family in FAMILIES
    for module, name in (network.split(".") for network in family.networks.values())
}
HOMES = {**PIPELINE_HOMES, **NETWORK_HOMES}


def load_name(name: str, homes: Mapping[str, str], module: str) -> Any:
    """A class from its home, for the `__getattr__` of a module that imports it on first use.

    Raises:
        AttributeError: `homes` has no such name.
    """
    if name not in homes:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    return getattr(import_module(f"genmodels.{homes[name]}"), name)
