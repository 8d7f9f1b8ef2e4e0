"""What holds for every built-in model alike, whatever its kind: one list of promises, checked over the whole zoo."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from genmodels import load_pipeline, zoo

MODELS = zoo.model_names()


@pytest.fixture(scope="module")
def pipes():
    """Each built-in pipeline, loaded once; copy a network before changing it."""
    loaded = {}

    def load(name):
        if name not in loaded:
            loaded[name] = load_pipeline(name)
        return loaded[name]

    return load


def draw(pipe, num_images: int, seed: int) -> torch.Tensor:
    """`pixel_values` (N, C, H, W); of models with classes, image i is of class i."""
    return pipe(num_images=num_images, seed=seed, output_type="pt").images


def networks_of(pipe) -> dict[str, nn.Module]:
    return {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}


def trained_together(networks: dict[str, nn.Module], images: torch.Tensor, labels: tuple) -> torch.Tensor:
    """A scalar that depends on every weight of a model: what one network makes of what the other one made."""
    if "unet" in networks:
        unet = networks["unet"]
        patches = nn.functional.pixel_unshuffle(images, images.shape[-1] // unet.config.sample_size)
        return unet(patches, torch.tensor(5), *labels).sample.square().mean()
    if "encoder" in networks:
        code = networks["encoder"](images, *labels)
        latents = code if isinstance(code, torch.Tensor) else code[0] + code[1].exp() * torch.randn_like(code[0])
        return (networks["decoder"](latents, *labels) - images).square().mean()
    generator = networks["generator"]
    fakes = generator(torch.randn(len(images), generator.config.latent_dim), *labels)
    if "discriminator" not in networks:
        # Saved without it.
        return (fakes - images).square().mean()
    discriminator = networks["discriminator"]
    scores = discriminator(torch.cat([fakes, images]), *(label.repeat(2) for label in labels))
    return scores[: len(images)].mean() - scores[len(images) :].square().mean()


@pytest.mark.parametrize("name", MODELS)
def test_one_training_step_moves_every_network(name, pipes):
    pipe = pipes(name)
    torch.manual_seed(0)
    images = draw(pipe, 4, seed=0)
    labels = (torch.arange(4),) if getattr(pipe, "num_classes", 0) else ()
    networks = {n: copy.deepcopy(network).train().requires_grad_() for n, network in networks_of(pipe).items()}
    # What is fitted, not trained.
    for fitted in ("attributes", "prior"):
        networks.pop(fitted, None)
    before = {n: {k: v.clone() for k, v in network.named_parameters()} for n, network in networks.items()}
    optimizer = torch.optim.Adam([p for network in networks.values() for p in network.parameters()], lr=1e-3)
    trained_together(networks, images, labels).backward()
    optimizer.step()
    for n, network in networks.items():
        moved = {k for k, v in network.named_parameters() if not torch.equal(v, before[n][k])}
        assert moved, f"the {n} has not learnt"
        assert all(torch.isfinite(v).all() for v in network.parameters())
        # An auxiliary head is trained by a loss of its own.
        still = {k for k in before[n] if k not in moved and not k.startswith("classify")}
        assert not still, f"{n}: {still}"


@pytest.mark.parametrize("name", MODELS)
def test_saved_and_loaded_it_is_the_same(name, pipes, tmp_path):
    pipe = pipes(name)
    pipe.save_pretrained(tmp_path)
    again = load_pipeline(tmp_path)
    assert type(again) is type(pipe)
    for n, network in networks_of(pipe).items():
        state, other = network.state_dict(), networks_of(again)[n].state_dict()
        assert state.keys() == other.keys()
        assert all(torch.equal(state[k], other[k]) for k in state)
    assert torch.equal(draw(again, 2, seed=5), draw(pipe, 2, seed=5))


@pytest.mark.parametrize("name", MODELS)
def test_an_image_of_a_seed_is_the_same_in_any_company(name, pipes):
    pipe = pipes(name)
    # Three images and one: the same but for the last bits that a batch size may change.
    assert torch.allclose(draw(pipe, 1, seed=3), draw(pipe, 3, seed=3)[:1], atol=1e-4)
    assert not torch.allclose(draw(pipe, 1, seed=3), draw(pipe, 1, seed=4), atol=1e-2)
    given = pipe(num_images=1, generator=torch.Generator().manual_seed(3), output_type="pt").images
    assert torch.equal(given, draw(pipe, 1, seed=3))
