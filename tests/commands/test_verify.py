"""`python -m genmodels evaluate` and `verify`: numbers that hold are reproduced, and whatever does not hold is found."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas
import pytest
import torch
from helpers import REPO, make_pipeline, run_python
from huggingface_hub import HfApi, snapshot_download
from PIL import Image

from genmodels import (
    AutoencoderDecoder,
    AutoencoderEncoder,
    AutoencoderPipeline,
    CGANDiscriminator,
    CGANGenerator,
    CGANPipeline,
    zoo,
)
from genmodels.__main__ import main
from genmodels.commands.evaluate import keep_baseline
from genmodels.commands.verify import FoundModel, card_differences, check_files, fetch_model
from genmodels.features.classifier import Classifier
from genmodels.folder import ModelFolder, read_json
from genmodels.hub.cards import TABLE_MARKERS, evaluation_table, table_differences, write_card

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_measures")]
FID = "FID (evaluator features)"
# What a card says of a run.
RUN = {
    "steps": 1,
    "batch_size": 1,
    "images_seen": 1,
    "minutes": 0,
    "processes": 1,
    "device": "CPU",
    "mixed_precision": "no",
}
RUN |= {"commit": None, "torch": torch.__version__, "date": "2026-01-01"}


def run(capsys, *args) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    code = main(list(map(str, args)))
    return code, *capsys.readouterr()


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """A folder of digits: 200 to train on and 60 to test on, by class."""
    root = tmp_path_factory.mktemp("digits")
    sample = zoo.load_sample("zoo:mnist-sample")
    for i, (image, label) in enumerate(zip(sample.images[:260], sample.labels[:260], strict=True)):
        folder = root / ("train" if i < 200 else "test") / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[..., 0]).save(folder / f"{i:03}.png")
    return root


@pytest.fixture(scope="module")
def vae(saved, digits, quick_measures, tmp_path_factory) -> Path:
    """A VAE with a card that was measured on `digits`; copy before changing it."""
    folder = tmp_path_factory.mktemp("measured") / "vae"
    shutil.copytree(saved["vae"], folder)
    assert main(["evaluate", str(folder), "--dataset_name", str(digits), "--seed", "5", "--write_card"]) == 0
    return folder


@pytest.fixture
def copy(vae, tmp_path) -> Path:
    return Path(shutil.copytree(vae, tmp_path / "vae"))


def change_json(path: Path, change) -> None:
    """Apply `change` to a JSON file's content."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_evaluation_says_all_that_a_repetition_needs(vae):
    evaluation = read_json(vae / "evaluation.json")
    weights = (zoo.model_folder("evaluator-mnist") / "diffusion_pytorch_model.safetensors").read_bytes()
    assert evaluation["evaluator_sha256"] == hashlib.sha256(weights).hexdigest()
    facts = {
        "split": "test",
        "train_split": "train",
        "n": 200,
        "n_reference": 60,
        "seed": 5,
        "evaluator": "evaluator-mnist",
    }
    assert facts.items() <= evaluation.items()
    metrics = {row["metric"]: row for row in evaluation["metrics"]}
    assert {"fid", "kid", "precision", "recall", "mse", "negative_elbo", "kl", "nll"} <= set(metrics)
    assert metrics["kid"]["args"] == {"subsets": 2, "subset_size": 60}
    assert metrics["nll"]["args"] == {"draws": 64, "images": 50}
    for name, row in metrics.items():
        # For C2ST a network is trained, whose every step adds to what differs.
        assert 0 < row["tolerance"] < (0.06 if name.startswith("c2st") else 0.02) * max(1, abs(row["value"]))
    # The folder of the data is the measurer's own.
    assert evaluation["dataset"] is None
    assert "own images, split test" in evaluation["protocol"]


def test_numbers_that_hold_are_reproduced_exactly(capsys, vae, digits):
    code, out, err = run(capsys, "verify", vae, "--dataset_name", digits)
    assert (code, err) == (0, "")
    rows = [line for line in out.splitlines() if line.endswith("reproduced")]
    stated = read_json(vae / "evaluation.json")["metrics"]
    assert len(rows) == sum((row["value"] is not None) + (row["floor"] is not None) for row in stated)
    assert all("NOT" not in row and row.split()[-4] == row.split()[-3] for row in rows)
    assert out.splitlines()[-1] == f"{vae}: {len(rows)} of {len(rows)} numbers reproduced: verified."
    assert "no hashes to check" in out


def test_a_card_gets_the_nearest_training_images(capsys, copy, digits):
    code, _, said = run(capsys, "evaluate", copy, "--dataset_name", digits, "--neighbors")
    assert (code, "add --write_card" in said) == (2, True)
    assert run(capsys, "evaluate", copy, "--dataset_name", digits, "--neighbors", "--write_card")[0] == 0
    # Two rows side by side of an image and its three neighbours, at twice their size; six such lines.
    assert Image.open(copy / "neighbors.png").size == (2 * (8 * 30 + 2), 2 * (6 * 30 + 2))
    assert "(neighbors.png)" in (copy / "README.md").read_text()


def test_one_split_is_measured_in_the_same_halves_again(capsys, copy, digits):
    assert run(capsys, "evaluate", copy, "--dataset_name", digits, "--split", "train", "--write_card")[0] == 0
    stated = read_json(copy / "evaluation.json")
    assert (stated["n"], stated["n_reference"], stated["split"], stated["train_split"]) == (100, 100, "train", "train")
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    rows = [line.split() for line in out.splitlines() if line.endswith(" reproduced")]
    assert (code, all(row[-4] == row[-3] for row in rows)) == (0, True)
    # Images against themselves would have an FID of 0 and all of the recall.
    floors = {row["metric"]: row["floor"] for row in stated["metrics"]}
    assert floors["fid"] > 1
    assert floors["recall"] < 1


def test_a_diffusion_model_is_measured_in_the_stated_steps(capsys, digits, tmp_path):
    folder = tmp_path / "diffusion"
    pipeline = make_pipeline("diffusion")
    # The same weights serve every size.
    pipeline.unet.register_to_config(sample_size=14)
    pipeline.save_pretrained(folder)
    code, _, _ = run(capsys, "evaluate", folder, "--dataset_name", digits, "--num_inference_steps", 3, "--write_card")
    assert code == 0
    stated = read_json(folder / "evaluation.json")
    assert stated["num_inference_steps"] == 3
    assert "3 steps of DDIM" in stated["protocol"]
    # Nobody knows which digit an image should be.
    assert "accuracy" not in {row["metric"] for row in stated["metrics"]}
    assert "num_inference_steps: 3" in (folder / "README.md").read_text()
    code, out, _ = run(capsys, "verify", folder, "--dataset_name", digits)
    assert (code, out.splitlines()[-1].endswith("numbers reproduced: verified.")) == (0, True)
    # Other steps would draw other pictures, if only slightly of such a network.
    rows = [line.split() for line in out.splitlines() if line.endswith(" reproduced")]
    assert rows
    assert all(row[-4] == row[-3] for row in rows)
    found = card_differences(ModelFolder(folder), {**stated, "num_inference_steps": 1})
    assert "README.md states fid, num_inference_steps 3, evaluation.json 1." in found


def test_steps_are_only_for_diffusion_and_within_its_range(capsys, vae, digits, tmp_path):
    code, _, err = run(capsys, "evaluate", vae, "--dataset_name", digits, "--num_inference_steps", 3)
    assert (code, "A VAEPipeline draws in one step" in err) == (2, True)
    code, _, err = run(capsys, "evaluate", vae, "--dataset_name", digits, "--guidance_scale", 2)
    assert (code, "Guidance is for diffusion models with classes, which this is not" in err) == (2, True)
    code, _, err = run(capsys, "evaluate", "evaluator-mnist", "--dataset_name", digits, "--num_inference_steps", 3)
    assert (
        code,
        "--num_inference_steps, --guidance_scale, --inception_fid and --neighbors out" in err,
    ) == (2, True)


def test_a_denoiser_is_measured_and_verified(capsys, digits, tmp_path):
    folder, shape = tmp_path / "denoiser", {"latent_dim": 3, "base_channels": 4, "hidden_dim": 16}
    torch.manual_seed(0)
    pipeline = AutoencoderPipeline(AutoencoderEncoder(noise=0.5, **shape), AutoencoderDecoder(**shape))
    pipeline.save_pretrained(folder)
    assert run(capsys, "evaluate", folder, "--dataset_name", digits, "--write_card")[0] == 0
    stated = [row["metric"] for row in read_json(folder / "evaluation.json")["metrics"]]
    assert stated[:6] == ["psnr", "psnr_noisy", "psnr_median", "mse", "mse_pca", "mse_compressed"]
    assert "| PSNR after a 3x3 median filter (dB) |" in (folder / "README.md").read_text()
    code, out, _ = run(capsys, "verify", folder, "--dataset_name", digits)
    assert code == 0
    assert out.splitlines()[-1].endswith("numbers reproduced: verified.")
    # Of another noise than the card's.
    config = folder / "encoder" / "config.json"
    config.write_text(json.dumps({**read_json(config), "noise": 0.4}))
    code, out, _ = run(capsys, "verify", folder, "--dataset_name", digits)
    assert code == 1
    assert [line for line in out.splitlines() if "PSNR of the noisy images" in line and "NOT reproduced" in line]


@pytest.mark.parametrize(("metric", "field"), [("fid", "value"), ("recall", "floor"), ("nll", "value")])
def test_a_wrong_number_is_found(capsys, copy, digits, metric, field):
    def plant(data):
        (row,) = (row for row in data["metrics"] if row["metric"] == metric)
        row[field] = row[field] * 1.02 + 0.004
        # A card cannot excuse it either.
        row["tolerance"] = row["floor_tolerance"] = 1e6

    change_json(copy / "evaluation.json", plant)
    write_card(copy)
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 1
    wrong = [line for line in out.splitlines() if line.endswith("NOT reproduced")]
    names = {"fid": FID, "recall": "recall (k = 3), real against real", "nll": "NLL, importance-weighted bound"}
    assert len(wrong) == 1
    assert wrong[0].startswith(names[metric])
    assert out.splitlines()[-1].endswith("numbers reproduced: NOT verified.")


def test_other_weights_under_the_same_card_are_found(capsys, copy, digits):
    pipeline = make_pipeline("vae", seed=1)
    pipeline.save_pretrained(copy)
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 1
    assert out.count("NOT reproduced") >= 5
    # Real against real does not depend on them.
    assert any(line.endswith(" reproduced") and "real against real" in line for line in out.splitlines())


def test_a_card_that_contradicts_itself_is_reported(capsys, copy, digits):
    stated = read_json(copy / "evaluation.json")
    assert card_differences(ModelFolder(copy), stated) == []
    fid = stated["metrics"][0]
    readme = copy / "README.md"
    text = readme.read_text()
    readme.write_text(text.replace(f"value: {fid['value']}", "value: 0.5"))
    assert card_differences(ModelFolder(copy), stated) == [f"README.md states fid 0.5, evaluation.json {fid['value']}."]
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 1
    assert "The card contradicts itself: README.md states fid 0.5" in out
    assert "1 contradiction(s) in the card: NOT verified." in out
    assert "NOT reproduced" not in out
    for old, new, said in (
        ("| FID (evaluator features) | ", "| FID (evaluator features) | 0.1", "the table of README.md does not show"),
        ("seed: 5", "seed: 6", "README.md states fid, seed 6, evaluation.json 5"),
        ("- type: recall", "- type: fame", "evaluation.json states recall, the metadata of README.md does not"),
        ("model-index:", "model-index: [", "the metadata of README.md is not readable"),
    ):
        assert old in text
        readme.write_text(text.replace(old, new))
        assert any(said in difference for difference in card_differences(ModelFolder(copy), stated)), said


START, END = TABLE_MARKERS
HIDDEN_TABLES = {
    "in a comment beside a false one": lambda table: f"<!--\n{START}\n\n{table}\n\n{END}\n-->\n\n{false(table)}",
    "in a comment, the markers too around a false one": (
        lambda table: f"<!--\n{START}\n{table}\n{END}\n-->\n\n{START}\n\n{false(table)}\n\n{END}"
    ),
    "true, and a false one after it": lambda table: f"{START}\n\n{table}\n\n{END}\n\n{false(table)}",
    "true, and a false one in code": lambda table: f"```\n{false(table)}\n```\n\n{START}\n\n{table}\n\n{END}",
    "true in code, false outside": lambda table: f"```\n{START}\n{table}\n{END}\n```\n\n{false(table)}",
    "twice": lambda table: f"{START}\n\n{table}\n\n{END}\n\n{START}\n\n{table}\n\n{END}",
    "without an end": lambda table: f"{START}\n\n{table}",
    "behind an open comment": lambda table: f"<!-- \n\n{START}\n\n{table}\n\n{END}\n\n-->\n",
    "indented as code": lambda table: f"{START}\n\n    {table}\n\n{END}".replace("\n|", "\n    |"),
    "in a folded part": lambda table: f"<details>\n\n{START}\n\n{table}\n\n{END}\n\n</details>",
    "hidden by HTML": lambda table: f"<div hidden>\n\n{START}\n\n{table}\n\n{END}\n\n</div>\n",
    "beside one of HTML": lambda table: (
        f"<table><tr><td>FID</td><td>0.1</td></tr></table>\n\n{START}\n\n{table}\n\n{END}"
    ),
    "with other words in it": lambda table: f"{START}\n\nBest of all:\n\n{table}\n\n{END}",
    "of an old card, in a comment": lambda table: f"<!--\n{table}\n-->\n\n{false(table)}",
    "of an old card, and a false one": lambda table: f"{table}\n\n{false(table)}",
}


def false(table: str) -> str:
    """The table of a model that is better than true."""
    return table.replace("| FID (evaluator features) | ", "| FID (evaluator features) | 0.")


def test_the_table_that_readers_see_is_the_one_compared(vae):
    stated, text = read_json(vae / "evaluation.json"), (vae / "README.md").read_text()
    table = evaluation_table(stated)
    shown = f"{START}\n\n{table}\n\n{END}"
    assert text.count(shown) == 1
    assert table_differences(text, stated) == []
    # A card of an older version has no markers.
    assert table_differences(text.replace(shown, table), stated) == []
    # Somebody's own words and pictures beside it are no harm.
    own = "<p align='center'>\n<img src='samples.png'>\n</p>\n\n<!-- a note -->\n\n```sh\npython x.py  # FID\n```\n\n"
    assert table_differences(text.replace(shown, f"{own}{shown}\n\nFID is on our features.\n"), stated) == []
    for name, hide in HIDDEN_TABLES.items():
        assert table_differences(text.replace(shown, hide(table)), stated), name


def test_terminals_obey_nothing_of_a_card(capsys, copy, digits):
    def change(data):
        data["metrics"][0]["name"] = "FID\x1b[2K\x1b[1A\rFID"
        data["protocol"] = "measured\nvae: 9 of 9 numbers reproduced: verified."

    change_json(copy / "evaluation.json", change)
    write_card(copy)
    _, out, err = run(capsys, "verify", copy, "--dataset_name", digits)
    assert not [c for c in out + err if not c.isprintable() and c != "\n"]
    assert not [line for line in out.splitlines() if line.startswith("vae: 9")]
    assert "FID\\x1b[2K" in out


def test_another_protocol_than_stated_is_reported(capsys, copy, digits):
    change_json(copy / "evaluation.json", lambda data: data.update(n=50_000))
    write_card(copy)
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 1
    assert "The protocol is not as stated: n is 200, stated 50000." in out


def test_another_evaluator_than_stated_is_refused(capsys, copy, digits):
    change_json(copy / "evaluation.json", lambda data: data.update(evaluator_sha256="0" * 64))
    write_card(copy)
    code, _, err = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 2
    assert "has other weights" in err
    assert err.count("\n") == 1


def test_what_cannot_be_verified_is_one_sentence(capsys, saved, vae, digits, tmp_path):
    no_numbers = Path(shutil.copytree(saved["vae"], tmp_path / "no-numbers"))
    broken = Path(shutil.copytree(vae, tmp_path / "broken"))
    (broken / "evaluation.json").write_text("{")
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    (tmp_path / "empty").mkdir()
    for arguments, said in (
        ([no_numbers], "states no numbers with a protocol"),
        ([broken], "is not readable as one"),
        ([vae], "give their folder with --dataset_name"),
        ([foreign], "holds a BertModel; genmodels measures AutoencoderPipeline"),
        ([tmp_path / "empty"], "has neither model_index.json nor config.json"),
        ([vae, "--revision", "v1"], "--revision is for models on the Hub"),
        (["no-such-model"], "There is no model 'no-such-model'"),
    ):
        code, _, err = run(capsys, "verify", *arguments)
        assert (code, err.count("\n")) == (2, 1), arguments
        assert said in err


def test_damaged_weights_of_a_folder_are_not_verified(capsys, copy, digits):
    weights = copy / "decoder" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 1
    assert "NOT verified: " in out
    assert "does not load" in out


@pytest.fixture(scope="session")
def judge(digits, tmp_path_factory) -> Path:
    """An untrained evaluator with a card that was measured on `digits`."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("measured") / "judge"
    Classifier(base_channels=4, class_names=[str(i) for i in range(10)]).save_pretrained(folder)
    assert main(["evaluate", str(folder), "--dataset_name", str(digits), "--write_card"]) == 0
    return folder


def test_evaluators_are_measured_and_verified_too(capsys, judge, digits, tmp_path):
    evaluation = read_json(judge / "evaluation.json")
    (row,) = evaluation["metrics"]
    assert (row["metric"], evaluation["n"], evaluation["split"]) == ("accuracy", 60, "test")
    assert row["value"] * 60 == pytest.approx(round(row["value"] * 60))
    code, out, _ = run(capsys, "verify", judge, "--dataset_name", digits)
    assert (code, out.splitlines()[-1]) == (0, f"{judge}: 1 of 1 numbers reproduced: verified.")
    copy = Path(shutil.copytree(judge, tmp_path / "judge"))
    change_json(copy / "config.json", lambda config: config.update(test_accuracy=0.999))
    code, out, _ = run(capsys, "verify", copy, "--dataset_name", digits)
    assert code == 1
    assert "config.json states accuracy 0.999" in out


def test_an_evaluator_judges_others_but_is_none_of_them(capsys, judge, vae, digits, tmp_path):
    output = tmp_path / "numbers.json"
    code, out, _ = run(capsys, "evaluate", vae, "--dataset_name", digits, "--evaluator", judge, "--json", output)
    assert code == 0
    # Whose folder it is, is nobody's business.
    assert json.loads(output.read_text())["evaluator"] is None
    assert str(judge) not in out + output.read_text()
    for arguments, said in (
        ([judge, "--evaluator", "evaluator-mnist"], "is an evaluator itself"),
        ([vae, "--evaluator", vae], "does not load as an evaluator"),
        ([vae, "--evaluator", "evaluator-mnst"], "There is no model 'evaluator-mnst'"),
    ):
        code, _, err = run(capsys, "evaluate", *arguments, "--dataset_name", digits)
        assert (code, err.count("\n")) == (2, 1)
        assert said in err


def test_a_baseline_is_kept_while_the_protocol_is_the_same():
    protocol = {"dataset": "a/b", "split": "test", "n": 10, "seed": 0, "evaluator": "e"}
    old = {**protocol, "baseline": {"title": "Old"}, "metrics": [{"metric": "fid", "baseline": 3.0}, {"metric": "kid"}]}

    def result(**changes):
        rows = [{"metric": "fid"}, {"metric": "kid"}]
        return {**protocol, "evaluator_sha256": "0", "metrics": rows, **changes}

    same, other = result(), result(seed=1)
    keep_baseline(same, old)
    keep_baseline(other, old)
    assert (same["baseline"], same["metrics"]) == (
        {"title": "Old"},
        [{"metric": "fid", "baseline": 3.0}, {"metric": "kid"}],
    )
    assert other == result(seed=1)


@pytest.fixture(scope="session")
def published(hub, saved, digits_on_hub, tmp_path_factory) -> tuple[str, Path]:
    """The id of a VAE on the Hub that was measured on digits from the Hub, and a cache to verify it from."""
    folder, home = tmp_path_factory.mktemp("published") / "vae", tmp_path_factory.mktemp("home")
    shutil.copytree(saved["vae"], folder)
    done = run_python(
        "-m", "genmodels", "evaluate", str(folder), "--dataset_name", digits_on_hub, "--write_card", env=hub.env(home)
    )
    assert done.returncode == 0, done.stderr
    repo_id, api = "alice/measured", HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    write_card(folder, repo_id)
    api.create_repo(repo_id)
    api.upload_folder(repo_id=repo_id, folder_path=folder)
    api.create_tag(repo_id, tag="v1")
    # After the tag, a number was made nicer, in all places where it stands.
    change_json(
        folder / "evaluation.json", lambda data: data["metrics"][0].update(value=data["metrics"][0]["value"] / 2)
    )
    write_card(folder, repo_id)
    api.upload_folder(repo_id=repo_id, folder_path=folder)
    return repo_id, home


def verify(hub, home: Path, *arguments: str) -> subprocess.CompletedProcess:
    """Run `verify` as a stranger would, without a token."""
    return run_python("-m", "genmodels", "verify", *arguments, env=hub.env(home, user=None))


def test_a_revision_on_the_hub_is_checked_and_measured(hub, published):
    repo_id, home = published
    honest, nicer = verify(hub, home, repo_id, "--revision", "v1"), verify(hub, home, repo_id)
    assert (honest.returncode, honest.stderr) == (0, "")
    assert "7 files checked against the hashes of the Hub." in honest.stdout
    assert honest.stdout.splitlines()[-1].endswith("numbers reproduced: verified.")
    assert nicer.returncode == 1
    assert [line[: len(FID)] for line in nicer.stdout.splitlines() if "NOT reproduced" in line] == [FID]


def test_models_and_evaluators_are_measured_by_hub_id(hub, published, judge, tmp_path):
    repo_id, home = published
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    api.create_repo("alice/judge")
    api.upload_folder(repo_id="alice/judge", folder_path=judge)
    output = tmp_path / "numbers.json"
    arguments = [repo_id, "--dataset_name", "alice/digits", "--evaluator", "alice/judge", "--json", str(output)]
    done = run_python("-m", "genmodels", "evaluate", *arguments, env=hub.env(home, user=None))
    assert done.returncode == 0, done.stderr
    numbers = json.loads(output.read_text())
    weights = (judge / "diffusion_pytorch_model.safetensors").read_bytes()
    assert (numbers["evaluator"], numbers["dataset"]) == ("alice/judge", "alice/digits")
    assert numbers["evaluator_sha256"] == hashlib.sha256(weights).hexdigest()


def test_a_flipped_byte_in_the_cache_is_named_and_repaired(hub, published):
    repo_id, home = published
    cache = {"cache_dir": home / "hub", "endpoint": hub.endpoint, "token": False}
    snapshot = Path(snapshot_download(repo_id, revision="v1", ignore_patterns=".gitattributes", **cache))
    blob = (snapshot / "decoder/diffusion_pytorch_model.safetensors").resolve()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    done = verify(hub, home, repo_id, "--revision", "v1")
    assert done.returncode == 1
    assert "decoder/diffusion_pytorch_model.safetensors is damaged" in done.stdout
    # Without the Hub, the cache's own names tell it too.
    checked, wrong = check_files(FoundModel(repo_id, ModelFolder(snapshot), repo_id))
    assert checked == 7
    assert [sentence.split(" is damaged")[0] for sentence in wrong] == ["decoder/diffusion_pytorch_model.safetensors"]
    command = done.stdout.split("`")[1]
    assert command == f"hf download {repo_id} --revision v1 --force-download"
    hf = [str(Path(sys.executable).with_name("hf")), *shlex.split(command)[1:]]
    subprocess.run(hf, env=hub.env(home, user=None), cwd=REPO, check=True, capture_output=True)
    assert verify(hub, home, repo_id, "--revision", "v1").returncode == 0


def test_a_model_of_others_is_named_before_its_weights_come(hub, tmp_path):
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    api.create_repo("alice/bert")
    for name, data in (("config.json", b'{"architectures": ["BertModel"]}'), ("model.safetensors", b"0" * 1000)):
        api.upload_file(repo_id="alice/bert", path_in_repo=name, path_or_fileobj=data)
    done = verify(hub, tmp_path, "alice/bert")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'alice/bert' holds a BertModel; genmodels measures" in done.stderr
    assert not list(tmp_path.rglob("*.safetensors"))
    unknown = verify(hub, tmp_path, "alice/nothing")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)
    assert "The Hub has no " in unknown.stderr
    assert "model 'alice/nothing'" in unknown.stderr


@pytest.mark.parametrize("name", [*zoo.model_names(), "evaluator-mnist", "evaluator-cifar10"])
def test_cards_of_the_zoo_do_not_contradict_themselves(name):
    folder = fetch_model(name).saved.path
    stated = read_json(folder / "evaluation.json")
    assert stated["metrics"]
    assert card_differences(ModelFolder(folder), stated) == []


def test_data_is_read_as_in_the_training(capsys, saved, tmp_path):
    """Labels that only training.json names, images of another column, and the part of the images that was trained on."""
    sample = zoo.load_sample("zoo:mnist-sample")
    names = ["ant", "bee", "cat", "dog"]
    for split, chosen in (("train", range(48)), ("test", range(48, 72))):
        images = []
        for i in chosen:
            data = io.BytesIO()
            Image.fromarray(sample.images[i, ..., 0]).save(data, "PNG")
            images.append(data.getvalue())
        columns = {"photo": images, "mask": images, "kind": [names[i % 4] for i in chosen]}
        (tmp_path / "rows").mkdir(exist_ok=True)
        pandas.DataFrame(columns).to_parquet(tmp_path / "rows" / f"{split}.parquet")
    given = ["evaluate", saved["cgan"], "--dataset_name", tmp_path / "rows", "--evaluator", "evaluator-mnist"]
    code, _, err = run(capsys, *given)
    assert (code, "28x28 pixels, 1 channel(s), and the model draws 16x16" in err) == (2, True)
    folder, classes = tmp_path / "model", {"num_classes": 4, "class_names": names, "base_channels": 4}
    CGANPipeline(CGANGenerator(**classes), CGANDiscriminator(**classes)).save_pretrained(folder)
    given = ["evaluate", folder, *given[2:]]
    code, _, err = run(capsys, *given)
    assert (code, "choose one of photo, mask with --image_column" in err) == (2, True)
    reading = {"image_column": "photo", "label_column": "kind", "max_train_samples": 40, "seed": 3}
    training = {"title": "", "command": "", "dataset": None, "split": "train", "classes": None, **reading, **RUN}
    (folder / "training.json").write_text(json.dumps(training))
    assert run(capsys, *given, "--write_card")[0] == 0
    stated = read_json(folder / "evaluation.json")
    facts = {"image_column": "photo", "label_column": "kind", "max_train_samples": 40, "train_seed": 3, "n": 40}
    assert facts.items() <= stated.items()
    metrics = {row["metric"]: row for row in stated["metrics"]}
    assert metrics["within_class_recall"]["floor"] > 0
    # It knows digits, and could only name the nearest.
    assert "accuracy" not in metrics
    assert metrics["generative_accuracy"]["floor"] is None
    code, out, _ = run(capsys, "verify", folder, "--dataset_name", tmp_path / "rows")
    assert (code, out.splitlines()[-1].endswith("numbers reproduced: verified.")) == (0, True)
    code, _, err = run(capsys, *given, "--label_column", "size")
    assert (code, "has no label column 'size': --label_column takes kind" in err) == (2, True)
