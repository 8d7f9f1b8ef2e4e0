"""Model cards: what they say, that the Hub takes them, that their code runs as printed, and what never stands in them."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import pytest
from helpers import KINDS, run_python
from huggingface_hub import HfApi, ModelCard

from genmodels import zoo
from genmodels.hub.cards import reading_notes, write_card
from genmodels.privacy import public_name, redact, redact_argument
from genmodels.training.scripts import command_of

TRAINING = {
    "title": "A model of the tests",
    "command": "accelerate launch train/cgan.py --max_train_steps 20",
    "dataset": "ylecun/mnist",
    "split": "train",
    "classes": None,
    "seed": 0,
    "steps": 20,
    "batch_size": 64,
    "images_seen": 1280,
    "minutes": 0.1,
    "processes": 1,
    "device": "CPU, 1 thread(s)",
    "mixed_precision": "no",
    "commit": "0123456789ab",
    "torch": "2.13.0",
    "date": "2026-01-02",
    "papers": ["1312.6114", "2501.05441"],
    "monitor": "Watched for mode collapse: no sign in 40 checks.",
}
EVALUATION = {
    "dataset": "ylecun/mnist",
    "split": "test",
    "train_split": "train",
    "classes": None,
    "n": 10000,
    "n_reference": 10000,
    "seed": 3,
    "evaluator": "evaluator-mnist",
    "evaluator_sha256": "ab" * 32,
    "protocol": "n = 10,000 generated images (seed 3).",
    "metrics": [
        {
            "metric": "fid",
            "name": "FID (evaluator features)",
            "value": 1.25,
            "floor": 0.5,
            "better": "lower",
            "args": {},
            "tolerance": 0.01,
            "floor_tolerance": 0.005,
        }
    ],
}


def make_folder(saved, kind, tmp_path, training=TRAINING, evaluation=EVALUATION):
    """A copy of a saved pipeline with facts beside it."""
    folder = tmp_path / kind
    shutil.copytree(saved[kind], folder)
    for name, facts in (("training", training), ("evaluation", evaluation)):
        if facts is not None:
            (folder / f"{name}.json").write_text(json.dumps(facts))
    return folder


def python_blocks(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


def test_card_says_what_how_and_how_well(saved, tmp_path):
    folder = make_folder(saved, "cgan", tmp_path)
    (folder / "samples.png").touch()
    write_card(folder, "alice/numbers")
    card = ModelCard.load(folder / "README.md")
    assert (card.data.license, card.data.library_name) == ("apache-2.0", "diffusers")
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert card.data.datasets == ["ylecun/mnist"]
    assert {"genmodels", "gan", "conditional-gan"} <= set(card.data.tags)
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.dataset_split) == ("fid", 1.25, "test")
    assert result.metric_args == {"floor": 0.5, "tolerance": 0.01, "floor_tolerance": 0.005}
    assert result.dataset_args["seed"] == 3
    assert result.dataset_args["evaluator_sha256"] == "ab" * 32
    for words in (
        "# numbers\n",
        "![Samples](samples.png)",
        TRAINING["command"],
        "20 of 64 images",
        "commit 0123456789ab",
        "0.1 minutes",
        TRAINING["monitor"],
        "| FID (evaluator features) | 1.25 ± 0.01 | 0.5 ± 0.005 | lower |",
        "python -m genmodels verify alice/numbers",
        "CC BY-SA 3.0",
        "## Limits",
    ):
        assert words in card.text or words in card.content, words


HOSTILE = "<img src=x>|`a`\n# [b](c) *d* ```"


def test_names_of_classes_stay_text(saved, tmp_path):
    training = {
        **TRAINING,
        "command": f"accelerate launch train/cgan.py --classes '{HOSTILE}'",
        "classes": [HOSTILE],
        "monitor": f"missing classes: {HOSTILE}.",
    }
    folder = make_folder(saved, "cgan", tmp_path, training, {**EVALUATION, "protocol": f"Images of {HOSTILE}."})
    write_card(folder, "alice/numbers")
    text = ModelCard.load(folder / "README.md").text
    shown = "&lt;img src=x&gt;\\|\\`a\\` # \\[b\\](c) \\*d\\* \\`\\`\\`"
    for line in (
        f"| data | ylecun/mnist, split train, classes {shown} |",
        f"missing classes: {shown}.",
        f"of {shown}.",
    ):
        assert line in text
    # The command is in a block of code that its text does not end.
    (block,) = re.findall(r"^````sh\n(.*?)^````$", text, re.DOTALL | re.MULTILINE)
    assert HOSTILE in block
    assert HOSTILE not in text.replace(block, "")


def test_a_card_asks_for_classes_where_the_model_has_them(saved, tmp_path):
    folder = make_folder(saved, "lapgan", tmp_path, {**TRAINING, "papers": ["1506.05751"]})
    config = folder / "generator" / "config.json"
    for names, call in (
        ([], "pipe(num_images=4, seed=0)"),
        (["a", "b", "c"], "class_labels=[2, 0, 2, 0]"),
        (["1", "2", "3"], "class_labels=['3', '1', '3', '1']"),
    ):
        facts = {"num_classes": len(names), "class_names": names or None}
        config.write_text(json.dumps({**json.loads(config.read_text()), **facts}))
        write_card(folder)
        card = (folder / "README.md").read_text()
        (code,) = python_blocks(card)
        assert call in code
        assert "Denton, Chintala, Szlam, Fergus, *Deep Generative Image Models using a Laplacian Pyramid" in card


def test_citation_is_bibtex_of_the_papers(saved, tmp_path):
    folder = make_folder(saved, "vae", tmp_path)
    write_card(folder)
    (block,) = re.findall(r"```bibtex\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    entries = dict(re.findall(r"^@misc\{(\w+),\n(.*?)^\}", block, re.DOTALL | re.MULTILINE))
    assert set(entries) == {"kingma2014auto", "huang2024the"}
    assert "author = {Kingma, Diederik P. and Welling, Max}" in entries["kingma2014auto"]
    assert "eprint = {1312.6114}" in entries["kingma2014auto"]
    assert block.count("{") == block.count("}")


def test_card_says_how_a_generator_upsamples(saved, tmp_path):
    folder = make_folder(saved, "dcgan", tmp_path, {**TRAINING, "papers": ["10.23915/distill.00003"]}, None)
    write_card(folder)
    assert "from noise by transposed convolutions" in (folder / "README.md").read_text()
    config = folder / "generator" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "upsampling": "nearest"}))
    write_card(folder)
    card = (folder / "README.md").read_text()
    assert "from noise by nearest-neighbour upsampling and convolutions" in card
    assert "https://doi.org/10.23915/distill.00003" in card


def test_card_of_a_denoiser_says_that_it_is_one(saved, tmp_path):
    papers = ["10.1145/1390156.1390294"]
    folder = make_folder(saved, "autoencoder", tmp_path, {**TRAINING, "papers": papers}, None)
    (folder / "film.webp").touch()
    write_card(folder)
    plain = ModelCard.load(folder / "README.md")
    assert "pipe.reconstruct(images)" in plain.text
    assert "pipe.denoise" not in plain.text
    assert (plain.data.pipeline_tag, "denoising" in plain.data.tags) == ("unconditional-image-generation", False)
    config = folder / "encoder" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "noise": 0.5}))
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    assert (card.data.pipeline_tag, "denoising" in card.data.tags) == ("image-to-image", True)
    for words in ("pipe.denoise(images)", "sees noisy images", "The same noisy images during training", "gaps between"):
        assert words in card.text, words
    # A paper without an arXiv id is cited by its DOI.
    assert "- Vincent, Larochelle, Bengio, Manzagol, *Extracting" in card.text
    assert "doi = {10.1145/1390156.1390294},\n  url = {https://doi.org/10.1145/1390156.1390294}" in card.text
    assert "eprint" not in card.text


@pytest.mark.parametrize("dataset", ["flwrlabs/celeba", "someone/CelebA-faces"])
def test_models_of_celeba_are_for_research_only(saved, tmp_path, dataset):
    folder = make_folder(saved, "dcgan", tmp_path, {**TRAINING, "dataset": dataset}, None)
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    assert card.data.license == "other"
    assert "non-commercial" in card.data.to_dict()["license_name"]
    assert "non-commercial research only" in card.text
    assert "Weights and code: Apache-2.0" not in card.text


def test_card_without_facts_is_written_all_the_same(saved, tmp_path):
    folder = make_folder(saved, "vae", tmp_path, None, None)
    write_card(folder)
    card = ModelCard.load(folder / "README.md")
    assert card.data.eval_results is None
    assert not {"## Training", "## Evaluation", "## Citation"} & set(card.text.splitlines())


def test_plain_diffusers_is_shown_only_where_the_code_is(saved, tmp_path):
    folder = make_folder(saved, "cgan", tmp_path)
    write_card(folder, "alice/numbers")
    assert len(python_blocks((folder / "README.md").read_text())) == 1
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": ["pipeline", "CGANPipeline"]}))
    write_card(folder, "alice/numbers")
    _, plain = python_blocks((folder / "README.md").read_text())
    assert 'DiffusionPipeline.from_pretrained("alice/numbers", trust_remote_code=True)' in plain
    assert "genmodels" not in plain


# Runs each piece of code as a program of its own, in the folder that goes with it.
EXECUTE = """
import json, os, sys
for folder, code in json.load(open(sys.argv[1])):
    os.chdir(folder)
    exec(compile(code, folder, "exec"), {"__name__": "__main__"})
    assert "Classifier" in code or os.path.getsize("sample.png") > 0
    print("ran")
"""


def execute(pieces: list[tuple[str, str]], tmp_path, env=None) -> None:
    """Run (folder, code) pieces in one fresh Python."""
    (tmp_path / "pieces.json").write_text(json.dumps([(str(folder), code) for folder, code in pieces]))
    done = run_python("-c", EXECUTE, str(tmp_path / "pieces.json"), env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ran\n") == len(pieces)


@pytest.mark.slow
def test_code_on_built_in_cards_runs_as_printed(tmp_path):
    pieces = []
    for name in ("vae-mnist", "dcgan-cifar10-frogs", "cgan-mnist", "evaluator-mnist"):
        (code,) = python_blocks((zoo.model_folder(name) / "README.md").read_text())
        assert f'"{name}"' in code
        (tmp_path / name).mkdir()
        pieces.append((tmp_path / name, code))
    execute(pieces, tmp_path)


@pytest.mark.slow
def test_code_on_cards_of_folders_runs_inside_them(saved, tmp_path):
    pieces = []
    for kind in KINDS:
        folder = make_folder(saved, kind, tmp_path)
        write_card(folder)
        (code,) = python_blocks((folder / "README.md").read_text())
        pieces.append((folder, code))
    execute(pieces, tmp_path)


def test_cards_pass_the_hub_and_their_code_loads_from_it(hub, saved, tmp_path):
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    evaluator = tmp_path / "judge"
    shutil.copytree(zoo.model_folder("evaluator-mnist"), evaluator)
    pieces = []
    for folder in [*(make_folder(saved, kind, tmp_path) for kind in KINDS), evaluator]:
        repo_id = f"alice/card-{folder.name}"
        write_card(folder, repo_id)
        api.create_repo(repo_id)
        api.upload_folder(repo_id=repo_id, folder_path=folder)
        (code,) = python_blocks((folder / "README.md").read_text())
        assert f'"{repo_id}"' in code
        (tmp_path / f"run-{folder.name}").mkdir()
        pieces.append((tmp_path / f"run-{folder.name}", code))
        # What the Hub reads from it.
        assert api.model_info(repo_id).card_data.eval_results
    execute(pieces, tmp_path, env=hub.env(tmp_path / "home", user=None))
    validate = "import sys; from huggingface_hub import ModelCard\nfor p in sys.argv[1:]: ModelCard.load(p).validate()"
    cards = [str(tmp_path / name / "README.md") for name in (*KINDS, "judge")]
    env = hub.env(tmp_path / "home", user=None)
    assert run_python("-c", validate, *cards, env=env).returncode == 0
    broken = tmp_path / "broken.md"
    broken.write_text((tmp_path / "vae/README.md").read_text().replace("license: apache-2.0", "license: mine"))
    refused = run_python("-c", validate, str(broken), env=env)
    assert "license" in refused.stderr.splitlines()[-1]


# Words of a command line that nobody else should read, and what must not be left of them.
NASTY = [
    ("/home/bob/x", "bob"),
    ("/home/bob", "bob"),
    ("--dataset_name=/home/bob/x", "bob"),
    ("/home/bob smith/my photos", "smith"),
    ("~/secret-project/x", "secret-project"),
    ("~bob/x", "bob"),
    ("../bob/x", "bob"),
    (r"C:\Users\bob\x", "bob"),
    ("D:/Users/bob", "bob"),
    (r"\\nas\bob\x", "bob"),
    ("file:///home/bob/x", "bob"),
    ("hf_abcdefghijklmnopqrstuvwxyz", "abcdef"),
    ("--hub_token=hf_alice", "alice"),
    ("HF_TOKEN=s3cr3tvalue", "s3cr3t"),
    ("WANDB_API_KEY=0123456789abcdef", "0123456789abcdef"),
    ("bob@cluster.example.org", "bob"),
    ("https://bob:pw123@example.org/data", "pw123"),
]


@pytest.mark.parametrize(("word", "private"), NASTY)
def test_nothing_private_reaches_a_card(saved, tmp_path, monkeypatch, word, private):
    command = command_of("train/cgan.py", ["--dataset_name", word, "--seed", "1"])
    assert private not in command
    assert shlex.split(command)[:4] == ["accelerate", "launch", "train/cgan.py", "--dataset_name"]
    assert shlex.split(command)[-2:] == ["--seed", "1"]
    # A folder from elsewhere, whose facts were written without care.
    nasty = f"env HF_TOKEN=hf_zzzzzzzzzz accelerate launch train/cgan.py --dataset_name {shlex.quote(word)} --seed 1"
    evaluation = {**EVALUATION, "dataset": word, "protocol": f"1,000 images of {word}, split test."}
    if " " in word:
        evaluation["protocol"] = f"1,000 images of {word!r}, split test."
        evaluation["dataset"] = None
    training = {**TRAINING, "command": nasty, "dataset": None, "monitor": f"Copies of '{word}' found."}
    folder = make_folder(saved, "cgan", tmp_path, training, evaluation)
    write_card(folder, "carol/numbers")
    for name in ("README.md", "training.json", "evaluation.json"):
        text = (folder / name).read_text()
        assert private not in text, name
        assert "zzz" not in text, name
    assert "--seed 1" in (folder / "README.md").read_text()
    assert ModelCard.load(folder / "README.md").data.model_name == "numbers"


def test_the_current_token_is_known_in_any_form(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "an-odd-token")
    assert redact("said an-odd-token twice: an-odd-token") == "said TOKEN twice: TOKEN"


@pytest.mark.parametrize(
    "text",
    [
        "accelerate launch train/cgan.py --output_dir runs/cgan-mnist --lr_scheduler constant",
        "see https://arxiv.org/abs/1411.1784 and http://127.0.0.1:7860/x/y",
        "real/fake images and/or 3/4 of them; ylecun/mnist, split test",
        "@misc{mirza2014conditional,\n  title = {{Nets}}\n}",
        "| a | b / c |\n| --- | --- |",
        "from huggingface_hub import hf_hub_download",
        "FID ~ 3.2 / 0.5, p <0.5/",
    ],
)
def test_harmless_text_stays_as_it_is(text):
    assert redact(text) == text


def test_all_cards_of_the_zoo_are_harmless():
    for readme in zoo.ROOT.glob("*/README.md"):
        text = readme.read_text()
        assert redact(text) == text, readme


def test_harmless_arguments_stay_as_they_are():
    for word in ("--seed", "1", "a b", "runs/cgan", "./photos", "ylecun/mnist", "zoo:mnist-sample", "1e-4", "a=b/c"):
        assert redact_argument(word) == word


def test_only_names_that_others_know_are_public(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "faces").mkdir(parents=True)
    assert [public_name(name) for name in ("ylecun/mnist", "zoo:mnist-sample", "evaluator-mnist")] == [
        "ylecun/mnist",
        "zoo:mnist-sample",
        "evaluator-mnist",
    ]
    for name in ("data/faces", str(tmp_path), "~/faces", "file:///home/bob/x", r"C:\faces", "../faces/x"):
        assert public_name(name) is None, name


def measured(*names: str) -> dict:
    return {"metrics": [{"metric": name, "name": name, "value": 0.5, "better": "higher"} for name in names]}


@pytest.mark.parametrize(
    ("metrics", "said"),
    [
        (["precision"], ["Precision and class accuracy reward", "Not measured: how well a fresh network", "(C2ST)."]),
        (["precision", "c2st", "within_class_recall"], ["Not measured: what a fresh network that learned", "(CAS)."]),
        (["precision", "within_class_recall"], ["(C2ST); what", "(CAS)."]),
    ],
)
def test_a_card_says_which_tests_it_lacks(metrics, said):
    (note,) = reading_notes(measured(*metrics))
    assert all(part in note for part in said)


def test_a_card_with_all_tests_lacks_none():
    (note,) = reading_notes(measured("precision", "c2st", "cas", "within_class_recall"))
    assert "Not measured" not in note
    assert reading_notes(measured("accuracy")) == []


def test_a_card_shows_the_training_images_nearest_to_generated_ones(saved, tmp_path):
    folder = make_folder(saved, "dcgan", tmp_path)
    write_card(folder)
    assert "neighbors.png" not in (folder / "README.md").read_text()
    (folder / "neighbors.png").touch()
    write_card(folder)
    assert "![Nearest training images](neighbors.png)" in (folder / "README.md").read_text()
