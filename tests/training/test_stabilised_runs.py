"""The flags that stabilise adversarial training: each reaches the objective, stands in the help, and is cited."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch

from genmodels import WGANPipeline, losses
from genmodels.errors import UserError
from genmodels.hub.cards import PAPERS
from genmodels.training.facts import settings_of
from genmodels.training.loop import Loop
from genmodels.training.scripts import load_script
from genmodels.training.stabilisers import StabiliserConfig, Stabilisers

FLAGS = {name: flag for name, flag in StabiliserConfig.settings().items() if flag.group == "stabilisers"}

# Each with a value at which it must change a loss within three steps.
ON = {
    "label_smoothing": ["0.2"],
    "label_flips": ["0.5"],
    "label_noise": ["0.3"],
    "instance_noise": ["1"],
    "diffaugment": ["color", "translation"],
    "dropout": ["0.5"],
    "spectral_norm": [],
    "r1": ["1"],
    "r2": ["1"],
    "penalty_interval": ["2", "--r1", "1"],
    "minibatch_stddev": [],
    "minibatch_discrimination": ["3"],
    "feature_matching": [],
    "historical_averaging": ["10"],
    "discriminator_learning_rate": ["0.05"],
}
QUIET = ["--report_to", "none", "--train_batch_size", "16", "--monitor_steps", "0", "--validation_steps", "0"]
QUIET += ["--sample_steps", "9", "--logging_steps", "1", "--shuffle_buffer", "20", "--max_train_steps", "4"]
GAN = ["--generator_dims", "8", "--discriminator_dims", "8", "--dropout", "0", "--label_smoothing", "0"]
# The few images of a test would have it on.
GAN += ["--diffaugment", "none"]


def losses_of(folder) -> list[tuple]:
    """The losses of each step, and the rates."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [tuple(value for name, value in line.items() if name.startswith("loss_")) for line in lines]


def facts_of(folder) -> dict:
    return json.loads((folder / "model/training.json").read_text())


def test_every_flag_reaches_the_objective_and_the_card(train, two_shards, tmp_path):
    assert ON.keys() == FLAGS.keys()
    train("gan", "--dataset_name", two_shards, *QUIET, *GAN, "--output_dir", tmp_path / "plain")
    plain = losses_of(tmp_path / "plain")
    assert facts_of(tmp_path / "plain")["papers"] == ["1406.2661"]
    for name, value in ON.items():
        run = tmp_path / name
        train("gan", "--dataset_name", two_shards, *QUIET, *GAN, f"--{name}", *value, "--output_dir", run)
        if name in ("r1", "r2"):
            # It is logged apart, and reaches the losses through the weights.
            assert losses_of(run)[1:] != plain[1:]
        elif name == "penalty_interval":
            # The second step is the first that has a penalty: what follows differs, if by little at first.
            assert losses_of(run)[0] == plain[0]
            assert losses_of(run)[1][0] == plain[1][0]
            assert losses_of(run)[1:] != plain[1:]
        elif name == "historical_averaging":
            # Before the third step there are no two weights to be the mean of.
            assert losses_of(run)[:2] == plain[:2]
            assert losses_of(run)[2] != plain[2]
        elif name == "discriminator_learning_rate":
            assert [losses_of(run)[0][0], losses_of(run)[1] == plain[1]] == [plain[0][0], False]
        else:
            assert losses_of(run)[0] != plain[0], name
        sources = [FLAGS[flag].source for flag in FLAGS if f"--{flag}" in (f"--{name}", *value)]
        assert facts_of(run)["papers"] == ["1406.2661", *(s for s in sources if not s.startswith("https:"))]


def test_the_lapgan_matches_the_features_of_its_levels(train, two_shards, tmp_path):
    tiny = ["--dataset_name", two_shards, *QUIET, "--no-random_flip", "--base_channels", "4"]
    train("lapgan", *tiny, "--output_dir", tmp_path / "scores")
    train("lapgan", *tiny, "--feature_matching", "--output_dir", tmp_path / "features")
    by_scores, by_features = losses_of(tmp_path / "scores")[0], losses_of(tmp_path / "features")[0]
    # The discriminator's objective is the same, the generator's another.
    assert [a == b for a, b in zip(by_scores, by_features, strict=True)] == [True, False]


def test_sources_are_papers_with_a_citation_or_addresses():
    assert all(flag.source in PAPERS or flag.source.startswith("https://") for flag in FLAGS.values())


ALSO_CRITICS = {"diffaugment", "dropout", "spectral_norm", "minibatch_stddev", "minibatch_discrimination"}
ALSO_CRITICS |= {"historical_averaging", "discriminator_learning_rate"}


@pytest.mark.parametrize(
    ("script", "flags"),
    [
        *((s, FLAGS.keys()) for s in ("gan", "dcgan", "cgan")),
        ("lapgan", FLAGS.keys() - {"diffaugment"}),
        ("wgan", ALSO_CRITICS),
    ],
)
def test_the_help_has_a_group_with_every_paper(script, flags):
    text = load_script(script).Config.parser().format_help()
    (group,) = [part for part in text.split("\n\n") if part.startswith("stabilisers:")]
    entries = {text.split()[0]: " ".join(text.split()) for text in group.split("\n  --")[1:]}
    assert entries.keys() == flags
    for name, text in entries.items():
        # argparse breaks lines at hyphens, too.
        assert FLAGS[name].source.replace("-", "") in text.replace("- ", "").replace("-", "")


def stabilisers(step: int = 3, **settings) -> Stabilisers:
    """Those of a run of 10 steps that is at `step`."""
    config = StabiliserConfig(loss="nonsaturating", learning_rate=0.1, max_train_steps=10, **settings)
    return Stabilisers(SimpleNamespace(config=config, step=step))


def test_off_is_off():
    stabilise = stabilisers()
    images = torch.rand(2, 1, 4, 4)
    assert stabilise.seen(images) is images
    assert not any(part.requires_grad for part in stabilise.inputs(images, images))
    assert stabilise.penalty(None, images, None, images) == 0
    assert stabilise.weight_penalty("generator") == 0
    assert (stabilise.papers, stabilise.learning_rate) == ([], 0.1)
    assert not any({**stabilise.layers, **stabilise.targets}.values())


def test_instance_noise_falls_to_zero_at_the_last_step():
    torch.manual_seed(0)
    images = torch.zeros(1, 1, 100, 100)
    for step, std in ((0, 0.8), (5, 0.4), (10, 0.0)):
        stabilise = stabilisers(step, instance_noise=0.8)
        assert stabilise.seen(images).std().item() == pytest.approx(std, rel=0.03)
        real, fake = stabilise.inputs(images, images)
        assert not torch.equal(real, fake) or not std


def test_where_a_run_ends_is_a_setting_of_its_instance_noise():
    accelerator = SimpleNamespace(mixed_precision="no", device=torch.device("cpu"))
    plain, noisy = (StabiliserConfig(loss="nonsaturating", instance_noise=std) for std in (0.0, 0.1))
    assert "--max_train_steps" not in settings_of(plain, accelerator)
    assert settings_of(noisy, accelerator)["--max_train_steps"] == 10_000


def test_gradient_penalties_have_their_weights_and_places():
    torch.manual_seed(0)
    critic, images = torch.nn.Linear(4, 1), [torch.rand(3, 1, 2, 2) for _ in range(2)]

    def penalties(step=0, **weights):
        stabilise = stabilisers(step, **weights)
        real, fake = stabilise.inputs(*images)
        scores = [critic(part.flatten(1)).square().flatten() for part in (real, fake)]
        return stabilise.penalty(scores[0], real, scores[1], fake).item()

    def by_itself(part):
        part = part.clone().requires_grad_()
        return losses.gradient_penalty(critic(part.flatten(1)).square().flatten(), part).item()

    at_real, at_fake = map(by_itself, images)
    assert penalties(r1=0.5) == pytest.approx(0.5 * at_real)
    assert penalties(r2=3.0) == pytest.approx(3 * at_fake)
    assert penalties(r1=0.5, r2=3.0) == pytest.approx(0.5 * at_real + 3 * at_fake)
    seldom = [penalties(step, r1=0.5, r2=3.0, penalty_interval=4) for step in range(8)]
    assert seldom == [0, 0, 0, pytest.approx(4 * penalties(r1=0.5, r2=3.0))] * 2


def test_an_interval_of_nothing_is_told():
    with pytest.raises(UserError, match="add --r1 or --r2, or leave it out"):
        StabiliserConfig(penalty_interval=4)


def test_the_history_is_the_mean_of_the_weights_after_each_step(train, two_shards, tmp_path, monkeypatch):
    after_step, seen = Loop._after_step, []

    def note(loop):
        after_step(loop)
        weights, means = loop._run.networks.history("generator")
        seen.append(([p.detach().clone() for p in weights], [mean.clone() for mean in means]))

    monkeypatch.setattr(Loop, "_after_step", note)
    flags = ["--historical_averaging", "--output_dir", tmp_path]
    train("gan", "--dataset_name", two_shards, *QUIET, *GAN, *flags)
    for step in range(4):
        for i, mean in enumerate(seen[step][1]):
            torch.testing.assert_close(mean, torch.stack([weights[i] for weights, _ in seen[: step + 1]]).mean(0))


def test_nearest_upsampling_is_trained_saved_and_cited(train, two_shards, tmp_path):
    for script, part in (("wgan", "generator"), ("cgan", "generator"), ("vae", "decoder"), ("autoencoder", "decoder")):
        flags = ["--base_channels", "4", "--upsampling", "nearest", "--output_dir", tmp_path / script]
        flags += ["--critic_steps", "1"] if script == "wgan" else []
        train(script, "--dataset_name", two_shards, *QUIET, *flags, "--max_train_steps", "1")
        assert json.loads((tmp_path / script / "model" / part / "config.json").read_text())["upsampling"] == "nearest"
        assert facts_of(tmp_path / script)["papers"][-1] == "10.23915/distill.00003"


def test_spectral_norm_is_the_third_bound_of_a_wasserstein_critic(train, two_shards, tmp_path):
    flags = ["--base_channels", "4", "--critic_steps", "1", "--spectral_norm", "--minibatch_stddev"]
    flags += ["--diffaugment", "none", "--max_train_steps", "1", "--output_dir", tmp_path]
    train("wgan", "--dataset_name", two_shards, *QUIET, *flags)
    facts = facts_of(tmp_path)
    assert facts["title"] == "Wasserstein GAN with spectral norm"
    assert facts["papers"] == ["1701.07875", "1802.05957", "1710.10196"]
    pipe = WGANPipeline.from_pretrained(tmp_path / "model")
    config = pipe.discriminator.config
    assert (config.norm, config.spectral_norm, config.minibatch_stddev) == ("none", True, True)
    assert pipe.discriminate(pipe(5, seed=0).images).isfinite().all()
