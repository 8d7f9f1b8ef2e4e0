# /// script
# requires-python = ">=3.11"
# dependencies = ["genmodels[train] @ git+https://github.com/genmodels/genmodels"]
# [tool.hf-jobs]
# flavor = "t4-small"
# timeout = "2h"
# secrets = ["HF_TOKEN"]
# ///
"""Train the classifier that measures generated images: class accuracy, and features for FID, precision and recall.

    accelerate launch train/evaluator.py
    accelerate launch train/evaluator.py --preset cifar10

A half-width ResNet-9 with one cycle of the learning rate, SGD with Nesterov momentum, random crops and, for CIFAR-10, flips.
With --attributes it learns boolean columns side by side, each by its own cross-entropy, as in CelebA (Liu et al. 2015).
Its accuracy on the test split is measured at the end and travels in its config.
"""

if __name__ == "__main__":
    from genmodels.interrupts import leave_at_ctrl_c

    leave_at_ctrl_c()

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from genmodels import losses
from genmodels.features.classifier import Classifier
from genmodels.training import TrainingRun, main, publish_run
from genmodels.training.config import TrainingConfig, setting

# What differs from the defaults.
SHORT = {"random_flip": True, "lr_warmup_steps": 200, "max_train_steps": 1000}
CIFAR10 = {
    **{"dataset_name": "uoft-cs/cifar10", "output_dir": "runs/evaluator-cifar10", "random_flip": True},
    **{"max_train_steps": 2600, "lr_warmup_steps": 600, "train_batch_size": 256, "learning_rate": 0.3},
    "base_channels": 32,
}
CELEBA = {
    **{"dataset_name": "flwrlabs/celeba", "output_dir": "runs/evaluator-celeba", "attributes": ["all"], **SHORT},
    **{"resolution": 64, "base_channels": 20, "early_pooling": True, "crop_padding": 4},
}
EMOJI = {
    **{"dataset_name": "googlefonts/noto-emoji", "output_dir": "runs/evaluator-emoji", "test_split": "train", **SHORT},
    **{"num_channels": 4, "resolution": 32},
}


@dataclass(kw_only=True)
class Config(TrainingConfig):
    PRESETS = {"mnist": {}, "cifar10": CIFAR10, "celeba": CELEBA, "emoji": EMOJI}
    # It draws nothing.
    ABSENT = ("pretrained_model_name_or_path", "sample_steps", "monitor_steps", "validation_steps")

    preset: str = setting("mnist", choices=("mnist", "cifar10", "celeba", "emoji"))
    base_channels: int = setting(16, "width of the network", low=1)
    crop_padding: int = setting(2, "pixels to shift by at most", low=0)
    attributes: list[str] | None = setting(None, "boolean columns in place of classes, or all", metavar="COLUMN")
    early_pooling: bool = setting(False, "halve images in the first layer: for 64 pixels or more")
    learning_rate: float = setting(0.1, "at the peak", low=0, high=10)
    weight_decay: float = setting(5e-4, low=0, high=1)
    test_split: str = setting("test", "what its accuracy is measured on")
    max_train_steps: int = 2400
    train_batch_size: int = 128
    lr_scheduler: str = "linear"
    lr_warmup_steps: int = 500
    output_dir: str = "runs/evaluator-mnist"


def hits(scores: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Which answers are right: bool (N,), or of attributes (N, A)."""
    return (scores > 0) == batch["attributes"] if "attributes" in batch else scores.argmax(1) == batch["class_labels"]


def train(run: TrainingRun[Config]) -> Path:
    config = run.config
    shape = run.shape(classes_for="" if config.attributes else "An evaluator without --attributes")
    # An absent split is told of before training, not after.
    run.whole_split(config.test_split)
    layers = {"base_channels": config.base_channels, "early_pooling": config.early_pooling}
    shape = {"num_classes": None, "class_names": None, "attribute_names": run.data.attribute_names or None, **shape}
    classifier = Classifier(**layers, **shape)
    options = {"momentum": 0.9, "nesterov": True, "weight_decay": config.weight_decay, "fused": True}
    optimizer = torch.optim.SGD(classifier.parameters(), lr=config.learning_rate, **options)

    @torch.no_grad()
    def with_accuracy(classifier: Classifier) -> Classifier:
        if run.done:
            batches = run.whole_split(config.test_split)
            right = [hits(classifier(batch["pixel_values"].to(run.device)).cpu(), batch) for batch in batches]
            classifier.register_to_config(test_accuracy=float(torch.cat(right).double().mean()))
            run.say(f"Accuracy on {config.test_split}: {classifier.config.test_accuracy:.2%}")
        return classifier

    models, optimizers = {"classifier": classifier}, {"classifier": optimizer}
    (model,) = run.prepare(models, optimizers, make_pipeline=with_accuracy, draw_samples=None)

    def cross_entropy(batch: dict[str, torch.Tensor]) -> tuple:
        """-log p(class | image), or the mean over attributes of -log p(has it or not | image), the image moved at random."""
        images = losses.translate(batch["pixel_values"], config.crop_padding, fill=-1.0)
        scores = model(images.contiguous(memory_format=torch.channels_last))
        if config.attributes:
            loss = F.binary_cross_entropy_with_logits(scores, batch["attributes"].float())
        else:
            loss = F.cross_entropy(scores, batch["class_labels"])
        return loss, {"loss": loss, "accuracy": hits(scores, batch).float().mean()}

    for batch in run.steps():
        run.update(optimizer, cross_entropy, batch)

    return publish_run(run, title="Evaluator", test_split=config.test_split)


if __name__ == "__main__":
    main(Config, train)
