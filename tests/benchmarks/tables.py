"""The tables that reproduce.py fills: what is trained, what is measured of it, and what has been published."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from genmodels.live import LiveGAN, Settings


@dataclass(frozen=True)
class Column:
    """A number of a table.

    Attributes:
        key: in what `Table.measure` returns.
        heading: above the column.
        form: how it is written.
        panel: title of the curves that it shares with other columns; by default it has its own.
    """

    key: str
    heading: str
    form: str = ".3g"
    panel: str = ""


@dataclass(frozen=True)
class Row:
    """A model of a table.

    Attributes:
        name: what the row is called.
        command: what follows `accelerate launch`; empty where `Table.measure` trains by itself.
        seeds: how often it is trained, with seeds 0, 1, ...
        published: what others report, and `source`, a Markdown link to where.
        settings: for `Table.measure`.
    """

    name: str
    command: str = ""
    seeds: int = 1
    published: str = ""
    source: str = ""
    settings: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """What is compared.

    Attributes:
        title, about: what stands above the table.
        columns, rows: of it.
        measure: from the folder of a trained model (None without a command), its row, seed and data to the numbers by key, and
            the protocol in words; "points" among them are pictures for figures.py, {data: {step: "x,y x,y ..."}}.
        axis: what the number in a row's name is, if figures.py is to draw curves over it.
        pictures: whether what each row draws with seed 0 is shown, too.
        dataset: what its scripts read, "mnist", "cifar10", "emoji" or "" for none.
        make_data: makes other data of that in a folder, from (folder, name of the dataset); the scripts read the folder then.
        timed: whether "seconds" of a row are those of its whole command: then none goes on from a checkpoint.
    """

    title: str
    about: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    measure: Callable[[Path | None, Row, int, str], tuple[dict[str, float], str]]
    axis: str = ""
    pictures: bool = False
    dataset: str = ""
    make_data: Callable[[Path, str], None] | None = None
    timed: bool = False


def binarized(folder: Path, source: str) -> None:
    """Each pixel black or white, white with the probability of its brightness, drawn once for all."""
    import datasets
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for split in ("train", "test"):
        data = datasets.load_dataset(source, split=split)
        drawn = []
        for row in data:
            brightness = np.asarray(row["image"], dtype=np.float64) / 255
            drawn.append(Image.fromarray(np.uint8(255 * (random.random(brightness.shape) < brightness))))
        features = datasets.Features({"image": datasets.Image(), "label": data.features["label"]})
        made = datasets.Dataset.from_dict({"image": drawn, "label": data["label"]}, features=features)
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        made.to_parquet(path)


# Images of the training and the test split of stacked digits.
STACKED = {"train": 128_000, "test": 26_000}


def stacked(folder: Path, source: str) -> None:
    """A random digit each in red, green and blue."""
    import datasets
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for split, count in STACKED.items():
        digits = np.stack([np.asarray(image) for image in datasets.load_dataset(source, split=split)["image"]])
        chosen = random.integers(len(digits), size=(count, 3))
        images = [Image.fromarray(np.stack([digits[i] for i in row], axis=-1)) for row in chosen]
        made = datasets.Dataset.from_dict({"image": images}, features=datasets.Features({"image": datasets.Image()}))
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        made.to_parquet(path)


def by_modes(folder: Path, row: Row, seed: int, dataset_name: str) -> tuple[dict[str, float], str]:
    """How many of the 1,000 modes of stacked digits there are among as many samples as real images."""

    from genmodels import load_pipeline
    from genmodels.evaluation.evaluate import generate, read_split
    from genmodels.evaluation.modes import stacked_modes
    from genmodels.features.evaluators import load_classifier

    classifier, _ = load_classifier("evaluator-mnist")
    _, (real, _) = read_split(dataset_name, "test")
    import torch

    fake = torch.cat([images for images, _ in generate(load_pipeline(folder), len(real), 0)])
    values = {}
    for suffix, images in (("", fake), ("_floor", real)):
        values[f"modes{suffix}"], values[f"kl{suffix}"] = stacked_modes(images, classifier)
    protocol = (
        f"{len(real):,} images drawn with seed 0, the digit of each colour read by evaluator-mnist "
        f"({classifier.config.test_accuracy:.2%} test accuracy); real images are as many stacked test digits. "
        "KL is from the generated shares of the 1,000 modes to equal ones, in nats."
    )
    return values, protocol


# Draws of the bound of -log p(x) for each test image.
NLL_DRAWS = 200


def by_likelihood(folder: Path, row: Row, seed: int, dataset_name: str) -> tuple[dict[str, float], str]:
    """The importance weighted bound of all test images, and the negative ELBO."""
    from genmodels import load_pipeline
    from genmodels.evaluation.ability_metrics import importance_weighted_nll
    from genmodels.evaluation.evaluate import read_split

    pipe = load_pipeline(folder)
    _, (images, _) = read_split(dataset_name, "test")
    nll, elbo = (importance_weighted_nll(pipe, images, draws) for draws in (NLL_DRAWS, 1))
    protocol = (
        f"Bounds of -log p(x) in nats, the mean over all {len(images):,} test images of MNIST, binarised once with seed 0; "
        f"{NLL_DRAWS} draws for each (seed 0), and one for the negative ELBO."
    )
    return {"nll": nll, "negative_elbo": elbo}, protocol


def by_evaluation(folder: Path, row: Row, seed: int, dataset_name: str) -> tuple[dict[str, float], str]:
    """What `python -m genmodels evaluate` measures, against images of the classes learned; floors are `KEY_floor`."""
    from genmodels import load_pipeline
    from genmodels.evaluation.evaluate import evaluate

    classes = json.loads((folder / "training.json").read_text())["classes"]
    evaluation = evaluate(load_pipeline(folder), dataset_name, classes=classes, c2st=False, cas=False)
    values = {metric.metric: metric.value for metric in evaluation.metrics}
    floors = {f"{metric.metric}_floor": metric.floor for metric in evaluation.metrics if metric.floor is not None}
    return values | floors, evaluation.protocol


# What a run of speedrun.py must reach, and how its rows are trained: nothing but training counts.
SPEEDRUN_ACCURACY, SPEEDRUN_FLOORS = 0.98, 4
SPEEDRUN = "train/cgan.py --monitor_steps 0 --validation_steps 0 --sample_steps 100000"
LAZY = f"{SPEEDRUN} --penalty_interval 4"
FLOW = (
    "train/diffusion.py --conditional --ema_decay 0.9995 --monitor_steps 0 --validation_steps 0 --sample_steps 100000"
)
EMOJI = (
    "train/cgan.py --dataset_name googlefonts/noto-emoji --num_channels 4 --resolution 32 "
    "--base_channels 32 --discriminator_channels 32 --penalty_interval 4 "
    "--headroom 0.1 --max_train_steps 4000 --monitor_steps 0 --validation_steps 0 --sample_steps 100000"
)
ONE_PROCESS = "--num_processes 1 --num_cpu_threads_per_process 2"
TWO_PROCESSES = "--multi_cpu --num_processes 2 --num_cpu_threads_per_process 1"


def by_goal(folder: Path, row: Row, seed: int, dataset_name: str) -> tuple[dict[str, float], str]:
    """What `by_evaluation` says, FID in floors, and 1 if the row has reached its goal, else 0."""
    values, protocol = by_evaluation(folder, row, seed, dataset_name)
    ratio = values["fid"] / values["fid_floor"]
    reached = values["accuracy"] >= SPEEDRUN_ACCURACY and ratio <= SPEEDRUN_FLOORS
    return {"fid_ratio": ratio, "reached": float(reached), **values}, protocol


@cache
def features_of_split(dataset_name: str, split: str):
    """Evaluator features (N, 128) of all images of a split of MNIST."""
    from genmodels.evaluation.evaluate import read_split
    from genmodels.features.evaluators import features_of, load_classifier

    classifier, _ = load_classifier("evaluator-mnist")
    _, (images, _) = read_split(dataset_name, split)
    return features_of(classifier, images)


def by_halves(folder: None, row: Row, seed: int, dataset_name: str) -> tuple[dict[str, float], str]:
    """The metrics between n training and n test images, which a perfect model would have."""
    import torch

    from genmodels.features import metrics

    random = torch.Generator().manual_seed(seed)
    train, test = (
        features[torch.randperm(len(features), generator=random)[: row.settings["n"]]]
        for features in (features_of_split(dataset_name, split) for split in ("train", "test"))
    )
    values = {
        "fid": metrics.frechet_distance(train, test),
        "kid": metrics.kernel_distance(train, test, seed=seed),
        "precision": metrics.coverage_of(train, test),
        "recall": metrics.coverage_of(test, train),
    }
    protocol = (
        "n random training images of MNIST against n random test images, on the features of evaluator-mnist; KID over 100 "
        "subsets of at most 1,000."
    )
    return values, protocol


# Steps of the GANs of points, when they are looked at, the points that are kept then, and those by which they are judged.
POINT_STEPS, LOOKS, KEPT, POINTS = 10_000, (500, 2_000, 10_000), 400, 2_500


def by_coverage(folder: None, row: Row, seed: int, dataset_name: str) -> tuple[dict, str]:
    """Train a GAN of points on each mixture, and count the modes."""
    values, points = {}, {}
    for data in ("ring", "grid"):
        gan = LiveGAN(Settings(data=data, seed=seed, **row.settings))
        points[data] = {}
        for step in LOOKS:
            gan.train(step - gan.step)
            points[data][str(step)] = " ".join(f"{x:.2f},{y:.2f}" for x, y in gan.sample(KEPT).tolist())
        modes, good = gan.coverage(POINTS)
        values |= {f"{data}_modes": modes, f"{data}_good": 100 * good}
    protocol = (
        f"{POINT_STEPS:,} steps of 256 points, networks of two hidden layers of 64, Adam with a rate of 1e-3. Of {POINTS:,} "
        "points drawn then, those within three standard deviations of a centre are of high quality. The ring has a radius of 2 "
        "and a standard deviation of 0.1, the grid a spacing of 1 and one of 0.05; published are numbers of a radius of 1 and "
        "one of 0.01, a spacing of 2 and one of 0.05."
    )
    if seed == 0:
        values["points"] = points
    return values, protocol


PACGAN = "[Lin et al. 2018](https://arxiv.org/abs/1712.04086), its table of stacked MNIST"
R3GAN = "[Huang et al. 2024](https://arxiv.org/abs/2501.05441)"
VEEGAN = "[Srivastava et al. 2017](https://arxiv.org/abs/1705.07761), table 1"
FLOWS = "[Rezende, Mohamed 2015](https://arxiv.org/abs/1505.05770)"
PYTHAE = "[pythae](https://github.com/clementchadebec/benchmark_VAE), its table of reproduced results"
IWAE = "[Burda et al. 2016](https://arxiv.org/abs/1509.00519)"
# The data that `stacked` makes.
# The last weights count: those of the lowest FID might be of a step before a collapse.
ON_STACKED = "--dataset_name runs/reproduce/mnist-stacked --base_channels 24 --max_train_steps {} --validation_steps 0"
ON_DIGITS = "train/dcgan.py --dataset_name ylecun/mnist --r1 0.2 --r2 0.2 --max_train_steps 3000"
CGAN = "train/cgan.py --base_channels 16 --discriminator_channels 24 --max_train_steps 5000"
# The five tricks, as small as three seeds of each row ask for.
FROGS = "train/dcgan.py --classes frog --random_flip --base_channels 24 --max_train_steps 3000"
# The data that `binarized` makes.
ON_BINARIZED = "train/vae.py --dataset_name runs/reproduce/mnist-binarized"
DENSE = f"{ON_BINARIZED} --network dense --hidden_dim 400 --latent_dim 40 --train_batch_size 100"
TABLES = {
    "likelihood": Table(
        title="Likelihood of VAEs on binarised MNIST",
        about="How many nats a VAE needs for a test image that it has never seen: an upper bound of -log p(x), the tighter the "
        "more latents are drawn for it.",
        columns=(Column("nll", "NLL (nats)", ".2f"), Column("negative_elbo", "negative ELBO (nats)", ".2f")),
        rows=(
            *(
                Row(f"VAE, 784-400-40, {steps:,} steps", f"{DENSE} --max_train_steps {steps}")
                for steps in (20_000, 60_000)
            ),
            Row(
                "VAE, 784-400-40, 200,000 steps",
                f"{DENSE} --max_train_steps 200000",
                published="89.9; pythae obtains 89.78",
                source=f"{FLOWS}; {PYTHAE}",
            ),
            Row(
                "IWAE, 784-400-40, 50 draws, 20,000 steps",
                f"{DENSE} --importance_samples 50 --max_train_steps 20000",
                published="87.1; pythae obtains 86.82 (5,000 draws)",
                source=f"{IWAE}; {PYTHAE}",
            ),
            Row("VAE with convolutions, 20,000 steps", f"{ON_BINARIZED} --latent_dim 40 --max_train_steps 20000"),
        ),
        measure=by_likelihood,
        dataset="mnist",
        make_data=binarized,
    ),
    "autoencoder": Table(
        title="Autoencoder against PCA",
        about="Mean squared error of reconstructed test digits (brightness from 0 to 1) through a bottleneck of so many numbers, "
        "and how much smaller 8-bit latents are than the images.",
        columns=(
            Column("mse", "autoencoder", ".4f", panel="mean squared error"),
            Column("mse_pca", "PCA", ".4f", panel="mean squared error"),
            Column("compression_ratio", "times smaller", ".0f"),
        ),
        rows=tuple(
            Row(f"{dim} numbers", f"train/autoencoder.py --latent_dim {dim} --base_channels 16 --max_train_steps 6000")
            for dim in (2, 8, 32)
        ),
        measure=by_evaluation,
        axis="numbers in the bottleneck",
        dataset="mnist",
    ),
    "beta": Table(
        title="The weight of the KL term",
        about="A VAE with a latent of 16 numbers: a small weight draws sharp reconstructions from a latent space full of "
        "holes, a large one fills the space and forgets the image.",
        columns=(
            Column("mse", "reconstruction MSE", ".4f"),
            Column("kl", "KL (nats)", ".1f"),
            Column("negative_elbo", "negative ELBO (nats)", ".1f"),
            Column("fid", "FID of samples", ".2f"),
            Column("recall", "recall of samples", ".2f"),
            Column("recognizable", "like real digits", ".0%"),
        ),
        rows=tuple(
            Row(
                f"beta = {beta:g}",
                f"train/vae.py --latent_dim 16 --base_channels 16 --hidden_dim 64 --beta {beta:g} --max_train_steps 4000",
            )
            for beta in (0.1, 0.5, 1, 2, 4, 10)
        ),
        measure=by_evaluation,
        axis="beta",
        dataset="mnist",
    ),
    "cgan": Table(
        title="Recipes of the conditional GAN",
        about="Class accuracy alone says little: ten perfect digits would have all of it. Recall is what part of the real digits "
        "is like some generated one, within a class what part is like one of the same class (the mean over the ten), and the "
        "distance within a class is between the generated images of one class.",
        columns=(
            Column("fid", "FID", ".2f"),
            Column("accuracy", "class accuracy", ".1%"),
            Column("recall", "recall", ".2f"),
            Column("within_class_recall", "recall within a class", ".2f"),
            Column("within_class_distance", "distance within a class", ".2f"),
        ),
        rows=(
            Row("plain", f"{CGAN} --preset classic --label_smoothing 0", seeds=3),
            Row("one-sided label smoothing", f"{CGAN} --preset classic --label_smoothing 0.1", seeds=3),
            Row("WGAN-GP", f"{CGAN} --preset wgan-gp", seeds=3),
            Row("relativistic, R1 and R2", CGAN, seeds=3),
        ),
        measure=by_evaluation,
        pictures=True,
        dataset="mnist",
    ),
    "speedrun": Table(
        title="A conditional GAN of MNIST against the clock",
        about="Seconds of two CPU cores from the start of a command to its saved model, data at hand, which must draw digits "
        f"with a class accuracy of {SPEEDRUN_ACCURACY:.0%} and a FID of {SPEEDRUN_FLOORS} times that of real images. A row is an "
        "attempt and changes what its name says in the row above; how many steps it takes was found by trying.",
        columns=(
            Column("seconds", "seconds", ".0f"),
            Column("reached", "runs that reach both", ".0%"),
            Column("accuracy", "class accuracy", ".1%"),
            Column("fid_ratio", "FID, times that of real images", ".1f"),
            Column("recall", "recall", ".2f"),
        ),
        rows=(
            Row("one process of two threads", f"{ONE_PROCESS} {SPEEDRUN} --max_train_steps 1400", seeds=3),
            Row("two processes of one thread", f"{TWO_PROCESSES} {SPEEDRUN} --max_train_steps 1400", seeds=3),
            Row("penalties every fourth step", f"{TWO_PROCESSES} {LAZY} --max_train_steps 1400", seeds=3),
        ),
        measure=by_goal,
        dataset="mnist",
        timed=True,
    ),
    "budgets": Table(
        title="A GAN and a flow at equal minutes",
        about="Conditional models of digits, each trained to the end of a schedule of its own: a GAN, which draws in one pass, "
        "and flow matching, which draws in ten.",
        columns=(
            Column("minutes", "minutes of one core", ".0f"),
            Column("fid", "FID", ".2f"),
            Column("accuracy", "class accuracy", ".1%"),
            Column("recall", "recall", ".2f"),
        ),
        rows=(
            *(Row(f"GAN, {steps:,} steps", f"{LAZY} --max_train_steps {steps}") for steps in (600, 2400, 7200)),
            *(Row(f"flow, {steps:,} steps", f"{FLOW} --max_train_steps {steps}") for steps in (900, 3600, 10_800)),
        ),
        measure=by_evaluation,
        pictures=True,
        dataset="mnist",
    ),
    "few": Table(
        title="Few pictures",
        about="A conditional GAN of emoji that sees 100, 1,000 or all 3,786 of them, as it is by default below 10,000 pictures "
        "(the discriminator sees them changed at random and some are mirrored) and without that. Where the nearest training "
        "picture is nearer than to real ones, pictures are learned by heart.",
        columns=(
            Column("fid", "FID", ".2f"),
            Column("recall", "recall", ".2f"),
            Column("accuracy", "class accuracy", ".1%"),
            Column("nearest_training_distance", "distance to the nearest training picture", ".2f"),
        ),
        rows=tuple(
            Row(f"{name}, {how}", f"{EMOJI} {few} {flags}".strip())
            for name, few in (("100", "--max_train_samples 100"), ("1,000", "--max_train_samples 1000"), ("all", ""))
            for how, flags in (("by default", ""), ("neither", "--diffaugment none --no-random_flip"))
        ),
        measure=by_evaluation,
        pictures=True,
        dataset="emoji",
    ),
    "stacked-mnist": Table(
        title="Modes of stacked MNIST",
        about="Three random digits as the three colours of one image make 1,000 modes, and a collapse is counted: how many of "
        "them a GAN draws, and how far their shares are from equal ones.",
        columns=(Column("modes", "modes of 1,000", ".0f"), Column("kl", "reverse KL (nats)", ".3f")),
        rows=(
            Row(
                "DCGAN",
                f"train/dcgan.py --preset paper {ON_STACKED.format(4000)}",
                seeds=3,
                published="99.0 modes, KL 3.40; PacDCGAN2 1,000, 0.06; VEEGAN 150, 2.95",
                source=PACGAN,
            ),
            Row(
                "DCGAN, minibatch discrimination",
                f"train/dcgan.py --preset paper --minibatch_discrimination 32 {ON_STACKED.format(4000)}",
                seeds=3,
            ),
            Row(
                "WGAN-GP",
                "train/wgan.py --gradient_penalty --critic_steps 3 --learning_rate 5e-4 --adam_beta2 0.99 "
                f"{ON_STACKED.format(4000)}",
                seeds=3,
            ),
            Row(
                "relativistic, R1 and R2",
                f"train/dcgan.py {ON_STACKED.format(4000)}",
                seeds=3,
                published="1,000 modes, KL 0.029; 0.0781 in the ablation of its loss",
                source=R3GAN,
            ),
            Row("relativistic, R1 and R2, 8,000 steps", f"train/dcgan.py {ON_STACKED.format(8000)}", seeds=3),
        ),
        measure=by_modes,
        dataset="mnist",
        make_data=stacked,
    ),
    "depth": Table(
        title="Depth against width",
        about="A DCGAN of digits halves the resolution three times and is done: its discriminator adds up what it sees in each "
        "part. Twice as many channels make three times as many weights, two residual layers at 4x4 pixels twice as many. FID "
        "falls by what lies between the classes: digits that are none.",
        columns=(
            Column("fid", "FID", ".2f"),
            Column("precision", "precision", ".2f"),
            Column("recall", "recall", ".2f"),
        ),
        rows=tuple(
            Row(name, f"{ON_DIGITS} {flags}")
            for name, flags in (
                ("16 channels", "--base_channels 16"),
                ("32 channels", "--base_channels 32"),
                ("16 channels, two residual layers", "--base_channels 16 --residual_layers 2"),
            )
        ),
        measure=by_evaluation,
        dataset="mnist",
    ),
    "tricks": Table(
        title="Which of the five tricks matters",
        about="A DCGAN of frogs with the five tricks that every tutorial names, and without each of them in turn; at the end the "
        "recipe that is the default today, whose discriminator has no BatchNorm.",
        columns=(
            Column("fid", "FID", ".2f"),
            Column("precision", "precision", ".2f"),
            Column("recall", "recall", ".2f"),
            Column("checkerboard_energy", "checkerboard energy", ".4f"),
        ),
        rows=(
            Row("all five", f"{FROGS} --preset paper", seeds=3),
            Row("pixels from 0 to 1 by sigmoid, not tanh", f"{FROGS} --preset paper --without tanh", seeds=3),
            Row("uniform latents, not normal", f"{FROGS} --preset paper --without normal_latents", seeds=3),
            Row("neither dropout nor noisy labels", f"{FROGS} --preset paper --without noise", seeds=3),
            Row(
                "max pooling and ReLU, not strides and LeakyReLU", f"{FROGS} --preset paper --without strides", seeds=3
            ),
            Row("kernel 5, not 4", f"{FROGS} --preset paper --without divisible_kernel", seeds=3),
            Row("relativistic, R1 and R2", FROGS, seeds=3),
        ),
        measure=by_evaluation,
        dataset="cifar10",
    ),
    "bias": Table(
        title="What n does to the metrics",
        about="Real digits against other real digits: any distance is chance, and a FID of one n says nothing beside a FID of "
        "another. FID falls with n, precision and recall hardly move, and KID stays around 0: it alone is unbiased.",
        columns=(
            Column("fid", "FID", ".3f"),
            Column("kid", "KID", ".4f"),
            Column("precision", "precision", ".3f"),
            Column("recall", "recall", ".3f"),
        ),
        rows=tuple(Row(f"n = {n}", seeds=3, settings={"n": n}) for n in (250, 500, 1000, 2000, 5000, 10_000)),
        measure=by_halves,
        axis="images of each",
        dataset="mnist",
    ),
    "mixtures": Table(
        title="Modes of toy mixtures",
        about="How many of the 8 Gaussians on a ring, and of the 25 on a grid, a small GAN draws after training, and the "
        "share of its points that lie near one.",
        columns=(
            Column("ring_modes", "modes of 8", ".1f"),
            Column("ring_good", "high quality, %", ".0f"),
            Column("grid_modes", "modes of 25", ".1f"),
            Column("grid_good", "high quality, %", ".0f"),
        ),
        rows=(
            Row("minimax", seeds=3, settings={"loss": "minimax"}),
            Row(
                "non-saturating",
                seeds=3,
                settings={"loss": "nonsaturating"},
                published="GAN: 1 of 8, 99.3%; 3.3 of 25, 0.5%",
                source=VEEGAN,
            ),
            Row("non-saturating, R1 and R2", seeds=3, settings={"loss": "nonsaturating", "gradient_penalty": True}),
            Row(
                "non-saturating, minibatch stddev",
                seeds=3,
                settings={"loss": "nonsaturating", "minibatch_stddev": True},
            ),
            Row("non-saturating, spectral norm", seeds=3, settings={"loss": "nonsaturating", "spectral_norm": True}),
            Row("WGAN, clipped", seeds=3, settings={"loss": "wasserstein", "discriminator_steps": 5}),
            Row(
                "WGAN-GP", seeds=3, settings={"loss": "wasserstein", "gradient_penalty": True, "discriminator_steps": 5}
            ),
            Row("relativistic", seeds=3, settings={"loss": "relativistic"}),
            Row(
                "relativistic, R1 and R2",
                seeds=3,
                settings={"loss": "relativistic", "gradient_penalty": True},
                published="VEEGAN: 8 of 8, 52.9%; 24.6 of 25, 40%",
                source=VEEGAN,
            ),
        ),
        measure=by_coverage,
    ),
}
