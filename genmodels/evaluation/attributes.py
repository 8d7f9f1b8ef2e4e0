"""How well attributes are told, and how well they are edited."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ..features.classifier import Classifier
from ..features.metrics import eight_bit
from ..pipelines.vae import VAEPipeline

# Images decoded and looked at in one pass.
BLOCK = 500
# In units of the whole difference of the means, in rising order; 0 is the plain reconstruction.
STRENGTHS = (-1, 0, 1, 2)
# The strength at which an edited image is compared with the unedited one.
COMPARED = 1


def balanced_accuracies(predicted: torch.Tensor, attributes: torch.Tensor) -> torch.Tensor:
    """Of each attribute the mean of the shares told right among images with it and among those without: (A,) float64.

    1/2 for every constant guess; NaN where the images all agree.

    Args:
        predicted, attributes: (N, A) bool.
    """
    right = (predicted == attributes).double()
    with_it, without = ((right * part).sum(0) / part.sum(0) for part in (attributes, ~attributes))
    return (with_it + without) / 2


@dataclass
class EditResponse:
    """What a classifier of attributes sees when one of them is edited.

    Attributes:
        responses: its mean probability that the attribute is there, for each of `STRENGTHS`.
        monotone: share of the images for which that rises at every step.
        distance: mean distance, on its features, of an image edited with strength `COMPARED` to the unedited one.
    """

    responses: list[float]
    monotone: float
    distance: float


@torch.no_grad()
def edit_responses(
    pipeline: VAEPipeline, classifier: Classifier, images: torch.Tensor
) -> tuple[dict[str, EditResponse], float]:
    """Edit images by each attribute that pipeline and classifier both know.

    Args:
        pipeline, classifier: the editor and its judge, which was trained on labels alone and knows nothing of the editor.
        images: `pixel_values` (N, C, H, W), at least 2.

    Returns:
        The responses by attribute, and what a distance compares with: the mean distance on features of a reconstruction to
        that of another image, the one N // 2 further in the split.
    """

    def seen(pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = classifier.features(eight_bit(pixel_values))
        return features, classifier.head(features)

    latents = pipeline.encode(images).mean
    plain = [seen(torch.as_tensor(pipeline.decode(part, "pt").images)) for part in latents.split(BLOCK)]
    features, plain_logits = (torch.cat(part) for part in zip(*plain, strict=True))
    names = list(classifier.config.attribute_names or [])
    found = {}
    for name in pipeline.attribute_names:
        if name not in names:
            continue
        # Logits rise as probabilities do, and never saturate.
        rows, distance = [], 0.0
        for strength in STRENGTHS:
            logits = plain_logits
            if strength:
                outputs = [
                    pipeline.edit(latents=part, attribute=name, strength=strength, output_type="pt")
                    for part in latents.split(BLOCK)
                ]
                parts = [seen(torch.as_tensor(output.images)) for output in outputs]
                edited, logits = (torch.cat(part) for part in zip(*parts, strict=True))
            if strength == COMPARED:
                distance = float((edited - features).norm(dim=1).double().mean())
            rows.append(logits[:, names.index(name)].double())
        scores = torch.stack(rows)
        found[name] = EditResponse(
            responses=scores.sigmoid().mean(1).tolist(),
            monotone=float((scores.diff(dim=0) > 0).all(0).double().mean()),
            distance=distance,
        )
    other = (features - features.roll(len(features) // 2, 0)).norm(dim=1).double().mean()
    return found, float(other)
