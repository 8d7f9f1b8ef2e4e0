"""Latent arithmetic with labelled attributes: a smile added, glasses taken off."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Self

import torch

from ..models.attributes import AttributeDirections, attribute_directions
from ..pixels import Images
from .autoencoder import EncoderDecoderPipeline
from .base import GenerationOutput


class AttributeEditingMixin(EncoderDecoderPipeline):
    """What a pipeline with an encoder and a decoder can do with an `attributes` component.

    Strengths are in units of the whole difference of the means: at 1 a latent moves as far as the mean latent of the
    training images without an attribute lies from the mean of those with it, at -1 as far the other way.
    """

    attributes: AttributeDirections | None

    @property
    def attribute_names(self) -> list[str]:
        """The attributes that it has learnt, in order; empty if none."""
        return [] if self.attributes is None else list(self.attributes.config.attribute_names)

    def edit(
        self,
        images: Images | None = None,
        attribute: str | Mapping[str, float] = "",
        strength: float | None = None,
        *,
        latents: torch.Tensor | None = None,
        output_type: str = "pil",
    ) -> GenerationOutput:
        """Images with more or less of an attribute: decode(z + strength * direction).

        Args:
            images: what to edit, in any form that the pipeline returns.
            attribute: one of `attribute_names`, or several with the strength of each: {"Smiling": 1.5, "Male": -1}.
            strength: of a single attribute, 1 by default: the whole difference of the means; see the class.
            latents: (N, latent_dim) to edit instead of images.
            output_type: "pil", "pt" or "np".

        Raises:
            ValueError: an unknown attribute, a strength that is no finite number, or not either images or latents.
        """
        if isinstance(attribute, Mapping) and strength is not None:
            raise ValueError("Give strength with a single attribute; several have theirs in the dict.")
        if not isinstance(attribute, Mapping):
            attribute = {attribute: 1.0 if strength is None else strength}
        return self.decode(self._edited_latents(images, latents) + self._offset(attribute), output_type)

    def learn_attribute(self, name: str, images_with: Images, images_without: Images) -> Self:
        """Learn an attribute from examples of your own, in place, and return the pipeline, which then saves it too.

        Its direction is the mean latent of the images with it minus that of the images without: the more of them, and the
        more alike the two sets are in everything else, the better. An attribute of the same name is replaced.

        Args:
            name: what to call it.
            images_with, images_without: at least one each, in any form that the pipeline returns.

        Raises:
            ValueError: no name, no images, or wrong size, shape or values of them.
        """
        parts = [self._latents_of(images) for images in (images_with, images_without)]
        labels = torch.cat([torch.full((len(part), 1), has) for part, has in zip(parts, (True, False), strict=True)])
        learnt = dict(zip(self.attribute_names, self._directions(), strict=True))
        learnt[name] = attribute_directions(torch.cat(parts), labels)[0]
        self._set_directions(learnt, self.attributes is not None and self.attributes.config.decorrelated)
        return self

    def learn_attributes(
        self, names: list[str], batches: Iterable[dict[str, torch.Tensor]], decorrelate: bool = False
    ) -> Self:
        """Learn attributes from labelled images, in place of those known before, and return the pipeline.

        Args:
            names: A names.
            batches: `pixel_values` (N, C, H, W) and `attributes` (N, A) bool each, as streams of `load_images` give them.
            decorrelate: hold the other attributes fixed; see `attribute_directions`.

        Raises:
            ValueError: an attribute that no image has, or all have.
        """
        pairs = [(self._latents_of(b["pixel_values"]), b["attributes"]) for b in batches if len(b["attributes"])]
        latents, labels = (torch.cat(part) for part in zip(*pairs, strict=True))
        for i, name in enumerate(names):
            if labels[:, i].all() or not labels[:, i].any():
                raise ValueError(
                    f"{name} needs images with it and images without it: leave it out, or take more images."
                )
        self._set_directions(
            dict(zip(names, attribute_directions(latents, labels, decorrelate), strict=True)), decorrelate
        )
        return self

    def _set_directions(self, learnt: dict[str, torch.Tensor], decorrelated: bool) -> None:
        component = AttributeDirections(list(learnt), self.latent_dim, decorrelated)
        component.directions.data = torch.stack(list(learnt.values())).to(self.device, self.dtype)
        self.register_modules(attributes=component)

    def _directions(self) -> torch.Tensor:
        """(A, latent_dim) float32 on the CPU, A being 0 if there are none."""
        if self.attributes is None:
            return torch.zeros(0, self.latent_dim, dtype=torch.float32)
        return self.attributes.directions.float().cpu()

    def _two_directions(self, attributes: tuple[str, str]) -> torch.Tensor:
        """(2, latent_dim) of two different attributes."""
        if len(attributes) != 2 or attributes[0] == attributes[1]:
            raise ValueError(f"attributes must be two different names, got {attributes!r}.")
        return torch.cat([self._offset({name: 1.0}) for name in attributes])

    def _offset(self, strengths: Mapping[str, float]) -> torch.Tensor:
        """What attributes of these strengths add to a latent, (1, latent_dim) float32 on the CPU."""
        names = self.attribute_names
        if not names:
            raise ValueError(
                "This model has learnt no attributes: call learn_attribute(name, images_with, images_without), or train "
                "one with --attributes."
            )
        for name, strength in strengths.items():
            if name not in names:
                raise ValueError(f"There is no attribute {name!r}: known are {', '.join(names)}.")
            if isinstance(strength, bool) or not isinstance(strength, int | float) or not math.isfinite(strength):
                raise ValueError(f"strength must be a finite number, got {strength!r} for {name}.")
        row = torch.tensor([[float(strengths.get(name, 0.0)) for name in names]], dtype=torch.float32)
        return row @ self._directions()

    def _edited_latents(self, images: Images | None, latents: torch.Tensor | None) -> torch.Tensor:
        """(N, latent_dim) float32 on the CPU, of what was given."""
        if images is not None and latents is None:
            return self._latents_of(images)
        if images is not None or latents is None:
            raise ValueError("Give either images or latents.")
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"latents must have shape (N, {self.latent_dim}), got {tuple(latents.shape)}.")
        return latents.float().cpu()
