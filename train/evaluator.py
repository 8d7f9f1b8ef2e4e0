"""Train the classifier that measures generated images: class accuracy, and features for FID, precision and recall.

    accelerate launch train/evaluator.py
    accelerate launch train/evaluator.py --preset cifar10
    accelerate launch train/evaluator.py --preset celeba

A half-width ResNet-9 with one cycle of the learning rate, SGD with Nesterov momentum, random crops and, for CIFAR-10, flips.
With --attributes it learns boolean columns side by side, each by its own cross-entropy, as in CelebA (Liu et al. 2015).
Its accuracy on the test split is measured at the end and travels in its config.
"""

import genmodels.interrupts  # noqa: F401, so that Ctrl-C ends the other imports with a sentence, too

# isort: split

import argparse

import torch
from torch.nn import functional as F

from genmodels import losses
from genmodels.evaluation.classifier import Classifier
from genmodels.hub.push import finish_run, require_write_access
from genmodels.hub.uploads import checkpoint_uploads
from genmodels.training import TrainingRun, add_common_arguments, at_least, in_range, parse_arguments, run_main
from genmodels.training.arguments import require_classes

# What differs from the flags' defaults.
PRESETS = {
    "mnist": {},
    "cifar10": {
        "dataset_name": "uoft-cs/cifar10",
        "output_dir": "runs/evaluator-cifar10",
        "base_channels": 32,
        "max_train_steps": 2600,
        "train_batch_size": 256,
        "lr_warmup_steps": 600,
        "learning_rate": 0.3,
        "random_flip": True,
    },
    "celeba": {
        "dataset_name": "flwrlabs/celeba",
        "output_dir": "runs/evaluator-celeba",
        "attributes": ["all"],
        "resolution": 64,
        "base_channels": 20,
        "early_pooling": True,
        "crop_padding": 4,
        "max_train_steps": 1000,
        "train_batch_size": 128,
        "lr_warmup_steps": 200,
        "random_flip": True,
    },
}


def parse_args() -> argparse.Namespace:
    """Flags of this script; the shared ones stand in genmodels/training/arguments.py."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="mnist", help="(default: %(default)s)")
    parser.add_argument(
        "--base_channels", type=at_least(1), default=16, help="width of the network (default: %(default)s)"
    )
    parser.add_argument(
        "--crop_padding", type=at_least(0), default=2, help="pixels to shift by at most (default: %(default)s)"
    )
    parser.add_argument("--attributes", nargs="+", metavar="COLUMN", help="boolean columns in place of classes, or all")
    parser.add_argument(
        "--early_pooling", action="store_true", help="halve images in the first layer: for 64 pixels or more"
    )
    parser.add_argument("--learning_rate", type=in_range(0, 10), default=0.1, help="at the peak (default: %(default)s)")
    parser.add_argument("--weight_decay", type=in_range(0, 1), default=5e-4, help="(default: %(default)s)")
    parser.add_argument("--test_split", default="test", help="what its accuracy is measured on (default: %(default)s)")
    add_common_arguments(parser, output_dir="runs/evaluator-mnist", dataset_name="ylecun/mnist", draws=False)
    parser.set_defaults(max_train_steps=2400, train_batch_size=128, lr_scheduler="linear", lr_warmup_steps=500)
    return parse_arguments(parser, PRESETS)


def hits(scores: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Which answers are right: bool (N,), or of attributes (N, A)."""
    if "attributes" in batch:
        return (scores > 0) == batch["attributes"]
    return scores.argmax(1) == batch["class_labels"]


def main() -> None:
    args = parse_args()
    require_write_access(args)
    run = TrainingRun(args, on_checkpoint=checkpoint_uploads(args))
    if not args.attributes:
        require_classes(run.data, "An evaluator without --attributes")
    # An absent split is told of before training, not after.
    run.whole_split(args.test_split)
    classifier = Classifier(
        sample_size=run.data.sample_size,
        num_channels=run.data.num_channels,
        num_classes=None if args.attributes else run.data.num_classes,
        class_names=None if args.attributes else run.data.class_names,
        attribute_names=run.data.attribute_names or None,
        base_channels=args.base_channels,
        early_pooling=args.early_pooling,
    )
    optimizer = torch.optim.SGD(
        classifier.parameters(),
        lr=args.learning_rate,
        momentum=0.9,
        nesterov=True,
        weight_decay=args.weight_decay,
        fused=True,
    )

    @torch.no_grad()
    def with_accuracy(classifier: Classifier) -> Classifier:
        if run.done:
            batches = run.whole_split(args.test_split)
            right = [hits(classifier(batch["pixel_values"].to(run.device)).cpu(), batch) for batch in batches]
            classifier.register_to_config(test_accuracy=float(torch.cat(right).double().mean()))
            print(f"Accuracy on {args.test_split}: {classifier.config.test_accuracy:.2%}")
        return classifier

    (model,) = run.prepare(
        models={"classifier": classifier},
        optimizers={"classifier": optimizer},
        averaged=("classifier",),
        make_pipeline=with_accuracy,
    )

    def cross_entropy(batch: dict[str, torch.Tensor]) -> tuple:
        """-log p(class | image), or the mean over attributes of -log p(has it or not | image), the image moved at random."""
        images = losses.translate(batch["pixel_values"], args.crop_padding, fill=-1.0)
        scores = model(images.contiguous(memory_format=torch.channels_last))
        if args.attributes:
            loss = F.binary_cross_entropy_with_logits(scores, batch["attributes"].float())
        else:
            loss = F.cross_entropy(scores, batch["class_labels"])
        return loss, {"loss": loss, "accuracy": hits(scores, batch).float().mean()}

    for batch in run.steps():
        run.update(optimizer, cross_entropy, batch)

    finish_run(run, title="Evaluator", test_split=args.test_split)


if __name__ == "__main__":
    run_main(main)
