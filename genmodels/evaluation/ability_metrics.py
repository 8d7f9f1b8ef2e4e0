"""What is measured of some kinds of models only: reconstruction, likelihood, continuity, attributes, classification."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from .. import losses
from ..features.classifier import Classifier
from ..features.evaluators import BATCH
from ..features.metrics import eight_bit, within_class_coverage
from ..latents import draw_latents
from ..pipelines.autoencoder import AutoencoderPipeline, EncoderDecoderPipeline, add_noise
from ..pipelines.base import ImagePipeline
from ..pipelines.gan import CGANPipeline
from ..pipelines.vae import VAEPipeline
from ..pixels import OutputImages
from .attributes import COMPARED, STRENGTHS, edit_responses
from .continuity import class_balance, jacobian_norms, recognizable_share
from .reconstruction import PCA, median_filter, psnr
from .report import Metric

# Bits of each number of a compressed latent.
COMPRESSION_BITS = 8
# Draws per image, and images, of the importance-weighted bound.
NLL_DRAWS, NLL_IMAGES = 64, 1000
# Latents at which decoders are differentiated, at most, and derivatives along an axis in all.
JACOBIANS, JVPS = 1000, 16_000
# Which neighbour of an image recall within a class looks for.
NEAREST = 3
# Draws for each image and class there.
CLASSIFY_DRAWS = 1
# Images whose attributes are edited.
EDITED_IMAGES = 1000


def classification_metric(
    pipeline: VAEPipeline | CGANPipeline, images: torch.Tensor, labels: torch.Tensor, judged_right: torch.Tensor | None
) -> Metric:
    """How many images a generative model classifies right; the floor is the evaluator's share on the same images.

    Args:
        pipeline: with classes.
        images, labels: real ones, in the pipeline's numbers of the classes.
        judged_right: bool (N,), whether the evaluator is; None if it does not know these classes.
    """
    chosen = spaced_indices(len(images), pipeline.family.classifies)
    args = {"images": len(chosen)}
    if isinstance(pipeline, VAEPipeline):
        args["draws"] = CLASSIFY_DRAWS
        found = pipeline.classify(images[chosen], num_draws=CLASSIFY_DRAWS)
    else:
        found = pipeline.classify(images[chosen])
    right = found.class_labels == labels[chosen]
    floor = None if judged_right is None else float(judged_right[chosen].double().mean())
    name = f"classification accuracy on {len(chosen):,} of the real images (generative)"
    return Metric("generative_accuracy", name, float(right.double().mean()), floor, "higher", args)


def within_class_recall_metrics(
    reference: tuple[torch.Tensor, torch.Tensor],
    fakes: tuple[torch.Tensor, torch.Tensor],
    floor: tuple[torch.Tensor, torch.Tensor],
) -> list[Metric]:
    """Which part of the real images is like some image of its own class; nothing where a class has too few for that.

    Args:
        reference, fakes, floor: features (N, D) and labels (N,) of each set; of the fakes, what was asked for.
    """
    present = torch.cat([labels for _, labels in (reference, fakes, floor)]).unique()
    counts = [int((labels == c).sum()) for _, labels in (reference, fakes, floor) for c in present]
    if min(counts) <= NEAREST:
        return []
    value, real = (within_class_coverage(*reference, *others, k=NEAREST) for others in (fakes, floor))
    name = f"recall within a class (k = {NEAREST}, mean over the classes)"
    return [Metric("within_class_recall", name, value, real, "higher")]


def completeness_metrics(
    classifier: Classifier,
    fake_features: torch.Tensor,
    floor_features: torch.Tensor,
    real_features: torch.Tensor,
    real_labels: torch.Tensor,
) -> list[Metric]:
    """How often what is decoded from the prior is like real images of some class, and how evenly the classes come up.

    Features are the classifier's, (N, D) each; `real_labels` are its numbers of the classes of the real images.
    """

    @torch.no_grad()
    def completeness(features: torch.Tensor) -> tuple[float, float]:
        predicted = classifier.head(features).argmax(1)
        share = recognizable_share(features, predicted, real_features, real_labels)
        return share, class_balance(predicted, classifier.config.num_classes)

    drawn, real = completeness(fake_features), completeness(floor_features)
    return [
        Metric("recognizable", "share like real images of a class (k = 3)", drawn[0], real[0], "higher"),
        Metric("class_balance", "balance of the classes drawn (entropy, 1 = even)", drawn[1], real[1], "higher"),
    ]


def lipschitz_metrics(pipeline: EncoderDecoderPipeline, seed: int) -> list[Metric]:
    """How fast decoded images change where the prior N(0, I) has its mass; of a model with classes each latent in one of them."""
    n = max(2, min(JACOBIANS, JVPS // pipeline.latent_dim))
    latents = draw_latents(n, pipeline.latent_dim, seed=seed)

    def brightness(z: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        return pipeline.decoder(z, *([] if weights is None else [weights.expand(len(z), -1)])) / 2

    count = pipeline.num_classes
    parts = [
        jacobian_norms(partial(brightness, weights=weights), latents[i::count])
        for i, weights in enumerate(torch.eye(count)[:n])
    ]
    norms = torch.cat(parts) if parts else jacobian_norms(brightness, latents)
    args = {"latents": n}
    of = "decoder's slope at latents from N(0, I) (spectral norm of the Jacobian, brightness in [0, 1])"
    return [
        Metric("lipschitz_p99", f"{of}, 99th percentile", float(norms.quantile(0.99)), None, "lower", args),
        Metric("lipschitz_max", f"{of}, largest of {n:,}", float(norms.max()), None, "lower", args),
    ]


@torch.no_grad()
def vae_metrics(pipeline: VAEPipeline, images: torch.Tensor, labels: torch.Tensor | None) -> list[Metric]:
    """Reconstruction error and bounds of the likelihood on real images, given their labels if there are any."""
    config = pipeline.decoder.config
    generator = torch.Generator().manual_seed(0)
    error = reconstruction = kl = 0.0
    for start in range(0, len(images), BATCH):
        chunk, chunk_labels = images[start : start + BATCH], part_of(labels, start, BATCH)
        share = len(chunk) / len(images)
        posterior = pipeline.encode(chunk, chunk_labels)
        decoded = torch.as_tensor(pipeline.decode(posterior.mean, "pt", class_labels=chunk_labels).images)
        error += share * float(((decoded - chunk) / 2).square().mean())
        logits = pipeline.decoder(posterior.sample(generator), chunk_labels, return_logits=True)
        reconstruction -= share * float(pipeline.decoder.log_likelihood(logits, chunk).mean())
        kl += share * float(losses.gaussian_kl(posterior.mean, posterior.log_variance))
    few = spaced_indices(len(images), NLL_IMAGES)
    draws = {"draws": NLL_DRAWS, "images": len(few)}
    return [
        Metric("mse", "reconstruction error (mean square, brightness in [0, 1])", error, 0.0, "lower"),
        Metric(
            "negative_elbo", f"negative ELBO, {config.likelihood} likelihood (nats)", reconstruction + kl, None, "lower"
        ),
        Metric("kl", "of which KL (nats)", kl, None, "-"),
        Metric(
            "nll",
            f"NLL, importance-weighted bound (K = {NLL_DRAWS}, {len(few):,} of the images, {config.likelihood} likelihood, nats)",
            importance_weighted_nll(
                pipeline, images[few], NLL_DRAWS, class_labels=None if labels is None else labels[few]
            ),
            None,
            "lower",
            draws,
        ),
    ]


def attribute_metrics(pipeline: VAEPipeline, classifier: Classifier, images: torch.Tensor) -> list[Metric]:
    """What editing attributes does to images, as a classifier sees it that was trained on labels alone."""
    found, other = edit_responses(pipeline, classifier, images)
    args, metrics = {"images": len(images)}, []
    for name, edited in found.items():
        metrics += [
            Metric(f"response/{name}/{strength}", f"{name}: response at strength {strength}", value, None, "-", args)
            for strength, value in zip(STRENGTHS, edited.responses, strict=True)
        ]
        rising = f"{name}: share of faces with a response that rises from each strength to the next"
        moved = f"{name}: distance of a face edited with strength {COMPARED} to the unedited one (features)"
        metrics += [
            Metric(f"monotone/{name}", rising, edited.monotone, None, "higher", args),
            Metric(f"identity_distance/{name}", moved, edited.distance, None, "lower", args),
        ]
    if found:
        name = "for comparison: distance of a face, decoded, to another face (features)"
        metrics.append(Metric("identity_distance_other", name, other, None, "-", args))
    return metrics


@torch.no_grad()
def autoencoder_metrics(
    pipeline: AutoencoderPipeline, images: torch.Tensor, train: torch.Tensor, seed: int
) -> list[Metric]:
    """Reconstruction error beside that of PCA, compression, and of a denoiser what it removes of noise with this seed."""
    bits = {"bits": COMPRESSION_BITS}

    def mean_square(decoded: OutputImages) -> float:
        return float(losses.mean_squared_error(torch.as_tensor(decoded).double(), images.double()))

    pca = PCA(train, pipeline.latent_dim)
    of, size = "reconstruction error", f"{pipeline.latent_dim} numbers"
    metrics = [
        Metric(
            "mse",
            f"{of} (mean square, brightness in [0, 1])",
            mean_square(pipeline.reconstruct(images, "pt").images),
            0.0,
            "lower",
        ),
        Metric("mse_pca", f"{of} of PCA, {size} too", mean_square(pca.reconstruct(images)), 0.0, "-"),
        Metric(
            "mse_compressed",
            f"{of} through {COMPRESSION_BITS}-bit latents",
            mean_square(pipeline.decompress(pipeline.compress(images, **bits), "pt").images),
            0.0,
            "lower",
            bits,
        ),
        Metric(
            "compression_ratio",
            f"compression ratio (8-bit pixels to {COMPRESSION_BITS}-bit latents)",
            pipeline.compression_ratio(**bits),
            None,
            "-",
            bits,
        ),
    ]
    if not pipeline.noise:
        return metrics
    noisy = eight_bit(add_noise(images, pipeline.noise, torch.Generator().manual_seed(seed)))
    std = f"noise of standard deviation {pipeline.noise:g}"
    return [
        Metric(
            "psnr",
            f"PSNR of denoised images ({std}, dB)",
            psnr(torch.as_tensor(pipeline.denoise(noisy, "pt").images), images),
            None,
            "higher",
        ),
        Metric("psnr_noisy", "PSNR of the noisy images (dB)", psnr(noisy, images), None, "-"),
        Metric("psnr_median", "PSNR after a 3x3 median filter (dB)", psnr(median_filter(noisy), images), None, "-"),
        *metrics,
    ]


@torch.no_grad()
def importance_weighted_nll(
    pipeline: VAEPipeline, images: torch.Tensor, draws: int, seed: int = 0, class_labels: torch.Tensor | None = None
) -> float:
    """`losses.importance_weighted_nll` of images, in nats per image.

    Args:
        pipeline: its decoder says which likelihood p(x | z) is.
        images: `pixel_values` (N, C, H, W).
        draws: K.
        seed: of the draws.
        class_labels: (N,) int64; then the bound is of -log p(x | y).
    """
    config = pipeline.decoder.config
    generator = torch.Generator().manual_seed(seed)
    total, size = 0.0, max(1, BATCH // draws)
    for start in range(0, len(images), size):
        chunk, labels = images[start : start + size], part_of(class_labels, start, size)
        posterior = pipeline.encode(chunk, labels)
        noise = torch.randn(len(chunk), draws, config.latent_dim, generator=generator)
        latents = posterior.mean[:, None] + (0.5 * posterior.log_variance).exp()[:, None] * noise
        repeated_labels = None if labels is None else labels.repeat_interleave(draws)
        logits = pipeline.decoder(latents.flatten(0, 1), repeated_labels, return_logits=True)
        log_likelihood = pipeline.decoder.log_likelihood(logits, chunk.repeat_interleave(draws, 0)).view(-1, draws)
        parts = (noise, latents, posterior.log_variance)
        bound = losses.importance_weighted_nll(log_likelihood, *(part.double() for part in parts))
        total += len(chunk) * float(bound)
    return total / len(images)


def has_convolutions(pipeline: ImagePipeline) -> bool:
    """Whether any network of a pipeline has convolutions: those that draw may leave checkerboards."""
    networks = [network for network in pipeline.components.values() if isinstance(network, nn.Module)]
    return any(isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) for network in networks for layer in network.modules())


def part_of(labels: torch.Tensor | None, start: int, size: int) -> torch.Tensor | None:
    """`size` labels from `start` on, or None of none."""
    return None if labels is None else labels[start : start + size]


def spaced_indices(n: int, most: int) -> torch.Tensor:
    """Numbers from 0 to n - 1, at most `most`, at equal distances: the beginning of a split need not be typical."""
    return torch.linspace(0, n - 1, min(most, n)).round().long()
