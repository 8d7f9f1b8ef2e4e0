"""Conditional GAN networks: Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014,
https://arxiv.org/abs/1411.1784, equation 2, on DCGAN's convolutions.

The generator gets the label beside its latent, as in the paper. The discriminator gets it as an inner product with its
features: Miyato, Koyama, "cGANs with Projection Discriminator", ICLR 2018, https://arxiv.org/abs/1802.05637, equation 3.
It may name the class besides: Odena, Olah, Shlens, "Conditional Image Synthesis with Auxiliary Classifier GANs", ICML 2017,
https://arxiv.org/abs/1610.09585, equation 3.
"""

from __future__ import annotations

import torch
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..checks import check_integers, check_number
from .dcgan import discriminator_trunk, generator_trunk, widths
from .modeling import (
    Network,
    check_classes,
    check_image_shape,
    check_images,
    check_latents,
    crop_to,
    one_hot_labels,
    pad_to,
    spend_headroom,
)
from .stabilisers import minibatch_layers, normalise_spectrally


class CGANGenerator(Network, ModelMixin):
    """Latents and class labels to images.

    Args:
        num_classes: how many classes there are, at least 2.
        class_names: their names in order; they travel in the config, so that `class_labels="7"` works after loading.
        label_dim: length of the learned label vector that is put beside the latent.
        sample_size, num_channels, latent_dim, base_channels, kernel_size, norm, upsampling, residual_layers, fine_layers,
            headroom: as in `DCGANGenerator`.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        num_classes: int = 10,
        class_names: list[str] | None = None,
        latent_dim: int = 64,
        label_dim: int = 32,
        base_channels: int = 32,
        kernel_size: int = 4,
        norm: str = "batch",
        upsampling: str = "transposed",
        residual_layers: int = 0,
        fine_layers: int = 0,
        headroom: float = 0.0,
    ):
        super().__init__()
        inner_size = check_image_shape(sample_size, num_channels)
        check_integers(latent_dim=latent_dim, label_dim=label_dim, base_channels=base_channels)
        check_classes(num_classes, class_names)
        check_number("headroom", headroom, 0, 0.5)
        self.embed_label = nn.Linear(num_classes, label_dim, bias=False)
        # As large as the latent beside it, or the generator learns late that there are classes.
        nn.init.normal_(self.embed_label.weight)
        self.layers = generator_trunk(
            latent_dim + label_dim,
            inner_size,
            num_channels,
            base_channels,
            kernel_size,
            norm,
            upsampling,
            residual_layers=residual_layers,
            fine_layers=fine_layers,
        )

    def forward(self, latents: torch.Tensor, class_labels: torch.Tensor) -> torch.Tensor:
        """Draw images.

        Args:
            latents: (N, latent_dim) float.
            class_labels: (N,) integers from 0 to num_classes - 1, or (N, num_classes) weights that mix classes.

        Returns:
            `pixel_values` (N, num_channels, sample_size, sample_size) in [-1, 1].
        """
        check_latents(latents, self.config.latent_dim)
        weights = one_hot_labels(class_labels, self.config.num_classes).to(latents.dtype)
        inputs = torch.cat([latents, self.embed_label(weights)], dim=1)
        images = crop_to(self.layers(inputs[:, :, None, None]), self.config.sample_size)
        return spend_headroom(images, self.config.headroom)


class CGANDiscriminator(Network, ModelMixin):
    """Images and class labels to one score each: the logit of being a real image *of that class*.

    Args:
        num_classes, class_names: as in `CGANGenerator`.
        sample_size, num_channels, base_channels, kernel_size, norm, dropout: as in `DCGANDiscriminator`.
        auxiliary_classifier: whether it has a second head, which tells the class from the same features.
        minibatch_stddev, minibatch_discrimination, spectral_norm, residual_layers, fine_layers: as in `DCGANDiscriminator`.

    Raises:
        ValueError: an argument is out of its range; the message names the legal values.
    """

    @register_to_config
    def __init__(
        self,
        sample_size: int = 28,
        num_channels: int = 1,
        num_classes: int = 10,
        class_names: list[str] | None = None,
        base_channels: int = 32,
        kernel_size: int = 4,
        norm: str = "none",
        dropout: float = 0.0,
        auxiliary_classifier: bool = False,
        minibatch_stddev: bool = False,
        minibatch_discrimination: int = 0,
        spectral_norm: bool = False,
        residual_layers: int = 0,
        fine_layers: int = 0,
    ):
        super().__init__()
        self.inner_size = check_image_shape(sample_size, num_channels)
        check_integers(base_channels=base_channels)
        check_classes(num_classes, class_names)
        self.layers = discriminator_trunk(
            self.inner_size,
            num_channels,
            base_channels,
            kernel_size,
            norm,
            dropout,
            residual_layers=residual_layers,
            fine_layers=fine_layers,
        )
        channels = widths(self.inner_size, base_channels)[-1]
        self.minibatch = minibatch_layers(channels, 16, minibatch_stddev, minibatch_discrimination)
        features = (channels + minibatch_stddev + minibatch_discrimination) * 16
        self.score = nn.Linear(features, 1)
        self.embed_label = nn.Linear(num_classes, features, bias=False)
        nn.init.normal_(self.embed_label.weight, std=features**-0.5)
        self.classify = nn.Linear(channels * 16, num_classes) if auxiliary_classifier else None
        if spectral_norm:
            normalise_spectrally(self)

    def forward(
        self,
        pixel_values: torch.Tensor,
        class_labels: torch.Tensor,
        return_features: bool = False,
        return_class_logits: bool = False,
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Score images.

        Args:
            pixel_values: (N, num_channels, sample_size, sample_size) in [-1, 1].
            class_labels: (N,) integers, or (N, num_classes) weights.
            return_features: also return what the last hidden layer makes of each image by itself.
            return_class_logits: also return what the auxiliary classifier makes of the images.

        Returns:
            Scores (N,), unbounded; higher is more real: w . f(x) + V_y . f(x). With `return_features` also f(x), (N, features),
            without minibatch layers. With `return_class_logits` also, last, the logits (N, num_classes) of log p(y | x). Neither
            of the two knows `class_labels`.

        Raises:
            ValueError: wrong shapes, labels out of range, or logits asked of a network without an auxiliary classifier.
        """
        check_images(pixel_values, self.config.sample_size, self.config.num_channels)
        weights = one_hot_labels(class_labels, self.config.num_classes).to(pixel_values.dtype)
        maps = self.layers(pad_to(pixel_values, self.inner_size))
        features = maps.flatten(1)
        seen = self.minibatch(maps).flatten(1) if len(self.minibatch) else features
        scores = self.score(seen).flatten() + (self.embed_label(weights) * seen).sum(1)
        wanted = [features] if return_features else []
        if return_class_logits:
            if self.classify is None:
                raise ValueError(
                    "This discriminator has no auxiliary classifier: make it with auxiliary_classifier=True."
                )
            wanted.append(self.classify(features))
        return (scores, *wanted) if wanted else scores
