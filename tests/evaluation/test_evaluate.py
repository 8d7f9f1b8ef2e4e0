"""The evaluation of a pipeline on the built-in sample: what it reports, with its floor, and that it can be repeated."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from helpers import make_pipeline
from PIL import Image

from genmodels import (
    CGANGenerator,
    CGANPipeline,
    PixelDiffusionPipeline,
    UNet,
    VAEDecoder,
    VAEEncoder,
    VAEPipeline,
    load_pipeline,
    zoo,
)
from genmodels.errors import UserError
from genmodels.evaluation.ability_metrics import (
    CLASSIFY_DRAWS,
    classification_metric,
    importance_weighted_nll,
    within_class_recall_metrics,
)
from genmodels.evaluation.classifiers import evaluate_classifier
from genmodels.evaluation.evaluate import class_counts, evaluate, generate
from genmodels.evaluation.measures import measure, of_normal, retrieval, tolerance_of
from genmodels.evaluation.reproduce import measure_again
from genmodels.families import BY_PIPELINE
from genmodels.features.evaluators import class_numbers, features_of, find_evaluator, load_classifier
from genmodels.features.metrics import eight_bit, frechet_distance
from genmodels.latents import draw_latents
from genmodels.pipelines.vae import PosteriorOutput

pytestmark = pytest.mark.slow


class LittleInception(torch.nn.Module):
    """Takes what Inception takes: bytes in three channels."""

    def forward(self, images):
        return (torch.nn.functional.adaptive_avg_pool2d(images.float(), 2).flatten(1),)


@pytest.fixture(scope="module")
def evaluation(few_digits, quick_measures):
    torch.manual_seed(0)
    generator = CGANGenerator(base_channels=4, class_names=[str(i) for i in range(10)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BY_PIPELINE, "CGANPipeline", replace(BY_PIPELINE["CGANPipeline"], classifies=20))
        patch.setattr("genmodels.evaluation.evaluate.load_inception", LittleInception)
        return evaluate(CGANPipeline(generator.eval()), few_digits, inception=True)


def test_quality_never_stands_without_diversity(evaluation):
    metrics = {metric.metric: metric for metric in evaluation.metrics}
    of_classes = {"accuracy", "within_class_distance", "within_class_recall"}
    assert {"fid", "kid", "precision", "recall", "checkerboard_energy"} | of_classes <= set(metrics)
    assert all(metric.floor is not None for metric in metrics.values())


def test_noise_scores_far_from_its_floor(evaluation):
    metrics = {metric.metric: metric for metric in evaluation.metrics}
    assert metrics["fid"].value > 5 * metrics["fid"].floor
    assert metrics["kid"].value > 20 * abs(metrics["kid"].floor)
    assert metrics["accuracy"].value < 0.5 < 0.95 < metrics["accuracy"].floor
    assert metrics["recall"].value < 0.1 < metrics["recall"].floor
    assert metrics["within_class_recall"].value < 0.1 < 0.4 < metrics["within_class_recall"].floor < 1


def test_the_standard_fid_is_a_number_of_its_own(evaluation):
    metrics = {metric.metric: metric for metric in evaluation.metrics}
    assert metrics["inception_fid"].value > 5 * metrics["inception_fid"].floor
    assert metrics["inception_fid"].value != metrics["fid"].value
    assert "Inception" not in metrics["fid"].name


def test_a_model_with_classes_classifies_real_images(evaluation):
    (metric,) = [metric for metric in evaluation.metrics if metric.metric == "generative_accuracy"]
    assert metric.args == {"images": 20}
    assert metric.value < 0.8 < 0.95 <= metric.floor


def test_labels_are_matched_with_the_models_classes_by_name():
    pipeline = make_pipeline("cvae")
    images = pipeline(num_images=12, seed=0, output_type="pt").images
    labels = pipeline.classify(images, num_draws=CLASSIFY_DRAWS).class_labels
    judged = torch.arange(12) < 9
    metric = classification_metric(pipeline, images, labels, judged)
    assert (metric.value, metric.floor) == (1, 0.75)
    assert metric.args == {"images": 12, "draws": CLASSIFY_DRAWS}
    assert class_numbers(pipeline.class_names, ["dog", "ant", "eel"]).tolist() == [3, 0, 2]


@pytest.mark.slow
def test_classes_of_another_order_are_matched_by_name(monkeypatch, few_digits, quick_measures):
    pipeline = load_pipeline("cgan-mnist")
    monkeypatch.setitem(BY_PIPELINE, "CGANPipeline", replace(BY_PIPELINE["CGANPipeline"], classifies=10))
    digits = [str(9 - i) for i in range(10)]
    metrics = {metric.metric: metric for metric in evaluate(pipeline, few_digits, classes=digits).metrics}
    assert metrics["accuracy"].value > 0.9
    assert metrics["accuracy"].floor > 0.9
    assert metrics["within_class_recall"].value > 0.4
    assert metrics["within_class_recall"].floor > 0.4
    with pytest.raises(
        UserError, match=r"The model draws the classes 0, 1, .*, and the images show 5, 3: give the classes"
    ):
        evaluate(pipeline, few_digits, classes=["5", "3"])


def test_recall_within_a_class_is_left_out_where_a_class_has_too_few_images():
    features, labels = torch.randn(20, 3, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 5
    (metric,) = within_class_recall_metrics((features, labels), (features + 9, labels), (features, labels))
    assert (metric.value, metric.floor) == (0, 1)
    # Three of one class, or none at all of one.
    assert within_class_recall_metrics((features, labels), (features[1:], labels[1:]), (features, labels)) == []
    assert within_class_recall_metrics((features, labels), (features, labels), (features, labels % 4)) == []


def test_the_protocol_says_n_split_and_seed(evaluation):
    assert evaluation.n == 200
    for fact in (
        "n = 200 gen",
        "seed 0, classes in the shares of the split, rounded",
        "all 200 images of own images",
        "split test",
        "evaluator-mnist",
    ):
        assert fact in evaluation.protocol


def test_a_fitted_law_is_named_and_measured_beside_the_normal_one(few_digits, quick_measures, monkeypatch):
    seen = []
    monkeypatch.setattr("genmodels.evaluation.evaluate.measure", lambda e: seen.append(e) or [])
    pipeline = load_pipeline("autoencoder-mnist")
    pipeline.register_modules(prior=None)
    assert "latents" not in evaluate(pipeline, few_digits).protocol
    assert seen.pop().normal_fakes is None
    real = torch.from_numpy(zoo.load_sample("zoo:mnist-sample").images[:500]).permute(0, 3, 1, 2).float() / 127.5 - 1
    pipeline.fit_latents([{"pixel_values": real}], 3)
    fitted = evaluate(pipeline, few_digits)
    assert "(seed 0, latents from the fitted mixture of 3 Gaussians, rounded to 8 bits)" in fitted.protocol
    e, latents = seen.pop(), draw_latents(200, 2, seed=0)
    normal = of_normal(e)
    expected = [pipeline.decode(z, output_type="pt").images for z in (pipeline.prior(latents), latents)]
    for drawn, images in zip((e.fakes, e.normal_fakes), expected, strict=True):
        torch.testing.assert_close(drawn, eight_bit(images), atol=2 / 255, rtol=0)
    assert [(m.metric, m.floor) for m in normal] == [("fid_normal", None), ("recall_normal", None)]
    # What lies between the clusters of the codes is no digit.
    assert frechet_distance(e.fake_features, e.reference_features) < 0.9 * normal[0].value


def test_guidance_is_named_and_repeated(few_digits, quick_measures, monkeypatch):
    seen = []
    monkeypatch.setattr("genmodels.evaluation.evaluate.measure", lambda e: seen.append(e.fakes) or [])
    torch.manual_seed(0)
    names = [str(digit) for digit in range(10)]
    unet = UNet.of_patches(28, 1, 2, [8, 16], 1, num_classes=10, class_names=names)
    pipeline = PixelDiffusionPipeline(unet.eval(), FlowMatchEulerDiscreteScheduler())
    guided = evaluate(pipeline, few_digits, num_inference_steps=2, guidance_scale=3.5)
    assert "2 steps of Euler, guidance 3.5, rounded" in guided.protocol
    again = measure_again(pipeline, guided.to_dict(), few_digits)
    assert (again.protocol, again.guidance_scale) == (guided.protocol, 3.5)
    plain = evaluate(pipeline, few_digits, num_inference_steps=2)
    assert "guidance" not in plain.protocol
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[0], seen[2])


def test_a_vae_reports_its_bounds(few_digits, quick_measures):
    torch.manual_seed(0)
    pipeline = VAEPipeline(VAEEncoder(base_channels=4).eval(), VAEDecoder(base_channels=4).eval())
    metrics = {metric.metric: metric.value for metric in evaluate(pipeline, few_digits).metrics}
    # Untrained, every pixel is near 1/2: 784 ln 2 nats, and a mean square error of about 0.2.
    assert metrics["negative_elbo"] == pytest.approx(543, rel=0.1)
    assert 0.15 < metrics["mse"] < 0.35
    assert metrics["nll"] == pytest.approx(543, rel=0.1)
    # It draws one grey picture, which is like no digit.
    assert metrics["recognizable"] < 0.1
    assert metrics["class_balance"] < 0.5
    assert 0 < metrics["lipschitz_p99"] <= metrics["lipschitz_max"] < 1
    assert metrics["retrieval"] < 0.1


def test_a_reconstruction_is_found_again_if_it_is_nearest_to_its_own_image():
    classifier, _ = load_classifier("evaluator-mnist")
    images = torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1
    decoded = images[[0, 1, 2, 4, 3]]
    evidence = SimpleNamespace(
        pipeline=SimpleNamespace(reconstruct=lambda images, output_type: SimpleNamespace(images=decoded)),
        num_classes=0,
        classifier=classifier,
        reference=images,
        reference_features=features_of(classifier, images),
    )
    (metric,) = retrieval(evidence)
    assert metric.value == 3 / 5
    assert "among all 5" in metric.name


class Linear(torch.nn.Module):
    """The smallest VAE: one latent, every pixel N(tanh(z / 2), sigma^2); and a posterior that is off."""

    def __init__(self, likelihood: str):
        super().__init__()
        self.config = SimpleNamespace(likelihood=likelihood, sigma=0.5, latent_dim=1)

    log_likelihood = VAEDecoder.log_likelihood

    def forward(self, latents, class_labels, return_logits):
        return latents[:, :, None, None].expand(-1, 1, 2, 2)

    def encode(self, images, class_labels):
        mean = images.mean((1, 2, 3))[:, None] + 1
        return PosteriorOutput(mean=mean, log_variance=torch.full_like(mean, 0.5))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_the_importance_weighted_bound_approaches_the_likelihood(likelihood):
    network = Linear(likelihood)
    pipeline = SimpleNamespace(decoder=network, encode=network.encode)
    images = torch.tensor([[-1.0, 1, 1, 0.5], [-1, -1, -1, -0.2]]).view(2, 1, 2, 2)
    # log p(x) by quadrature over the one latent.
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    x = images.double().flatten(1)[:, None]
    if likelihood == "bernoulli":
        log_p = ((x + 1) / 2 * z.sigmoid().log()[:, None] + (1 - x) / 2 * (-z).sigmoid().log()[:, None]).sum(-1)
    else:
        log_p = torch.distributions.Normal(torch.tanh(z / 2)[:, None], 0.5).log_prob(x).sum(-1)
    joint = (log_p + torch.distributions.Normal(0, 1).log_prob(z)).exp()
    exact = -float(torch.trapezoid(joint, z).log().mean())
    few, some, many = (importance_weighted_nll(pipeline, images, draws) for draws in (1, 20, 20_000))
    assert many == pytest.approx(exact, abs=0.02)
    mean = sum(importance_weighted_nll(pipeline, images, 1, seed=s) for s in range(200)) / 200
    # One draw is the negative ELBO: above, on average.
    assert mean > exact + 0.1
    assert few == importance_weighted_nll(pipeline, images, 1)
    assert abs(some - exact) < 0.5


def test_tolerances_are_there_for_every_metric(evaluation):
    for metric in evaluation.metrics:
        assert metric.tolerance == tolerance_of(metric.metric, metric.value)
        floor = metric.floor
        assert metric.floor_tolerance == (None if floor is None else tolerance_of(metric.metric, floor))
    assert tolerance_of("fid", 10.0) == pytest.approx(0.05)
    assert tolerance_of("recall", 0.5) == 0.003


@pytest.mark.slow
def test_a_classifier_is_measured_on_the_split():
    classifier, sha256 = load_classifier("evaluator-mnist")
    measured = evaluate_classifier(classifier, "zoo:mnist-sample", split="test")
    (accuracy,) = measured.metrics
    assert (measured.n, measured.split, measured.seed, measured.evaluator) == (2000, "test", None, None)
    sample = zoo.load_sample("zoo:mnist-sample", "test")
    images = torch.from_numpy(sample.images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        right = classifier(images).argmax(1) == torch.tensor(sample.labels)
    assert accuracy.value == float(right.double().mean()) > 0.99
    chosen = evaluate_classifier(classifier, "zoo:mnist-sample", split="test", classes=["7", "3"])
    keep = torch.from_numpy((sample.labels == 3) | (sample.labels == 7))
    # The stream numbers the chosen classes anew; the classifier does not.
    assert chosen.n == int(keep.sum())
    assert chosen.metrics[0].value == float(right[keep].double().mean())
    assert len(sha256) == 64


def test_generated_classes_come_in_their_counts_and_seeded():
    pipeline, counts = make_pipeline("cgan"), torch.tensor([3, 0, 30, 7])
    images, labels = (torch.cat(part) for part in zip(*generate(pipeline, 40, 3, counts), strict=True))
    assert labels.bincount().tolist() == [3, 0, 30, 7]
    again = torch.cat([part for part, _ in generate(pipeline, 40, 3, counts)])
    assert torch.equal(images, again)
    assert torch.equal(images, eight_bit(images))


@pytest.mark.parametrize(
    ("n", "real", "counts", "words"),
    [
        # Ten are nine to one; one more goes to the larger remainder, and of equal ones to the first.
        (10, [9, 1], [9, 1], "classes in the shares of the split, "),
        (11, [9, 1], [10, 1], "classes in the shares of the split, "),
        (3, [50, 50, 400], [0, 0, 3], "classes in the shares of the split, "),
        (5, [30, 30, 340], [1, 0, 4], "classes in the shares of the split, "),
        (10, [0, 30, 70], [0, 3, 7], "classes in the shares of the split, "),
        # Balanced, or nearly so: 2 of 100 images would need another class, then 6.
        (10, [50, 50], [5, 5], "equally many of each class, "),
        (11, [52, 48], [6, 5], "equally many of each class, 2.0% off the split's shares, "),
        (100, [56, 44], [56, 44], "classes in the shares of the split, "),
    ],
)
def test_classes_are_drawn_in_their_shares_of_the_real_images(n, real, counts, words):
    labels = torch.arange(len(real)).repeat_interleave(torch.tensor(real))
    found, said = class_counts(n, labels[torch.randperm(len(labels))], len(real))
    assert (found.tolist(), said) == (counts, words)
    assert class_counts(6, None, 3)[0].tolist() == [2, 2, 2]


def test_mnists_classes_count_as_balanced():
    # Those of its test split, by which the cards of the zoo were measured with equally many of each.
    real = torch.tensor([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009])
    found, said = class_counts(10_000, torch.arange(10).repeat_interleave(real), 10)
    assert (found.tolist(), said) == ([1000] * 10, "equally many of each class, 2.1% off the split's shares, ")


@pytest.fixture(scope="module")
def unbalanced(tmp_path_factory):
    """A folder of one split: 120 sevens and 40 threes."""
    root, sample = tmp_path_factory.mktemp("unbalanced"), zoo.load_sample("zoo:mnist-sample")
    for digit, count in ((7, 120), (3, 40)):
        (root / str(digit)).mkdir()
        for i, image in enumerate(sample.images[sample.labels == digit][:count]):
            Image.fromarray(image[..., 0]).save(root / str(digit) / f"{i:03}.png")
    return str(root)


@pytest.mark.slow
def test_one_split_is_measured_in_two_halves_and_shares(unbalanced, quick_measures, monkeypatch):
    pipeline, seen = load_pipeline("cgan-mnist"), {}
    monkeypatch.setitem(BY_PIPELINE, "CGANPipeline", replace(BY_PIPELINE["CGANPipeline"], classifies=10))
    # Of its ten classes it draws the two that the images show.
    monkeypatch.setattr("genmodels.evaluation.evaluate.own_class_names", lambda *_: pipeline.class_names)
    monkeypatch.setattr("genmodels.evaluation.evaluate.measure", lambda e: seen.update(evidence=e) or measure(e))
    found = evaluate(pipeline, unbalanced, reference_split="train", c2st=True)
    e, metrics = seen["evidence"], {metric.metric: metric for metric in found.metrics}
    assert (found.n, found.n_reference) == (80, 80)
    # No image is compared with itself, and none is left out.
    halves = torch.cat([e.reference, e.train[e.chosen]])
    assert len(halves) == 160
    assert torch.equal(halves.flatten(1).sum(1).sort().values, e.train.flatten(1).sum(1).sort().values)
    assert metrics["fid"].floor > 0.1
    assert metrics["recall"].floor < 1
    assert metrics["nearest_training_distance"].floor > 0.1
    assert 0.3 < metrics["c2st"].floor < 0.7
    threes = int((e.reference_labels == e.class_names.index("3")).sum())
    assert e.fake_labels.bincount(minlength=10).tolist() == [0, 0, 0, threes, 0, 0, 0, 80 - threes, 0, 0]
    assert "80 generated images (seed 0, classes in the shares of the split, rounded" in found.protocol
    assert (
        "against 80 images of own images, split train, a random half; real against real puts 80 of the other half in"
        in (found.protocol)
    )


def test_no_evaluator_for_a_shape_is_said():
    with pytest.raises(UserError, match="no built-in evaluator for images of 16x16"):
        find_evaluator(16, 1)
