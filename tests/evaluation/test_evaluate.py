"""The evaluation of a pipeline on the built-in sample: what it reports, with its floor, and that it can be repeated."""

import pytest
import torch
from helpers import make_pipeline

from genmodels import CGANGenerator, CGANPipeline, VAEDecoder, VAEEncoder, VAEPipeline, zoo
from genmodels.errors import UserError
from genmodels.evaluation.classifier import Classifier
from genmodels.evaluation.evaluate import MAX_IMAGES, eight_bit, evaluate, find_evaluator, generate


@pytest.fixture(scope="module")
def evaluation():
    torch.manual_seed(0)
    generator = CGANGenerator(base_channels=4, class_names=[str(i) for i in range(10)])
    return evaluate(CGANPipeline(generator.eval()), "zoo:mnist-sample")


def test_quality_never_stands_without_diversity(evaluation):
    metrics = {metric.metric: metric for metric in evaluation.metrics}
    assert {"fid", "precision", "recall", "accuracy", "within_class_distance"} <= set(metrics)
    assert all(metric.floor is not None for metric in metrics.values())


def test_noise_scores_far_from_its_floor(evaluation):
    metrics = {metric.metric: metric for metric in evaluation.metrics}
    assert metrics["fid"].value > 50 * metrics["fid"].floor
    assert metrics["accuracy"].value < 0.5 < 0.99 < metrics["accuracy"].floor
    assert metrics["recall"].value < 0.1 < metrics["recall"].floor


def test_the_protocol_says_n_split_and_seed(evaluation):
    assert evaluation.n == MAX_IMAGES
    for fact in ("n = 10,000", "seed 0", "2,000 images of zoo:mnist-sample", "split test", "evaluator-mnist"):
        assert fact in evaluation.protocol


def test_a_vae_reports_its_bound():
    torch.manual_seed(0)
    pipeline = VAEPipeline(VAEEncoder(base_channels=4).eval(), VAEDecoder(base_channels=4).eval())
    metrics = {metric.metric: metric.value for metric in evaluate(pipeline, "zoo:mnist-sample").metrics}
    # Untrained, every pixel is near 1/2: 784 ln 2 nats, and a mean square error of about 0.2.
    assert metrics["negative_elbo"] == pytest.approx(543, rel=0.1)
    assert 0.15 < metrics["mse"] < 0.35


def test_generated_classes_are_balanced_and_seeded():
    pipeline = make_pipeline("cgan")
    images, labels = (torch.cat(part) for part in zip(*generate(pipeline, 40, seed=3, num_classes=4), strict=True))
    assert labels.bincount().tolist() == [10] * 4
    again = torch.cat([part for part, _ in generate(pipeline, 40, seed=3, num_classes=4)])
    assert torch.equal(images, again)
    assert torch.equal(images, eight_bit(images))


def test_no_evaluator_for_a_shape_is_said():
    with pytest.raises(UserError, match="no built-in evaluator for images of 16x16"):
        find_evaluator(make_pipeline("cgan"))


@pytest.mark.parametrize(("name", "least"), [("evaluator-mnist", 0.993), ("evaluator-cifar10", 0.9)])
def test_built_in_evaluators_are_good_enough(name, least):
    classifier = Classifier.from_pretrained(str(zoo.model_folder(name)))
    assert classifier.config.test_accuracy >= least


def test_the_mnist_evaluator_reads_the_sample():
    classifier = Classifier.from_pretrained(str(zoo.model_folder("evaluator-mnist")))
    sample = zoo.load_sample("zoo:mnist-sample", "test")
    images = torch.from_numpy(sample.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        predicted = classifier(images).argmax(1)
    assert (predicted == torch.tensor(sample.labels)).float().mean() > 0.99
