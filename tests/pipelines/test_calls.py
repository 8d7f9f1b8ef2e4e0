"""What the pipelines promise about seeds, latents, labels and forms of images; all at tiny width."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import GANS, KINDS, make_pipeline
from PIL import Image

from genmodels import DCGANPipeline
from genmodels.latents import draw_latents, interpolate_latents

STEP = 2 / 255  # one 8-bit step of pixel_values


@pytest.fixture(scope="module")
def pipes():
    return {kind: make_pipeline(kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def pipe(request, pipes):
    return pipes[request.param]


@pytest.fixture(params=["autoencoder", "vae"])
def coder(request, pipes):
    """What has an encoder and a decoder."""
    return pipes[request.param]


@pytest.fixture
def vae(pipes):
    return pipes["vae"]


@pytest.fixture
def dcgan(pipes):
    return pipes["dcgan"]


@pytest.fixture
def cgan(pipes):
    return pipes["cgan"]


class TestSeeds:
    def test_image_i_of_a_seed_is_the_same_in_every_batch(self, pipe):
        most = pipe(num_images=300, seed=4, output_type="pt")
        for count in (1, 5):
            few = pipe(num_images=count, seed=4, output_type="pt")
            assert torch.equal(few.latents, most.latents[:count])
            assert (few.images - most.images[:count]).abs().max() <= STEP
        assert not torch.equal(most.latents[0], most.latents[1])

    def test_a_pipeline_in_training_mode_keeps_that_promise(self, pipe):
        networks = {k: v for k, v in pipe.components.items() if isinstance(v, torch.nn.Module)}
        modules = torch.nn.ModuleDict(networks).train()
        before = {name: buffer.clone() for name, buffer in modules.named_buffers()}
        few, more = (pipe(num_images=n, seed=0, output_type="pt").images for n in (1, 4))
        assert (few - more[:1]).abs().max() <= STEP
        assert all(module.training for module in modules.modules())
        assert all(torch.equal(before[name], buffer) for name, buffer in modules.named_buffers())
        modules.eval()

    def test_seed_is_the_friendly_form_of_a_generator(self, pipe):
        by_seed = pipe(num_images=2, seed=9)
        by_generator = pipe(num_images=2, generator=torch.Generator().manual_seed(9))
        assert torch.equal(by_seed.latents, by_generator.latents)
        assert not torch.equal(by_seed.latents, pipe(num_images=2, seed=10).latents)

    def test_a_generator_moves_on(self, pipe):
        generator = torch.Generator().manual_seed(9)
        assert not torch.equal(pipe(generator=generator).latents, pipe(generator=generator).latents)

    def test_without_either_every_call_differs(self, pipe):
        assert not torch.equal(pipe().latents, pipe().latents)

    def test_latents_are_standard_normal(self):
        latents = draw_latents(2000, 8, seed=0)
        assert latents.dtype == torch.float32
        assert latents.mean().abs() < 0.03
        assert (latents.std() - 1).abs() < 0.03

    @pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
    def test_wrong_seeds(self, pipe, seed):
        with pytest.raises(ValueError, match="seed must be an integer of at least 0, got"):
            pipe(seed=seed)

    @pytest.mark.parametrize("num_images", [0, -3, 2.5, "4", True])
    def test_wrong_counts(self, pipe, num_images):
        with pytest.raises(ValueError, match="num_images must be an integer of at least 1, got"):
            pipe(num_images=num_images)

    def test_two_sources_are_refused(self, pipe):
        generator, latents = torch.Generator(), torch.zeros(1, pipe.latent_dim)
        with pytest.raises(ValueError, match="Give either generator or seed, not both"):
            pipe(generator=generator, seed=1)
        for options in ({"seed": 1}, {"generator": generator}):
            with pytest.raises(ValueError, match="Give either latents, or a seed or generator"):
                pipe(latents=latents, **options)


class TestLatents:
    def test_given_latents_give_the_same_images(self, pipe):
        drawn = pipe(num_images=3, seed=1, output_type="pt")
        again = pipe(latents=drawn.latents, output_type="pt")
        assert torch.equal(again.latents, drawn.latents)
        torch.testing.assert_close(again.images, drawn.images)

    def test_wrong_latents(self, pipe):
        n = pipe.latent_dim
        for shape in ((2, n + 1), (n,), (0, n), (1, n, 1)):
            with pytest.raises(ValueError, match=rf"(latents must have shape \(N, {n}\)|num_images must be)"):
                pipe(latents=torch.zeros(shape))
        for bad in (float("nan"), float("inf")):
            with pytest.raises(ValueError, match="latents must be finite"):
                pipe(latents=torch.full((1, n), bad))


class TestForms:
    def test_output_types(self, pipe):
        shape = (pipe.sample_size, pipe.sample_size, pipe.num_channels)
        pil, pt, array = (pipe(num_images=2, seed=0, output_type=t).images for t in ("pil", "pt", "np"))
        assert [image.size for image in pil] == [shape[:2]] * 2
        assert {image.mode for image in pil} == {"L" if shape[2] == 1 else "RGB"}
        assert (pt.shape, pt.dtype) == ((2, shape[2], *shape[:2]), torch.float32)
        assert (array.shape, array.dtype) == ((2, *shape), np.float32)
        assert -1 <= pt.min() < pt.max() <= 1
        assert not pt.requires_grad
        # All three are the same pictures.
        np.testing.assert_allclose(array, (pt.permute(0, 2, 3, 1).numpy() + 1) / 2, atol=1e-6)
        eight_bit = np.stack([np.asarray(image).reshape(shape) for image in pil])
        assert np.abs(eight_bit - array * 255).max() <= 0.501

    def test_wrong_output_type(self, pipe):
        with pytest.raises(ValueError, match="output_type must be one of pil, pt, np, got 'jpg'"):
            pipe(output_type="jpg")

    @pytest.mark.parametrize("output_type", ["pil", "pt", "np", "uint8"])
    @pytest.mark.parametrize("kind", ["autoencoder", "vae", *GANS])
    def test_images_go_back_in_as_they_came_out(self, pipes, kind, output_type):
        pipe = pipes[kind]
        reference = pipe(num_images=3, seed=0, output_type="pt").images
        images = pipe(num_images=3, seed=0, output_type="np" if output_type == "uint8" else output_type).images
        if output_type == "uint8":
            images = (images * 255).round().astype(np.uint8)

        def judge(x):
            if hasattr(pipe, "encode"):
                return pipe._latents_of(x)
            return pipe.discriminate(x, *([[0, 1, 2]] if getattr(pipe, "num_classes", 0) else []))

        exact = output_type in ("pt", "np")
        torch.testing.assert_close(judge(images), judge(reference), atol=1e-5 if exact else 0.02, rtol=0)
        if output_type == "pil":
            one = pipe._latents_of(images[0]) if hasattr(pipe, "encode") else None
            assert one is None or torch.equal(one, judge(images)[:1]) or (one - judge(images)[:1]).abs().max() < 1e-5

    def test_grey_and_colour_pictures_are_converted(self, vae, dcgan):
        grey, colour = Image.new("L", (32, 32), 100), Image.new("RGB", (32, 32), (100, 100, 100))
        torch.testing.assert_close(dcgan.discriminate(grey), dcgan.discriminate(colour))
        grey, colour = grey.resize((28, 28)), colour.resize((28, 28)).convert("RGBA")
        torch.testing.assert_close(vae.encode(grey).mean, vae.encode(colour).mean)

    def test_wrong_images(self, vae):
        with pytest.raises(
            ValueError, match=r"Expected images of 28x28 pixels, got 30x20: resize .*resize\(\(28, 28\)\)"
        ):
            vae.encode(Image.new("L", (30, 20)))
        for nothing in ([], "image.png", None, [np.zeros((28, 28))]):
            with pytest.raises(ValueError, match="images must be a PIL image, a non-empty list of them"):
                vae.encode(nothing)
        for nothing in (torch.zeros(0, 1, 28, 28), np.zeros((0, 28, 28, 1))):
            with pytest.raises(ValueError, match="There are no images"):
                vae.encode(nothing)
        with pytest.raises(ValueError, match=r"Got an array of shape \(28, 28\); arrays are \(N, H, W, C\)"):
            vae.encode(np.zeros((28, 28)))
        for wrong in (torch.zeros(1, 3, 28, 28), torch.zeros(28, 28), np.zeros((1, 1, 28, 28))):
            with pytest.raises(ValueError, match=r"Expected 1 channel\(s\) of 28x28 pixels, got shape"):
                vae.encode(wrong)
        for wrong in (
            torch.full((1, 1, 28, 28), 1.5),
            torch.full((1, 1, 28, 28), float("nan")),
            np.full((1, 28, 28, 1), -0.5),
            np.full((1, 28, 28, 1), 255.0),
        ):
            with pytest.raises(ValueError, match="values out of range"):
                vae.encode(wrong)


class TestInterpolation:
    def test_slerp_keeps_the_norm_and_lerp_does_not(self):
        a, b = torch.tensor([3.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
        arc, line = (interpolate_latents(a, b, 9, mode) for mode in ("slerp", "lerp"))
        torch.testing.assert_close(arc.norm(dim=1), torch.full((9,), 3.0))
        assert line.norm(dim=1)[4].item() == pytest.approx(3 / 2**0.5)
        for path in (arc, line):
            torch.testing.assert_close(path[0], a)
            torch.testing.assert_close(path[-1], b)
        # Equal angles from step to step.
        torch.testing.assert_close(
            (arc[1:] * arc[:-1]).sum(1), torch.full((8,), 9 * np.cos(np.pi / 16)), check_dtype=False
        )

    @pytest.mark.parametrize("factor", [1.0, 2.0, 0.0, -1.0, 1 + 1e-6])
    def test_slerp_of_parallel_opposite_and_zero_vectors_is_finite(self, factor):
        a = torch.tensor([1.0, 2.0, -1.0])
        path = interpolate_latents(a, factor * a, 5, "slerp")
        assert torch.isfinite(path).all()
        torch.testing.assert_close(path[0], a)
        torch.testing.assert_close(path[-1], factor * a)
        assert torch.isfinite(interpolate_latents(torch.zeros(3), torch.zeros(3), 4)).all()

    @pytest.mark.parametrize("kind", [*GANS, "diffusion"])
    @pytest.mark.parametrize("mode", ["slerp", "lerp"])
    def test_ends_are_the_images_of_the_two_seeds(self, pipes, kind, mode):
        pipe, options = pipes[kind], {"class_labels": 2} if kind == "cgan" else {}
        path = pipe.interpolate(3, 8, steps=5, mode=mode, output_type="pt", **options)
        assert len(path.images) == 5
        for end, seed in ((0, 3), (-1, 8)):
            expected = pipe(seed=seed, output_type="pt", **options)
            torch.testing.assert_close(path.latents[end], expected.latents[0])
            assert (path.images[end] - expected.images[0]).abs().max() <= STEP

    def test_latents_and_seeds_are_both_ends(self, dcgan):
        latent = dcgan(seed=3).latents[0]
        by_latent, by_seed = dcgan.interpolate(latent, 8, steps=3), dcgan.interpolate(3, 8, steps=3)
        torch.testing.assert_close(by_latent.latents, by_seed.latents)

    def test_wrong_ends_steps_and_modes(self, dcgan):
        with pytest.raises(ValueError, match=r"A latent has 8 numbers, got shape \(3,\)"):
            dcgan.interpolate(torch.zeros(3), 1)
        with pytest.raises(ValueError, match="steps must be an integer of at least 2, got 1"):
            dcgan.interpolate(0, 1, steps=1)
        with pytest.raises(ValueError, match="mode must be one of slerp, lerp, got 'cubic'"):
            dcgan.interpolate(0, 1, mode="cubic")
        with pytest.raises(ValueError, match="seed must be an integer of at least 0, got -1"):
            dcgan.interpolate(-1, 1)

    def test_coders_walk_from_image_to_image(self, coder):
        a, b = coder(num_images=2, seed=0).images
        path = coder.interpolate(a, b, steps=4, output_type="pt")
        torch.testing.assert_close(path.latents[0], coder._latents_of(a)[0])
        torch.testing.assert_close(path.latents[-1], coder._latents_of(b)[0])
        torch.testing.assert_close(path.images[-1:], coder.reconstruct(b, output_type="pt").images)
        with pytest.raises(ValueError, match="interpolate needs exactly one image at each end"):
            coder.interpolate([a, b], a)


class TestTruncation:
    @pytest.mark.parametrize("kind", [*GANS, "vae"])
    def test_psi_scales_latents(self, pipes, kind):
        options = {"class_labels": 1} if kind == "cgan" else {}
        pipe, full = pipes[kind], pipes[kind](num_images=3, seed=0, **options).latents
        for psi in (0, 0.5, 1, 2):
            torch.testing.assert_close(pipe(num_images=3, seed=0, psi=psi, **options).latents, full * psi)
        alike = pipe(num_images=3, seed=0, psi=0, output_type="pt", **options).images
        torch.testing.assert_close(alike, alike[:1].expand_as(alike))

    @pytest.mark.parametrize("psi", [-0.1, 2.1, float("nan"), float("inf"), "1", None, True])
    @pytest.mark.parametrize("kind", [*GANS, "vae"])
    def test_wrong_psi(self, pipes, kind, psi):
        with pytest.raises(ValueError, match="psi must be a number from 0 to 2, got"):
            pipes[kind](seed=0, psi=psi)


class TestDiscriminator:
    @pytest.mark.parametrize("kind", ["gan", "dcgan", "wgan"])
    def test_scores_are_those_of_the_network(self, pipes, kind):
        pipe = pipes[kind]
        images = pipe(num_images=3, seed=0, output_type="pt").images
        scores = pipe.discriminate(images)
        assert scores.shape == (3,)
        assert not scores.requires_grad
        pipe.discriminator.eval()
        torch.testing.assert_close(scores, pipe.discriminator(images).detach())

    def test_a_critic_is_unbounded(self):
        pipe = make_pipeline("wgan")
        image = pipe(seed=0).images[0]
        before = pipe.discriminate(image).item()
        for weight in pipe.discriminator.score.parameters():
            weight.data *= -1e4
        assert pipe.discriminate(image).item() == pytest.approx(-1e4 * before, rel=1e-4)

    def test_many_images_are_scored_in_chunks(self, dcgan):
        images = dcgan(num_images=300, seed=0, output_type="pt").images
        torch.testing.assert_close(
            dcgan.discriminate(images)[290:], dcgan.discriminate(images[290:]), atol=1e-5, rtol=0
        )

    def test_label_matters(self, cgan):
        image = cgan(seed=0, class_labels=0).images[0]
        assert len({cgan.discriminate(image, label).item() for label in range(4)}) == 4
        torch.testing.assert_close(cgan.discriminate(image, "cat"), cgan.discriminate(image, 2))
        with pytest.raises(ValueError, match="There is no class 'cow'"):
            cgan.discriminate(image, "cow")

    def test_without_a_discriminator_it_says_so(self, dcgan, tmp_path):
        DCGANPipeline(dcgan.generator).save_pretrained(tmp_path)
        alone = DCGANPipeline.from_pretrained(tmp_path)
        assert torch.equal(alone(seed=0).latents, dcgan(seed=0).latents)
        with pytest.raises(ValueError, match="saved without its discriminator"):
            alone.discriminate(alone(seed=0).images)


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            [2, 0, 2],
            ["cat", "ant", "cat"],
            ["cat", 0, 2],
            (2, 0, 2),
            np.array([2, 0, 2]),
            torch.tensor([2, 0, 2]),
            torch.tensor([2, 0, 2], dtype=torch.int32),
            torch.eye(4)[[2, 0, 2]],
        ],
    )
    def test_all_forms_draw_the_same(self, cgan, labels):
        expected = cgan(3, [2, 0, 2], seed=0, output_type="pt")
        output = cgan(class_labels=labels, seed=0, output_type="pt")
        torch.testing.assert_close(output.images, expected.images)
        if output.class_labels.ndim == 1:
            assert output.class_labels.dtype == torch.int64
            assert output.class_labels.tolist() == [2, 0, 2]

    @pytest.mark.parametrize("label", [3, "dog", np.int64(3), torch.tensor(3), [3], ["dog"]])
    def test_one_label_serves_all(self, cgan, label):
        output = cgan(5, label, seed=0)
        assert output.class_labels.tolist() == [3] * 5
        assert len(cgan(class_labels=label, seed=0).images) == 1

    def test_default_is_every_class_in_turn(self, cgan):
        assert cgan(6, seed=0).class_labels.tolist() == [0, 1, 2, 3, 0, 1]

    def test_classes_differ_for_one_latent(self, cgan):
        latents = torch.zeros(4, 8)
        images = cgan(latents=latents, class_labels=[0, 1, 2, 3], output_type="np").images
        assert len({image.tobytes() for image in images}) == 4

    @pytest.mark.parametrize("label", [4, -1, "cow", "3", 1.5, float("nan"), None, True, b"cat"])
    def test_wrong_labels_name_the_legal_ones(self, cgan, label):
        with pytest.raises(
            ValueError, match=r"There is no class .*: give a number from 0 to 3 or one of ant, bee, cat, dog"
        ):
            cgan(1, [label])

    def test_wrong_numbers_of_labels(self, cgan):
        with pytest.raises(ValueError, match="Give one class label or one per image: 3 images, 2 labels"):
            cgan(3, [0, 1])
        for weights in (torch.zeros(2, 4), torch.zeros(3, 5), torch.zeros(3), torch.full((3, 4), float("nan"))):
            with pytest.raises(ValueError, match=r"Class weights must be finite and of shape \(3, 4\), got"):
                cgan(3, weights)

    def test_interpolation_between_two_classes(self, cgan):
        path = cgan.interpolate(5, 5, steps=3, class_labels=("ant", "dog"), output_type="pt")
        torch.testing.assert_close(path.class_labels, torch.tensor([[1.0, 0, 0, 0], [0.5, 0, 0, 0.5], [0, 0, 0, 1.0]]))
        for end, label in ((0, "ant"), (-1, "dog")):
            expected = cgan(class_labels=label, seed=5, output_type="pt").images[0]
            assert (path.images[end] - expected).abs().max() <= STEP
        with pytest.raises(ValueError, match="class_labels must be one class or a pair of them"):
            cgan.interpolate(1, 2, class_labels=(0, 1, 2))

    def test_names_default_to_numbers(self):
        from genmodels import CGANGenerator, CGANPipeline

        pipe = CGANPipeline(CGANGenerator(num_classes=3, base_channels=2))
        assert pipe.class_names == ["0", "1", "2"]
        assert pipe(class_labels="2", seed=0).class_labels.tolist() == [2]
        with pytest.raises(ValueError, match=r"There is no class 'x': give a number from 0 to 2\.$"):
            pipe(class_labels="x")


class TestCoders:
    def test_posterior_samples_spread_around_the_mean(self, vae):
        posterior = vae.encode(vae(num_images=2, seed=0).images)
        assert posterior.mean.shape == posterior.log_variance.shape == (2, 3)
        draws = torch.stack([posterior.sample(torch.Generator().manual_seed(i)) for i in range(500)])
        torch.testing.assert_close(draws.mean(0), posterior.mean, atol=0.2, rtol=0)
        torch.testing.assert_close(draws.std(0), (0.5 * posterior.log_variance).exp(), atol=0.2, rtol=0)
        assert torch.equal(draws[0], posterior.sample(torch.Generator().manual_seed(0)))

    def test_reconstruction_decodes_what_was_encoded(self, coder):
        images = coder(num_images=2, seed=0, output_type="pt").images
        expected = coder.decode(coder._latents_of(images), output_type="pt").images
        assert torch.equal(coder.reconstruct(images, output_type="pt").images, expected)

    def test_traverse_reads_like_a_map(self, coder):
        base = torch.tensor([0.0, 0.0, 0.7])
        output = coder.traverse(axes=(0, 1), steps=3, limit=2.0, latents=base)
        corners = {0: (-2, 2), 2: (2, 2), 6: (-2, -2), 8: (2, -2), 4: (0, 0)}
        for i, (x, y) in corners.items():
            torch.testing.assert_close(output.latents[i], torch.tensor([x, y, 0.7]))
        swapped = coder.traverse(axes=(2, 0), steps=2, limit=1.0)
        assert swapped.latents.tolist() == [[1, 0, -1], [1, 0, 1], [-1, 0, -1], [-1, 0, 1]]
        assert len(output.images) == 9

    def test_wrong_traverses(self, coder):
        for axes in ((0, 0), (0, 3), (-1, 0), (0, 1, 2), (0, 1, 0), (0,), (0.0, 1)):
            with pytest.raises(ValueError, match="axes must be two different numbers from 0 to 2, got"):
                coder.traverse(axes=axes)
        for limit in (0, -1, float("inf"), float("nan")):
            with pytest.raises(ValueError, match="limit must be a positive number, got"):
                coder.traverse(limit=limit)
        with pytest.raises(ValueError, match="steps must be an integer of at least 2, got 1"):
            coder.traverse(steps=1)
        with pytest.raises(ValueError, match=r"A latent has 3 numbers, got shape \(1,\)"):
            coder.traverse(latents=torch.zeros(1))


@pytest.mark.filterwarnings("ignore:.torch_dtype. is deprecated:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_draws_nearly_the_same(pipes, saved, kind):
    exact = pipes[kind](num_images=2, seed=0, output_type="pt").images
    half = type(pipes[kind]).from_pretrained(saved[kind], torch_dtype=torch.bfloat16)
    rough = half(num_images=2, seed=0, output_type="pt").images
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.1
