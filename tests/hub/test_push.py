"""Pushing while the Hub stutters: no commit twice, nothing lost, and one sentence where it cannot be done."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from helpers import DEAD_ENDPOINT, REPO, run_python
from huggingface_hub import HfApi
from safetensors.torch import load

import genmodels
from genmodels import zoo
from genmodels.hub.cards import write_card
from genmodels.hub.notebook import write_notebook
from genmodels.hub.standalone import add_code
from genmodels.training.checkpoints import load_checkpoint

# Waits short enough for tests; what is tried how often stays the same.
IMPATIENT = "import genmodels.hub.retries as retries\nretries.FIRST_DELAY = 0.02\n"
COMMAND = IMPATIENT + "import sys\nfrom genmodels.__main__ import main\nsys.exit(main(sys.argv[1:]))"
# A fault for each way in which a commit can fail.
EVERY_5TH = {"match": ".", "action": "status", "every": 5}
LOST_ANSWER = {"match": "POST .*/commit/", "action": "drop", "when": "after"}


@pytest.fixture
def model(tmp_path) -> Path:
    """A copy of a built-in model: weights, configs, card, samples, film, numbers."""
    return shutil.copytree(zoo.ROOT / "dcgan-cifar10-frogs", tmp_path / "frogs")


@pytest.fixture
def push(faulty_hub, tmp_path):
    """Run `python -m genmodels push` in a process of its own."""

    def run(*arguments, user="alice", **env) -> subprocess.CompletedProcess:
        env = faulty_hub.env(tmp_path / "home", user, **env)
        return run_python("-c", COMMAND, "push", *map(str, arguments), env=env)

    return run


@pytest.fixture
def api(faulty_hub) -> HfApi:
    return HfApi(endpoint=faulty_hub.endpoint, token=faulty_hub.tokens["alice"])


def titles(api: HfApi, repo_id: str) -> list[str]:
    """The commits of a repository, oldest first."""
    return [commit.title for commit in api.list_repo_commits(repo_id)][::-1]


def content(api: HfApi, repo_id: str, folder: Path, revision: str | None = None) -> dict[str, bytes]:
    """Every file of a repository, downloaded into `folder`, but the Hub's own."""
    names = [name for name in api.list_repo_files(repo_id, revision=revision) if name != ".gitattributes"]
    return {
        name: Path(api.hf_hub_download(repo_id, name, revision=revision, cache_dir=folder)).read_bytes()
        for name in names
    }


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def as_pushed(folder: Path, repo_id: str) -> dict[str, bytes]:
    """The files of a model's folder with the code, the card and the notebook that a push adds to them."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / repo_id.split("/")[1]))
        add_code(copy)
        write_card(copy, repo_id)
        write_notebook(copy)
        return files_in(copy)


@pytest.mark.parametrize("xet", [False, True], ids=["lfs", "xet"])
def test_one_commit_holds_everything(push, api, faulty_hub, model, tmp_path, xet):
    (model / ".cache").mkdir()
    (model / ".cache" / "x.tmp").write_text("not for others")
    repo_id = f"alice/frogs-{xet}"
    done = push(model, repo_id, HF_HUB_DISABLE_XET=str(int(not xet)))
    assert (done.returncode, done.stdout) == (0, f"Pushed to {faulty_hub.endpoint}/{repo_id}\n"), done.stderr
    assert any("/_cas/" in request["line"] for request in faulty_hub.requests()) == xet
    assert titles(api, repo_id) == ["initial commit", "Upload the model"]
    there, here = content(api, repo_id, tmp_path / "cache"), as_pushed(model, repo_id)
    assert f'from_pretrained("{repo_id}")' in there["README.md"].decode()
    # The folder's own card is not touched.
    assert repo_id not in (model / "README.md").read_text()
    here.pop(".cache/x.tmp")
    assert there == here
    assert {"samples.png", "film.webp", "training.json", "evaluation.json", "notebook.ipynb"} < there.keys()
    # Nothing has changed: no commit.
    assert push(model, repo_id).returncode == 0
    assert len(titles(api, repo_id)) == 2


# Pushes five versions of a folder to each of ten repositories, all repositories at once.
FIFTY = (
    IMPATIENT
    + """
import shutil, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from PIL import Image
from genmodels.hub.push import push_folder
source, root = map(Path, sys.argv[1:])
def push(number):
    folder = shutil.copytree(source, root / str(number))
    for version in range(5):
        (folder / "training.json").write_text(f'{{"version": {version}}}')
        Image.new("RGB", (40, 40), (number, version, 0)).save(folder / "samples.png")
        push_folder(folder, f"alice/fifty-{number}", title=f"version {version}")
with ThreadPoolExecutor(10) as pool:
    list(pool.map(push, range(10)))
"""
)


def test_fifty_pushes_under_faults_make_fifty_commits(faulty_hub, api, saved, tmp_path):
    faulty_hub.set_faults({**LOST_ANSWER, "every": 3}, EVERY_5TH)
    done = run_python("-c", FIFTY, str(saved["vae"]), str(tmp_path / "pushed"), env=faulty_hub.env(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    met = [request["fault"] for request in faulty_hub.requests()]
    assert met.count("status") > 50
    assert met.count("drop") > 15
    faulty_hub.set_faults()
    for number in range(10):
        repo_id = f"alice/fifty-{number}"
        assert titles(api, repo_id) == ["initial commit", *(f"version {i}" for i in range(5))]
        assert content(api, repo_id, tmp_path / "cache") == files_in(tmp_path / "pushed" / str(number))


@pytest.mark.parametrize("xet", [False, True], ids=["lfs", "xet"])
def test_20_mb_go_up_and_come_back_to_the_bit(push, faulty_hub, tmp_path, xet):
    torch.manual_seed(0)
    shape = {"latent_dim": 8, "base_channels": 32, "hidden_dim": 1200}
    pipe = genmodels.VAEPipeline(genmodels.VAEEncoder(**shape), genmodels.VAEDecoder(**shape))
    pipe.save_pretrained(tmp_path / "large")
    assert sum(path.stat().st_size for path in (tmp_path / "large").rglob("*.safetensors")) > 20e6
    repo_id, env = f"alice/large-{xet}", {"HF_HUB_DISABLE_XET": str(int(not xet))}
    faulty_hub.set_faults(EVERY_5TH)
    done = push(tmp_path / "large", repo_id, **env)
    assert done.returncode == 0, done.stderr
    code = (
        IMPATIENT + "import sys\nfrom huggingface_hub import snapshot_download\n"
        "print(retries.retry(lambda: snapshot_download(sys.argv[1])))"
    )
    done = run_python("-c", code, repo_id, env=faulty_hub.env(tmp_path / "other", None, **env))
    assert done.returncode == 0, done.stderr
    assert sum(request["status"] == 503 for request in faulty_hub.requests()) >= 4
    loaded = genmodels.load_pipeline(done.stdout.strip())
    for name in ("encoder", "decoder"):
        expected, found = (getattr(p, name).state_dict() for p in (pipe, loaded))
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize(
    "stage",
    ["whoami", "repos/create", "blobs=true", "preupload", "objects/batch", "PUT /_lfs", "validate-yaml", "commit/"],
)
def test_each_stage_is_tried_again(push, api, faulty_hub, saved, stage):
    repo_id = f"alice/stage-{''.join(filter(str.isalpha, stage))}"
    faulty_hub.set_faults(
        {"match": stage, "action": "status", "status": 502, "limit": 1},
        {"match": stage, "action": "drop", "limit": 1},
    )
    done = push(saved["vae"], repo_id)
    assert done.returncode == 0, done.stderr
    assert [r["fault"] for r in faulty_hub.requests() if r["fault"]] == ["status", "drop"]
    assert titles(api, repo_id) == ["initial commit", "Upload the model"]


def test_a_busy_hub_says_how_long_to_wait(push, api, faulty_hub, saved):
    faulty_hub.set_faults({"match": "commit/", "action": "status", "status": 429, "retry_after": 2, "limit": 1})
    started = time.monotonic()
    assert push(saved["vae"], "alice/busy").returncode == 0
    assert time.monotonic() - started > 2
    assert titles(api, "alice/busy") == ["initial commit", "Upload the model"]


def test_giving_up_leaves_the_folder_and_names_the_command(push, api, faulty_hub, model):
    before = files_in(model)
    faulty_hub.set_faults({"match": "commit/", "action": "status"})
    done = push(model, "alice/later", "--private")
    assert (done.returncode, done.stdout) == (2, "")
    command = f"python -m genmodels push {model} alice/later --private"
    assert done.stderr == (
        f"python -m genmodels push: Pushing {model} to alice/later failed: the Hub answered 503, 'injected 503'; the folder is "
        f"complete, push it later with `{command}`.\n"
    )
    assert files_in(model) == before
    faulty_hub.set_faults()
    assert push(*command.split()[4:]).returncode == 0
    assert titles(api, "alice/later") == ["initial commit", "Upload the model"]
    assert api.repo_info("alice/later").private


# Two folders to one repository, and one folder twice to another, all at once.
AT_ONCE = (
    IMPATIENT
    + """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from genmodels.hub.push import push_model
one, two = map(Path, sys.argv[1:])
jobs = [(one, "alice/raced"), (two, "alice/raced"), (one, "alice/twice"), (one, "alice/twice"), (one, "alice/twice")]
with ThreadPoolExecutor(5) as pool:
    list(pool.map(lambda job: push_model(*job), jobs))
"""
)


def test_pushes_at_once_do_not_mix(faulty_hub, api, model, saved, tmp_path):
    faulty_hub.set_faults({**LOST_ANSWER, "every": 2}, {"match": "commit/", "action": "delay", "seconds": 0.2})
    done = run_python("-c", AT_ONCE, str(model), str(saved["vae"]), env=faulty_hub.env(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    assert titles(api, "alice/twice") == ["initial commit", "Upload the model"]
    assert content(api, "alice/twice", tmp_path / "cache").keys() == as_pushed(model, "alice/twice").keys()
    assert titles(api, "alice/raced") == ["initial commit", "Upload the model", "Upload the model"]
    raced = content(api, "alice/raced", tmp_path / "cache")
    pushed = [as_pushed(path, "alice/raced") for path in (model, saved["vae"])]
    (winner,) = [files for files in pushed if files["model_index.json"] == raced["model_index.json"]]
    assert {name: raced[name] for name in winner} == winner


# Prints, as JSON, what each call says; arguments are JSON lists of id, user's token and further options.
RIGHTS = (
    IMPATIENT
    + """
import json, sys
from genmodels.errors import UserError
from genmodels.hub.push import check_rights
for argument in sys.argv[1:]:
    repo_id, token, options = json.loads(argument)
    try:
        check_rights(repo_id, token=token, **options)
        print(json.dumps("allowed"))
    except UserError as error:
        print(json.dumps(str(error)))
"""
)

MAY_NOT = [
    ("alice", "alice", "'alice' is not an id on the Hub: give your name, a slash and a name"),
    ("alice/a b", "alice", "'alice/a b' is not an id on the Hub"),
    ("alice/a/b", "alice", "'alice/a/b' is not an id on the Hub"),
    ("alice/--", "alice", "'alice/--' is not an id on the Hub"),
    ("carol/x", "alice", "You are alice on the Hub and cannot push to 'carol/x': begin the id with one of alice, acme"),
    ("museum/x", "alice", "You can only read in the organization museum: ask for a role that may write"),
    ("bob/x", "bob", "Your token can only read: make one that may write"),
    ("alice/x", "alice-at-acme", "Your token may not write to alice/x, only to acme: add it"),
    ("alice/x", None, "The Hub does not accept your token: run `hf auth login` again, or set HF_TOKEN."),
]


def test_rights_are_known_before_anything_is_written(faulty_hub, api, tmp_path):
    api.create_repo("alice/open")
    cases = [(repo_id, faulty_hub.tokens.get(user, "hf_wrong"), {}) for repo_id, user, _ in MAY_NOT]
    cases.append(("alice/open", faulty_hub.tokens["alice"], {"private": True}))
    for repo_id, user in (("alice/x", "alice"), ("acme/x", "alice"), ("acme/x", "alice-at-acme"), ("carol/x", "carol")):
        cases.append((repo_id, faulty_hub.tokens[user], {"private": user == "carol"}))
    faulty_hub.clear_requests()
    done = run_python("-c", RIGHTS, *map(json.dumps, cases), env=faulty_hub.env(tmp_path, user=None))
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[-4:] == ["allowed"] * 4, done.stderr
    for (*_, expected), found in zip(MAY_NOT, said, strict=False):
        assert found.startswith(expected)
        assert "\n" not in found
        assert "hf_" not in found
    assert said[-5].startswith("alice/open exists and is public: make it private in its settings")
    assert {request["line"].split()[0] for request in faulty_hub.requests()} == {"GET"}


def test_no_token_and_no_hub_are_one_sentence(push, saved):
    done = push(saved["vae"], "alice/x", user=None)
    assert done.stderr == "python -m genmodels push: Pushing needs a token: run `hf auth login`, or set HF_TOKEN.\n"
    done = push(saved["vae"], "alice/x", HF_ENDPOINT=DEAD_ENDPOINT)
    assert "the Hub cannot be reached or breaks the connection" in done.stderr
    assert done.stderr.count("\n") == 1


def test_private_models_stay_private(push, api, faulty_hub, saved):
    assert push(saved["vae"], "acme/hidden", "--private").returncode == 0
    assert api.repo_info("acme/hidden").private
    assert push(saved["vae"], "acme/shown").returncode == 0
    done = push(saved["vae"], "acme/shown", "--private")
    assert "acme/shown exists and is public" in done.stderr


TOKEN_TEXT = "hf_" + "aB3" * 12


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("old.bin", "", "old.bin may hold a pickle, which runs code when loaded"),
        ("notes.md", f"my token is {TOKEN_TEXT}", "notes.md contains a token for the Hub: remove it"),
        ("run.json", '{"HF_TOKEN": "hf_alice"}', "run.json contains a token of yours: remove it"),
        ("dump.txt", "0," * (6 * 2**20), "dump.txt is larger than 10 MB and no weights or images"),
        ("encoder/diffusion_pytorch_model.safetensors", "cut", "diffusion_pytorch_model.safetensors is damaged"),
        ("model_index.json", '{"_class_name"', "model_index.json is not a readable model_index.json"),
        (
            "model_index.json",
            '{"_class_name": "VAEPipeline", "critic": ["a", "B"]}',
            "critic holds no weights: save the model again",
        ),
        ("model_index.json", '{"_class_name": "XPipeline"}', "holds a XPipeline: what can be pushed is one of"),
    ],
)
def test_what_must_not_go_up_is_named(push, api, faulty_hub, saved, tmp_path, name, text, message):
    folder = shutil.copytree(saved["vae"], tmp_path / "model")
    (folder / name).write_text(text)
    done = push(folder, "alice/refused")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert TOKEN_TEXT not in done.stderr
    assert not api.repo_exists("alice/refused")


def test_a_folder_without_a_model_is_refused(push, tmp_path):
    done = push(tmp_path, "alice/x")
    assert f"{tmp_path} is no saved model: give a folder with a model_index.json" in done.stderr


PUSH_TWICE = (
    IMPATIENT
    + """
import sys
import genmodels
pipe = genmodels.load_pipeline(sys.argv[1])
for _ in range(2):
    try:
        print(pipe.push_to_hub("alice/itself", private=True))
    except genmodels.errors.UserError as error:
        print(error)
"""
)


def test_a_pipeline_pushes_itself_and_stays_on_disk_if_it_cannot(faulty_hub, api, saved, tmp_path):
    # The first push meets as many refusals as it bears, the second one a lost answer.
    faulty_hub.set_faults({"match": "commit/", "action": "status", "limit": 8}, {**LOST_ANSWER, "limit": 1})
    env = faulty_hub.env(tmp_path / "home", TMPDIR=str(tmp_path))
    done = run_python("-c", PUSH_TWICE, str(saved["cgan"]), env=env)
    error, url = done.stdout.splitlines()
    (kept,) = tmp_path.glob("genmodels-pipeline-*")
    assert error.endswith(f"push it later with `python -m genmodels push {kept} alice/itself --private`."), done.stderr
    assert genmodels.load_pipeline(kept).class_names == ["ant", "bee", "cat", "dog"]
    assert url == f"{faulty_hub.endpoint}/alice/itself"
    assert titles(api, "alice/itself") == ["initial commit", "Upload the model"]
    assert 'from_pretrained("alice/itself")' in content(api, "alice/itself", tmp_path / "cache")["README.md"].decode()
    assert list(tmp_path.glob("genmodels-*")) == [kept]


def test_a_model_goes_up_as_onnx_while_that_is_asked_for(push, api, faulty_hub, tmp_path):
    folder = shutil.copytree(zoo.ROOT / "wgan-mnist", tmp_path / "digits")
    faulty_hub.set_faults({"match": "commit/", "action": "status", "limit": 8})
    done = push(folder, "alice/onnx", "--onnx")
    assert done.stderr.endswith(f"push it later with `python -m genmodels push {folder} alice/onnx --onnx`.\n")
    assert push(folder, "alice/onnx", "--onnx").returncode == 0
    assert titles(api, "alice/onnx") == ["initial commit", "Upload the model"]
    there = content(api, "alice/onnx", tmp_path / "cache")
    files = {"onnx/README.md", "onnx/discriminator.onnx", "onnx/export.json", "onnx/generator.onnx"}
    assert {name for name in there if name.startswith("onnx/")} == files
    facts = json.loads(there["onnx/export.json"])
    assert (facts["model"]["id"], facts["model"]["license"]) == ("alice/onnx", "apache-2.0")
    assert len(there["onnx/generator.onnx"]) == facts["networks"]["generator"]["bytes"]
    assert b"[`onnx/`](onnx/README.md)" in there["README.md"]
    assert not (folder / "onnx").exists()
    # What is there of other weights, perhaps, neither goes up nor stays.
    (folder / "onnx").mkdir()
    (folder / "onnx/generator.onnx").write_bytes(b"old")
    assert push(folder, "alice/onnx").returncode == 0
    there = content(api, "alice/onnx", tmp_path / "cache")
    assert not {name for name in there if name.startswith("onnx/")}
    assert b"onnx/README.md" not in there["README.md"]


def test_a_pipeline_pushes_itself_as_onnx(faulty_hub, api, saved, tmp_path):
    code = (
        "import sys, genmodels; pipe = genmodels.load_pipeline(sys.argv[1]); pipe.register_modules(discriminator=None); "
        "pipe.push_to_hub('alice/itself-onnx', onnx=True)"
    )
    done = run_python("-c", code, str(saved["gan"]), env=faulty_hub.env(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    there = content(api, "alice/itself-onnx", tmp_path / "cache")
    assert {"onnx/README.md", "onnx/export.json", "onnx/generator.onnx"} < there.keys()
    assert json.loads(there["onnx/export.json"])["model"]["id"] == "alice/itself-onnx"


# Hands checkpoints over faster than they go up, removing each at once, and ends.
HAND_OVER = """
import shutil, sys, time
from pathlib import Path
import torch
from safetensors.torch import load, save_file
from genmodels.hub import uploads
root, count, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
upload, slowest = uploads.CheckpointUploads("alice/background"), 0
for step in range(1, count + 1):
    folder = root / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    save_file({"x": torch.full((100_000,), step, dtype=torch.uint8)}, folder / "state.safetensors")
    (folder / "state.json").write_text(str(step))
    started = time.monotonic()
    upload(folder)
    slowest = max(slowest, time.monotonic() - started)
    shutil.rmtree(folder)
    time.sleep(0.1)
started = time.monotonic()
upload.close(seconds)
print(slowest, time.monotonic() - started)
"""


def hand_over(hub, tmp_path, count: int, seconds: float) -> tuple[float, float, str]:
    """Seconds that the slowest call and the end took, and standard error."""
    done = run_python("-c", HAND_OVER, str(tmp_path / "run"), str(count), str(seconds), env=hub.env(tmp_path / "home"))
    assert done.returncode == 0, done.stderr
    slowest, end = map(float, done.stdout.split())
    assert list((tmp_path / "run").iterdir()) == [tmp_path / "run/checkpoints"]
    return slowest, end, done.stderr


def test_the_newest_checkpoint_wins(faulty_hub, api, tmp_path):
    faulty_hub.set_faults({"match": ".", "action": "delay", "seconds": 0.2}, {**LOST_ANSWER, "every": 2})
    slowest, _, errors = hand_over(faulty_hub, tmp_path, 5, 120)
    assert slowest < 0.1
    assert errors == ""
    assert titles(api, "alice/background") == ["initial commit", "Upload checkpoint-1", "Upload checkpoint-5"]
    faulty_hub.set_faults()
    there = content(api, "alice/background", tmp_path / "cache")
    assert there.keys() == {"last-checkpoint/state.json", "last-checkpoint/state.safetensors"}
    assert there["last-checkpoint/state.json"] == b"5"
    assert set(load(there["last-checkpoint/state.safetensors"])["x"].tolist()) == {5}


def test_a_hub_that_hangs_does_not_hold_the_end_up(faulty_hub, tmp_path):
    faulty_hub.set_faults({"match": ".", "action": "delay", "seconds": 20})
    slowest, end, errors = hand_over(faulty_hub, tmp_path, 3, 1)
    assert slowest < 0.1
    assert end < 4
    assert errors == "Warning: The last checkpoint was not uploaded within 1 seconds; it is complete on disk.\n"


def test_an_upload_that_fails_is_one_line(faulty_hub, tmp_path):
    faulty_hub.set_faults({"match": "commit/", "action": "status", "status": 403})
    _, _, errors = hand_over(faulty_hub, tmp_path, 1, 120)
    assert errors.startswith("Warning: checkpoint-1 was not uploaded, training goes on: ")
    assert "the Hub answered 403" in errors
    assert errors.count("\n") == 1


TINY = ["--dataset_name", "zoo:mnist-sample", "--train_batch_size", "16", "--base_channels", "4", "--report_to", "none"]
UNWATCHED = ["--monitor_steps", "0", "--validation_steps", "0"]
PUSHING = ["--push_to_hub", "--hub_private", "--hub_strategy", "every_save"]


def test_training_pushes_checkpoints_and_then_the_model(faulty_hub, api, tmp_path):
    arguments = ["--max_train_steps", "8", "--checkpointing_steps", "4", "--sample_steps", "4", "--output_dir"]
    # A user's name for the folder, in a path that must not go up.
    run = tmp_path / "somebodys-home" / "run"
    launcher = ["accelerate.commands.launch", "--quiet", "--cpu", "--num_processes", "1", "train/cgan.py"]
    faulty_hub.set_faults({**LOST_ANSWER, "limit": 2})
    done = run_python(
        "-m",
        *launcher,
        *TINY,
        *UNWATCHED,
        *arguments,
        str(run),
        *PUSHING,
        *("--hub_model_id", "alice/trained"),
        env=faulty_hub.env(tmp_path / "home"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"Pushed to {faulty_hub.endpoint}/alice/trained\n")
    faulty_hub.set_faults()
    assert titles(api, "alice/trained") == ["initial commit", "Upload checkpoint-4", "Upload the model"]
    there = content(api, "alice/trained", tmp_path / "cache")
    expected = {"README.md", "model_index.json", "training.json", "metrics.jsonl", "samples.png", "film.webp"}
    expected |= {"pipeline_cgan.py", "notebook.ipynb"}
    for part in ("generator", "discriminator"):
        names = ("config.json", "diffusion_pytorch_model.safetensors", f"modeling_cgan_{part}.py")
        expected |= {f"{part}/{name}" for name in names}
    assert there.keys() == expected
    assert there.items() - {("README.md", there["README.md"])} <= as_pushed(run / "model", "alice/trained").items()
    for name, data in there.items():
        for secret in (faulty_hub.tokens["alice"], "somebodys-home"):
            assert secret.encode() not in data, name
    assert faulty_hub.tokens["alice"] not in done.stdout + done.stderr
    # The checkpoint is in the history, and one can go on from it.
    before = api.list_repo_commits("alice/trained")[1].commit_id
    files = content(api, "alice/trained", tmp_path / "cache", revision=before)
    for name in ("state.json", "state.safetensors"):
        (tmp_path / name).write_bytes(files[f"last-checkpoint/{name}"])
    assert load_checkpoint(tmp_path)["step"] == 4
    assert not list(run.glob(".upload-*"))


def test_a_signal_ends_training_with_its_checkpoint_on_the_hub(faulty_hub, api, tmp_path):
    env = faulty_hub.env(tmp_path / "home")
    arguments = [
        "--max_train_steps",
        "100000",
        "--checkpointing_steps",
        "100000",
        "--output_dir",
        str(tmp_path / "run"),
    ]
    # A forked Python would not hear the signal.
    command = [
        sys.executable,
        "train/vae.py",
        *TINY,
        *UNWATCHED,
        *arguments,
        *PUSHING,
        "--hub_model_id",
        "alice/stopped",
    ]
    training = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=REPO,
        env={**env, "PYTHONPATH": str(REPO)},
    )
    metrics, deadline = tmp_path / "run/metrics.jsonl", time.monotonic() + 240
    while not (metrics.exists() and metrics.read_text().count("\n") >= 2) and time.monotonic() < deadline:
        time.sleep(0.1)
    training.send_signal(signal.SIGTERM)
    output, _ = training.communicate()
    assert training.returncode == 0
    step = output.split("Stopped after step ")[1].split(",")[0]
    assert titles(api, "alice/stopped") == ["initial commit", f"Upload checkpoint-{step}"]
    assert api.repo_info("alice/stopped").private


def test_a_model_that_cannot_be_pushed_ends_training_with_the_command(faulty_hub, tmp_path):
    run = tmp_path / "run"
    faulty_hub.set_faults({"match": "create", "action": "status", "status": 403})
    arguments = [
        *TINY,
        "--max_train_steps",
        "2",
        "--output_dir",
        str(run),
        "--push_to_hub",
        "--hub_model_id",
        "alice/full",
    ]
    done = run_python("train/evaluator.py", *arguments, env=faulty_hub.env(tmp_path / "home"))
    assert done.returncode == 1
    assert f"push it later with `python -m genmodels push {run}/model alice/full`." in done.stderr
    assert "Traceback" not in done.stderr
    faulty_hub.set_faults()
    done = run_python(
        "-m", "genmodels", "push", str(run / "model"), "alice/full", env=faulty_hub.env(tmp_path / "home")
    )
    assert done.returncode == 0, done.stderr
    api = HfApi(endpoint=faulty_hub.endpoint)
    assert {"config.json", "README.md", "metrics.jsonl"} < set(api.list_repo_files("alice/full"))
