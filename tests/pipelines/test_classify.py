"""Classification by generative models: cases whose right answer is known, what it depends on, refused arguments."""

from __future__ import annotations

import pytest
import torch
from helpers import make_pipeline
from torch import nn

from genmodels.pipelines.inversion import descend, energies_of, regress_latents

BRIGHTNESS = (0.1, 0.3, 0.6, 0.9)


class Flat(nn.Module):
    """What a class draws: one brightness everywhere, whatever the latent; for the four classes of `make_pipeline`."""

    def __init__(self, latent_dim: int, logits: bool):
        super().__init__()
        levels = torch.tensor(BRIGHTNESS)
        self.latent_dim, self.levels = latent_dim, nn.Parameter(levels.logit() if logits else 2 * levels - 1)

    def forward(self, inputs):
        return (inputs.flatten(1)[:, self.latent_dim :] @ self.levels)[:, None, None, None].expand(-1, 1, 16, 16)


@pytest.fixture
def vae():
    """A VAE whose bound is exact: latents mean nothing to the decoder, and the posterior is the prior."""
    pipe = make_pipeline("cvae")
    pipe.decoder.layers = Flat(3, logits=True)
    for layer in (pipe.encoder.mean, pipe.encoder.log_variance):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return pipe


@pytest.fixture
def cgan():
    pipe = make_pipeline("cgan")
    pipe.generator.embed_label = nn.Identity()
    pipe.generator.layers = Flat(8, logits=False)
    return pipe


@pytest.fixture(params=["vae", "cgan"])
def pipe(request):
    return request.getfixturevalue(request.param)


def flat_images(*brightness: float) -> torch.Tensor:
    return torch.tensor(brightness)[:, None, None, None].expand(-1, 1, 16, 16) * 2 - 1


def test_every_class_knows_its_own(pipe):
    output = pipe.classify(flat_images(0.9, 0.1, 0.6, 0.3, 0.32))
    assert output.class_labels.tolist() == [3, 0, 2, 1, 1]
    assert output.class_names == ["ant", "bee", "cat", "dog"]
    assert output.log_probabilities.shape == (5, 4)
    torch.testing.assert_close(output.log_probabilities.exp().sum(1), torch.ones(5))


def test_where_the_bound_is_exact_it_is_the_rule_of_bayes(vae):
    image, priors = flat_images(0.45), [1, 4, 3, 0.5]
    p = torch.tensor(BRIGHTNESS, dtype=torch.float64)
    log_likelihoods = 256 * (0.45 * p.log() + 0.55 * (1 - p).log())
    expected = (log_likelihoods + torch.tensor(priors).double().log()).log_softmax(0)
    for num_draws in (1, 5):
        found = vae.classify(image, num_draws=num_draws, class_priors=priors).log_probabilities[0]
        torch.testing.assert_close(found.double(), expected, atol=1e-3, rtol=1e-5)


def test_a_generator_is_as_likely_as_it_is_near(cgan):
    # No latent is needed: they go to 0, and with them their share of the energy.
    found = cgan.classify(flat_images(0.5), sigma=8.0, steps=200, candidates=4, num_starts=4).log_probabilities[0]
    expected = (-256 * (2 * torch.tensor(BRIGHTNESS) - 1).square() / (2 * 8.0**2)).log_softmax(0)
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)


def test_priors_rule_classes_out(pipe):
    output = pipe.classify(flat_images(0.9, 0.1), class_priors=[0, 1, 1, 0])
    assert output.class_labels.tolist() == [2, 1]
    assert output.log_probabilities[0, 0] == -float("inf")
    for wrong in ([1, 1], [1, 1, 1, -1], [0, 0, 0, 0], [1, 1, 1, float("nan")]):
        with pytest.raises(ValueError, match="class_priors must be 4 numbers of at least 0, not all 0"):
            pipe.classify(flat_images(0.5), class_priors=wrong)


@pytest.mark.parametrize("kind", ["cvae", "cgan"])
def test_answers_repeat_and_do_not_depend_on_neighbours(kind):
    pipe = make_pipeline(kind)
    options = {"num_draws": 3} if kind == "cvae" else {"num_starts": 20, "steps": 5, "candidates": 2}
    images = pipe(num_images=8, seed=0, output_type="pt").images
    output = pipe.classify(images, **options)
    assert torch.equal(output.log_probabilities, pipe.classify(images, **options).log_probabilities)
    alone = pipe.classify(images[5:6], **options).log_probabilities
    torch.testing.assert_close(output.log_probabilities[5:6], alone, atol=1e-2, rtol=1e-3)
    assert not torch.equal(alone, pipe.classify(images[5:6], **options, seed=1).log_probabilities)
    assert not output.log_probabilities.requires_grad
    assert all(parameter.requires_grad for parameter in torch.nn.ModuleDict(pipe.components).parameters())


def test_descent_reaches_the_minimum_of_a_linear_generator():
    torch.manual_seed(0)
    matrix, sigma = torch.randn(3, 12), 0.7
    images = torch.randn(5, 12)

    def draw(latents, labels):
        return latents @ matrix

    best = torch.linalg.solve(matrix @ matrix.T / sigma**2 + torch.eye(3), (images @ matrix.T / sigma**2).T).T
    labels = torch.zeros(5, dtype=torch.long)
    lowest = energies_of(draw, best, labels, images, sigma)
    latents, energies = descend(draw, torch.zeros(5, 3), labels, images, sigma, 300, 0.1)
    torch.testing.assert_close(energies, lowest, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(latents, best, atol=0.02, rtol=0)
    start = energies_of(draw, torch.zeros(5, 3), labels, images, sigma)
    assert torch.equal(descend(draw, torch.zeros(5, 3), labels, images, sigma, 0, 0.1)[1], start)


def test_regression_finds_latents_back():
    torch.manual_seed(0)
    matrix, latents = torch.randn(2, 30), torch.randn(400, 2)
    wanted = torch.randn(20, 2)
    guess = regress_latents(latents @ matrix, latents, wanted @ matrix)
    assert (guess - wanted).square().mean() < 0.05 < wanted.square().mean() / 10
    # A collapsed generator draws one image only.
    assert torch.isfinite(regress_latents(torch.ones(5, 30), latents[:5], torch.ones(2, 30))).all()


def test_wrong_arguments(vae, cgan):
    image = flat_images(0.5)
    with pytest.raises(ValueError, match="num_draws must be an integer of at least 1, got 0"):
        vae.classify(image, num_draws=0)
    for options, says in (
        ({"steps": -1}, "steps must be an integer from 0 to 1,000"),
        ({"steps": 1001}, "steps must be an integer from 0 to 1,000, got 1001"),
        ({"num_starts": 10_001}, "num_starts must be an integer from 2 to 10,000"),
        ({"num_starts": 1}, "num_starts must be an integer from 2 to 10,000, got 1"),
        ({"candidates": 0}, "candidates must be an integer of at least 1"),
        ({"sigma": 0}, "sigma must be a positive number, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a positive number"),
    ):
        with pytest.raises(ValueError, match=says):
            cgan.classify(image, **options)
    with pytest.raises(ValueError, match=r"This model has no classes: train one with train/vae\.py --conditional"):
        make_pipeline("vae").classify(torch.zeros(1, 1, 28, 28))


class TestConditionalVAE:
    @pytest.fixture
    def cvae(self):
        return make_pipeline("cvae")

    def test_labels_in_any_form(self, cvae):
        by_name = cvae(class_labels=["cat", "ant"], seed=0, output_type="pt")
        by_number = cvae(2, [2, 0], seed=0, output_type="pt")
        assert torch.equal(by_name.images, by_number.images)
        assert by_name.class_labels.tolist() == [2, 0]
        assert cvae(5, seed=0).class_labels.tolist() == [0, 1, 2, 3, 0]
        with pytest.raises(ValueError, match="There is no class 'cow': give a number from 0 to 3 or one of ant"):
            cvae(class_labels="cow")

    def test_images_need_their_classes(self, cvae):
        images = cvae(2, seed=0, output_type="pt").images
        for call in (
            cvae.encode,
            cvae.reconstruct,
            lambda x: cvae.decode(torch.zeros(2, 3)),
            lambda x: cvae.interpolate(x, x),
        ):
            with pytest.raises(ValueError, match=r"has classes, ant, bee, cat, dog: give class_labels, for example"):
                call(images)
        assert not torch.equal(cvae.encode(images, 0).mean, cvae.encode(images, 1).mean)
        again = cvae.reconstruct(images, "pt", class_labels=["ant", "bee"]).images
        torch.testing.assert_close(again[1:], cvae.reconstruct(images[1:], "pt", class_labels="bee").images)

    def test_walks_within_and_between_classes(self, cvae):
        a, b = cvae(2, seed=0).images
        path = cvae.interpolate(a, b, steps=3, class_labels=("ant", "dog"), output_type="pt")
        torch.testing.assert_close(path.class_labels[1], torch.tensor([0.5, 0, 0, 0.5]))
        torch.testing.assert_close(path.images[:1], cvae.reconstruct(a, "pt", class_labels="ant").images)
        assert cvae.traverse(steps=2).class_labels.tolist() == [0] * 4
        assert cvae.traverse(steps=2, class_labels="dog").class_labels.tolist() == [3] * 4

    def test_saved_and_loaded_it_is_the_same(self, cvae, tmp_path):
        cvae.save_pretrained(tmp_path)
        again = type(cvae).from_pretrained(tmp_path)
        assert again.class_names == ["ant", "bee", "cat", "dog"]
        assert torch.equal(again(3, seed=1, output_type="pt").images, cvae(3, seed=1, output_type="pt").images)

    def test_without_classes_labels_are_refused(self):
        plain = make_pipeline("vae")
        assert (plain.num_classes, plain.class_names) == (0, [])
        with pytest.raises(ValueError, match="has no classes: leave class_labels out, or train one with --conditional"):
            plain(class_labels=3)
