"""What each process of test_processes.py runs: `parallel_driver.py weights JSON`, a list of scripts with their flags, or
`gradients FOLDER`."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from safetensors.torch import save_file
from torch import nn

from genmodels import DCGANDiscriminator, DCGANGenerator, DCGANPipeline, losses
from genmodels.training import TrainingConfig, TrainingRun
from genmodels.training.loop import Loop

BATCH = 16


def train_and_compare_weights(commands: list[list[str]]) -> None:
    """Train with the real scripts in turn; after every step all processes must hold the same weights, to the bit."""
    after_step, seen = Loop._after_step, []

    def compare(loop: Loop) -> None:
        after_step(loop)
        run = loop._run
        flat = torch.cat([p.detach().flatten() for model in run.networks.models.values() for p in model.parameters()])
        everywhere = run.accelerator.gather(flat[None])
        assert (everywhere == everywhere[0]).all(), f"weights differ after step {run.step}"
        seen.append(run.step)

    Loop._after_step = compare
    # The processes stay together: most of such a test's time is how long they take to start.
    PartialState.destroy_process_group = lambda *_: None
    for command in commands:
        seen.clear()
        sys.argv = command
        runpy.run_path(command[0], run_name="__main__")
        print(f"{' '.join(command)}: identical after steps {seen}")


def wasserstein_gp_loss(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, mix: torch.Tensor) -> torch.Tensor:
    """The critic's loss of train/wgan.py with a penalty, at given interpolates."""
    mixed = (mix * real + (1 - mix) * fake).requires_grad_()
    penalty = losses.lipschitz_penalty(critic(mixed), mixed)
    return losses.wasserstein_critic_loss(critic(real), critic(fake)) + 10 * penalty


def relativistic_loss(critic: nn.Module, real: torch.Tensor, fake: torch.Tensor, _) -> torch.Tensor:
    """The loss of train/dcgan.py with both penalties."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    real_scores, fake_scores = critic(real), critic(fake)
    penalty = losses.gradient_penalty(real_scores, real) + losses.gradient_penalty(fake_scores, fake)
    return losses.relativistic_discriminator_loss(real_scores, fake_scores) + penalty


def save_gradients(folder: Path) -> None:
    """Save the gradients that `TrainingRun.update` makes of one fixed batch, shared by however many processes there are."""
    options = {"train_batch_size": BATCH, "mixed_precision": "no", "report_to": ["none"]}
    run = TrainingRun(TrainingConfig(dataset_name="zoo:mnist-sample", output_dir=folder / "run", **options))
    rank, world_size = run.accelerator.process_index, run.accelerator.num_processes

    shape = {"sample_size": 16, "num_channels": 1, "base_channels": 4}
    networks = {
        "generator": DCGANGenerator(latent_dim=8, **shape),
        "discriminator": DCGANDiscriminator(norm="none", **shape),
    }
    optimizers = {name: torch.optim.SGD(network.parameters(), lr=0.0) for name, network in networks.items()}
    generator, critic = run.prepare(networks, optimizers, make_pipeline=DCGANPipeline)

    random = torch.Generator().manual_seed(0)
    whole = {
        "real": torch.rand(BATCH, 1, 16, 16, generator=random) * 2 - 1,
        "fake": torch.rand(BATCH, 1, 16, 16, generator=random) * 2 - 1,
        "latents": torch.randn(BATCH, 8, generator=random),
        "mix": torch.rand(BATCH, 1, 1, 1, generator=random),
    }
    batch = {name: tensor.chunk(world_size)[rank] for name, tensor in whole.items()}
    objectives = {
        "wasserstein_gp": ("discriminator", lambda b: wasserstein_gp_loss(critic, b["real"], b["fake"], b["mix"])),
        "relativistic": ("discriminator", lambda b: relativistic_loss(critic, b["real"], b["fake"], None)),
        # In evaluation mode BatchNorm has no batch to depend on.
        "generator": ("generator", lambda b: -critic(generator.eval()(b["latents"])).mean()),
        "batchnorm": ("generator", lambda b: -critic(generator.train()(b["latents"])).mean()),
    }
    found = {}
    for name, (network, loss_of) in objectives.items():
        run.update(optimizers[network], lambda part, loss_of=loss_of: (loss_of(part), {}), batch)
        found |= {f"{name}.{key}": p.grad.clone() for key, p in networks[network].named_parameters()}
    if run.accelerator.is_main_process:
        # What two processes with BatchNorm should find: the mean over the halves, each normalised by itself.
        halves = {name: tensor.chunk(2) for name, tensor in whole.items()}
        gradients = []
        for i in range(2):
            loss = objectives["batchnorm"][1]({name: half[i] for name, half in halves.items()})
            gradients.append(torch.autograd.grad(loss, list(networks["generator"].parameters())))
        names = [name for name, _ in networks["generator"].named_parameters()]
        for name, *both in zip(names, *gradients, strict=True):
            found[f"batchnorm_of_halves.{name}"] = torch.stack(both).mean(0)
        save_file({name: tensor.contiguous() for name, tensor in found.items()}, folder / "gradients.safetensors")
    run.accelerator.end_training()


if __name__ == "__main__":
    if sys.argv[1] == "weights":
        train_and_compare_weights(json.loads(sys.argv[2]))
    else:
        save_gradients(Path(sys.argv[2]))
