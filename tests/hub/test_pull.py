"""Loading from a Hub over HTTP: whole and checked, with few requests, in spite of faults, or with one clear sentence."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import DEAD_ENDPOINT, make_pipeline, run_python
from huggingface_hub import HfApi

import genmodels
from genmodels.families import BY_PIPELINE

WEIGHTS = "diffusion_pytorch_model.safetensors"

# Runs statements one after the other and prints, as JSON, what each leaves in `result` or raises.
RUN = """
import json, sys
import genmodels
from genmodels.pipelines import load_pipeline
for statement in sys.argv[1:]:
    result = None
    try:
        exec(statement)
    except Exception as error:
        result = [type(error).__name__, str(error)]
    print("RESULT", json.dumps(result))
"""
# Weights and picture, as one number each.
SUM = """
weights = [float(weight.detach().double().sum()) for weight in pipe.generator.parameters()]
result = [sum(weights), round(float(pipe(seed=3, output_type="np").images.mean()), 5)]
"""


def run(*statements: str, env: dict[str, str]) -> list:
    done = run_python("-c", RUN, *statements, env=env)
    assert done.returncode == 0, done.stderr
    return [json.loads(line.removeprefix("RESULT ")) for line in done.stdout.splitlines() if line.startswith("RESULT ")]


def upload(hub, repo_id: str, folder: Path | dict[str, bytes], **options) -> str:
    """Upload a folder, or files by name, and return the commit."""
    api = HfApi(endpoint=hub.endpoint, token=hub.tokens["alice"])
    api.create_repo(repo_id, exist_ok=True, private=options.pop("private", False), repo_type=options.get("repo_type"))
    if isinstance(folder, Path):
        return api.upload_folder(repo_id=repo_id, folder_path=folder, **options).oid
    for name, data in folder.items():
        commit = api.upload_file(repo_id=repo_id, path_or_fileobj=io.BytesIO(data), path_in_repo=name, **options)
    return commit.oid


@pytest.fixture(scope="module")
def pushed(own_hub, saved, tmp_path_factory) -> dict[str, str]:
    """Commits of models of every kind on `own_hub`."""
    folder = tmp_path_factory.mktemp("models")
    other = make_pipeline("cgan", seed=1)
    other.save_pretrained(folder / "other")
    other.save_pretrained(folder / "half")
    other.to(torch.float16).save_pretrained(folder / "half", variant="fp16")
    api = HfApi(endpoint=own_hub.endpoint, token=own_hub.tokens["alice"])
    commits = {"v1": upload(own_hub, "alice/cgan", saved["cgan"])}
    api.create_tag("alice/cgan", tag="v1")
    commits["main"] = upload(own_hub, "alice/cgan", folder / "other")
    for place in ("best", "runs/last"):
        upload(own_hub, "alice/folders", saved["dcgan"], path_in_repo=place)
    upload(own_hub, "alice/half", folder / "half")
    upload(own_hub, "alice/secret", saved["vae"], private=True)
    upload(own_hub, "alice/numbers", {"README.md": b"# Numbers"}, repo_type="dataset")
    foreign = {"model_index.json": b'{"_class_name": "StableDiffusionPipeline"}', f"unet/{WEIGHTS}": bytes(10**6)}
    upload(own_hub, "alice/diffusion", foreign)
    upload(
        own_hub, "alice/bert", {"config.json": b'{"architectures": ["BertModel"]}', "model.safetensors": bytes(10**6)}
    )
    upload(own_hub, "alice/evaluator", {"config.json": b'{"_class_name": "Classifier"}'})
    upload(own_hub, "alice/empty", {"notes.txt": b"nothing"})
    return commits


@pytest.fixture(scope="module")
def home(own_hub, pushed, tmp_path_factory) -> Path:
    """A cache with the CGAN at both revisions; take a copy before changing it."""
    home = tmp_path_factory.mktemp("cached")
    results = run(
        "load_pipeline('alice/cgan')", "load_pipeline('alice/cgan', revision='v1')", env=own_hub.env(home, user=None)
    )
    assert results == [None, None]
    return home


def copied(home: Path, to: Path) -> Path:
    subprocess.run(["cp", "-a", home, to], check=True)
    return to


def expected(pipe) -> list:
    scope = {"pipe": pipe}
    exec(SUM, scope)
    return scope["result"]


def test_revisions_subfolders_precisions_and_variants(faulty_hub, pushed, saved, tmp_path):
    results = run(
        f"pipe = load_pipeline('alice/cgan', revision='v1')\n{SUM}",
        f"pipe = load_pipeline('alice/cgan', revision={pushed['v1']!r})\n{SUM}",
        f"pipe = genmodels.CGANPipeline.from_pretrained('alice/cgan')\n{SUM}",
        f"pipe = load_pipeline('alice/folders', subfolder='runs/last')\n{SUM}",
        "import torch; result = str(load_pipeline('alice/half', dtype=torch.bfloat16).dtype)",
        "pipe = load_pipeline('alice/half', variant='fp16', torch_dtype=torch.float16); result = str(pipe.dtype)",
        f"pipe = load_pipeline('alice/secret', token='hf_alice', cache_dir={str(tmp_path / 'elsewhere')!r})\n"
        "result = type(pipe).__name__",
        env={**faulty_hub.env(tmp_path, user=None), "HF_HUB_CACHE": str(tmp_path / "hub")},
    )
    v1, main = expected(make_pipeline("cgan")), expected(make_pipeline("cgan", seed=1))
    assert results[:3] == [v1, v1, main]
    assert results[3] == expected(make_pipeline("dcgan"))
    assert results[4:] == ["torch.bfloat16", "torch.float16", "VAEPipeline"]


def test_only_what_is_wanted_is_downloaded(faulty_hub, pushed, tmp_path):
    cache = tmp_path / "hub"
    env = faulty_hub.env(tmp_path, user=None, HF_HUB_CACHE=str(cache))
    run(
        "load_pipeline('alice/half', variant='fp16')",
        "load_pipeline('alice/folders', subfolder='best')",
        "load_pipeline('alice/diffusion')",
        "load_pipeline('alice/bert')",
        env=env,
    )
    weights = {str(path.relative_to(cache).as_posix()) for path in cache.rglob("*.safetensors")}
    assert {re.sub(r"snapshots/\w+/", "", name) for name in weights} == {
        "models--alice--half/discriminator/diffusion_pytorch_model.fp16.safetensors",
        "models--alice--half/generator/diffusion_pytorch_model.fp16.safetensors",
        f"models--alice--folders/best/discriminator/{WEIGHTS}",
        f"models--alice--folders/best/generator/{WEIGHTS}",
    }


def test_mistakes_are_one_sentence(faulty_hub, pushed, tmp_path):
    page = f"{faulty_hub.endpoint}/alice"
    ours = ", ".join(BY_PIPELINE)
    wrong = {
        "'alice/nothing'": (
            "The Hub has no model 'alice/nothing', or it is private and not yours to read: check the id or, if it is "
            "private, run `hf auth login` or set HF_TOKEN."
        ),
        "'alice/secret'": (
            "The Hub has no model 'alice/secret', or it is private and not yours to read: check the id or, if it is "
            "private, run `hf auth login` or set HF_TOKEN."
        ),
        "'alice/secret', token='hf_wrong'": (
            "The Hub does not accept your token, so 'alice/secret' is not loaded: run `hf auth login` or set HF_TOKEN."
        ),
        "'alice/cgan', revision='v9'": (
            f"'alice/cgan' has no revision 'v9': give a branch, a tag or a commit that {page}/cgan shows."
        ),
        "'alice/cgan', subfolder='best'": "'alice/cgan' has no best/model_index.json: load it with no subfolder.",
        "'alice/folders'": (
            "'alice/folders' has no model_index.json: load it with subfolder='best', subfolder='runs/last'."
        ),
        "'alice/cgan', variant='fp16'": (
            "'alice/cgan' does not load: its generator has no variant 'fp16': leave variant out for its plain weights."
        ),
        "'alice/numbers'": "'alice/numbers' is a dataset on the Hub, not a model.",
        "'alice/diffusion'": f"'alice/diffusion' holds a StableDiffusionPipeline (diffusers); genmodels loads {ours}.",
        "'alice/bert'": (
            "'alice/bert' holds a transformers model (BertModel), not a pipeline of genmodels: it has no model_index.json."
        ),
        "'alice/evaluator'": (
            "'alice/evaluator' holds a Classifier, a single network and not a pipeline of genmodels: it has no "
            "model_index.json."
        ),
        "'alice/empty'": "'alice/empty' has no model_index.json: it does not hold a saved pipeline.",
        "'alice/cgan', local_files_only=True, revision='v8'": (
            "'alice/cgan', revision 'v8', is not whole in the cache, and offline: load it once with local_files_only=False."
        ),
        "'al..ice/--'": "'al..ice/--' is not a Hub id: give 'name/model' of letters, digits, '-', '_' and '.'.",
    }
    results = run(*(f"load_pipeline({call})" for call in wrong), env=faulty_hub.env(tmp_path, user=None))
    for call, result in zip(wrong, results, strict=True):
        assert result == ["UserError", wrong[call]], call


def test_cached_load_makes_no_request_offline_and_one_head_online(faulty_hub, home, pushed):
    loads = ("load_pipeline('alice/cgan')", "genmodels.CGANPipeline.from_pretrained('alice/cgan', revision='v1')")
    assert run(*loads, env=faulty_hub.env(home, user=None, HF_HUB_OFFLINE="1")) == [None, None]
    assert run(f"load_pipeline('alice/cgan', revision={pushed['main']!r})", env=faulty_hub.env(home)) == [None]
    assert faulty_hub.requests() == []
    assert run(*loads, env=faulty_hub.env(home, user=None)) == [None, None]
    # Of the one file that the Hub is asked about, it answers where it keeps its small files.
    lines = [request["line"] for request in faulty_hub.requests() if request["status"] != 307]
    assert all(line.startswith("HEAD /api/resolve-cache/models/alice/cgan/") for line in lines)
    assert [line.rsplit("/", 1)[1] for line in lines] == ["model_index.json"] * 2
    lines = [request["line"] for request in faulty_hub.requests() if request["status"] == 307]
    assert lines == [f"HEAD /alice/cgan/resolve/{revision}/model_index.json" for revision in ("main", "v1")]


def test_dead_hub_and_offline_mode(faulty_hub, home, pushed, tmp_path):
    dead = faulty_hub.env(home, user=None, HF_ENDPOINT=DEAD_ENDPOINT)
    load = f"pipe = load_pipeline('alice/cgan')\n{SUM}"
    loaded, unknown = run(load, "load_pipeline('alice/folders', subfolder='best')", env=dead)
    assert loaded == expected(make_pipeline("cgan", seed=1))
    assert unknown == [
        "UserError",
        f"The Hub at {DEAD_ENDPOINT} cannot be reached, and 'alice/folders' is not whole in the cache: check the network and "
        "try again.",
    ]
    home = copied(home, tmp_path / "home")
    snapshot = home / "hub/models--alice--cgan/snapshots" / pushed["main"]
    (snapshot / "generator" / WEIGHTS).unlink()
    offline = faulty_hub.env(home, user=None, HF_HUB_OFFLINE="1")
    missing, unknown = run(load, "load_pipeline('alice/folders', subfolder='best')", env=offline)
    for result, name in ((missing, "alice/cgan"), (unknown, "alice/folders")):
        assert result[0] == "UserError"
        assert result[1].startswith(f"{name!r}, revision ")
        assert result[1].endswith(" is not whole in the cache, and offline: load it once with HF_HUB_OFFLINE=0.")


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


DAMAGES = {
    "flipped": (f"generator/{WEIGHTS}", lambda data: flip(data, len(data) - 5)),
    "header": (f"generator/{WEIGHTS}", lambda data: flip(data, 9)),
    "truncated": (f"generator/{WEIGHTS}", lambda data: data[:-100]),
    "empty": (f"generator/{WEIGHTS}", lambda data: b""),
    "config": ("generator/config.json", lambda data: flip(data, len(data) - 4)),
    "index": ("model_index.json", lambda data: data.replace(b"0", b"1")),
}


@pytest.mark.parametrize("layout", ["links", "files"])
def test_damage_in_the_cache_is_named_and_repaired(faulty_hub, home, pushed, tmp_path, layout):
    """Weights, configs and the index; in a cache of links to blobs, and in one of plain files as on Windows."""
    env = faulty_hub.env(tmp_path, user=None, HF_HUB_DISABLE_SYMLINKS="1" if layout == "files" else "0")
    statements, heads = [], []
    for damage, (name, change) in DAMAGES.items():
        cache = copied(home / "hub", tmp_path / f"a {damage} cache")
        snapshot = cache / "models--alice--cgan/snapshots" / pushed["main"]
        for path in [path for path in snapshot.rglob("*") if path.is_symlink() and layout == "files"]:
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data)
        blob = (snapshot / name).resolve()
        blob.write_bytes(change(blob.read_bytes()))
        options = f"cache_dir={str(cache)!r}"
        statements.append(f"pipe = load_pipeline('alice/cgan', {options})\n{SUM}")
        heads.append(f"{snapshot / name} is damaged: its {'git SHA-1' if name.endswith('.json') else 'sha256'} is ")
        # A single network does not read the pipeline's index.
        name = "generator" if name.startswith("generator") else "discriminator"
        statements.append(f"genmodels.CGAN{name.title()}.from_pretrained('alice/cgan', subfolder={name!r}, {options})")

    results = run(*statements, env={**env, "HF_HUB_OFFLINE": "1"})
    for head, (kind, message), network in zip(heads, results[::2], results[1::2], strict=True):
        assert kind == "UserError"
        assert "\n" not in message
        assert message.startswith(f"'alice/cgan' does not load: {head}")
        assert network == (None if "index" in head else ["ValueError", message.split("load: ", 1)[1]])
        command = re.search(r"repair it with `(.*)` and load it again\.$", message)[1]
        # Nothing but the command itself changes: the environment is offline as before.
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            command, shell=True, env={**env, "PATH": path, "HF_HUB_OFFLINE": "1"}, capture_output=True
        )
        assert done.returncode == 0, done.stderr
    whole = {**env, "HF_HUB_OFFLINE": "1"} if layout == "links" else env
    assert run(*statements[::2], env=whole) == [expected(make_pipeline("cgan", seed=1))] * len(heads)


@pytest.mark.parametrize("action", ["corrupt", "truncate"])
def test_damage_on_the_way_is_found(faulty_hub, pushed, tmp_path, action):
    faulty_hub.set_faults({"match": "GET /_cdn/", "action": action, "limit": 1})
    load = f"pipe = load_pipeline('alice/cgan', cache_dir={str(tmp_path / 'my cache')!r})\n{SUM}"
    (result,) = run(load, env=faulty_hub.env(tmp_path, user=None))
    assert any(request["fault"] for request in faulty_hub.requests())
    if action == "truncate":
        # The client sees that something is missing.
        assert result == expected(make_pipeline("cgan", seed=1))
        return
    assert result[0] == "UserError"
    assert f"{WEIGHTS} is damaged: its sha256 is " in result[1]
    assert re.search(
        rf"`hf download alice/cgan \w+/{WEIGHTS} --revision {pushed['main']} --force-download --cache-dir ", result[1]
    )
    assert f"--cache-dir '{tmp_path / 'my cache'}'` and load it again." in result[1]


def test_every_fifth_request_failing_changes_nothing(faulty_hub, tmp_path):
    """20 MB of weights, ten times into an empty cache."""
    torch.manual_seed(0)
    pipe = genmodels.DCGANPipeline(
        genmodels.DCGANGenerator(base_channels=120), genmodels.DCGANDiscriminator(base_channels=120)
    )
    pipe.save_pretrained(tmp_path / "model")
    size = sum(path.stat().st_size for path in (tmp_path / "model").rglob("*.safetensors"))
    assert size > 20e6
    upload(faulty_hub, "alice/large", tmp_path / "model")
    faulty_hub.clear_requests()
    faulty_hub.set_faults({"match": "", "action": "status", "status": 503, "every": 5})
    same = f"""
import torch
before = load_pipeline({str(tmp_path / "model")!r})
after = load_pipeline("alice/large", cache_dir={str(tmp_path)!r} + f"/cache-{{count}}")
result = all(
    torch.equal(value, getattr(after, part).state_dict()[name])
    for part in ("generator", "discriminator") for name, value in getattr(before, part).state_dict().items()
)
"""
    results = run(*(f"count = {i}{same}" for i in range(10)), env=faulty_hub.env(tmp_path, user=None))
    assert results == [True] * 10
    log = faulty_hub.requests()
    assert sum(request["status"] == 503 for request in log) >= len(log) // 5 - 1 > 10


def test_broken_answers_of_every_kind_are_asked_for_again(faulty_hub, pushed, tmp_path):
    faulty_hub.set_faults(
        {"match": "GET /api/", "action": "status", "status": 429, "retry_after": 1, "limit": 1},
        {"match": "HEAD /", "action": "status", "status": 502, "every": 3, "limit": 3},
        {"match": "GET /", "action": "drop", "every": 4, "limit": 3},
    )
    load = f"pipe = load_pipeline('alice/cgan')\n{SUM}"
    assert run(load, env=faulty_hub.env(tmp_path, user=None)) == [expected(make_pipeline("cgan", seed=1))]
    assert {request["fault"] for request in faulty_hub.requests()} >= {"drop", "status"}


def test_busy_hub_is_named_after_some_attempts(faulty_hub, home, pushed, tmp_path):
    faulty_hub.set_faults({"match": "", "action": "status", "status": 503})
    (fresh,) = run("load_pipeline('alice/cgan')", env=faulty_hub.env(tmp_path, user=None))
    assert fresh == [
        "UserError",
        "The Hub answers 503 for 'alice/cgan', again and again, and the cache does not have it: try later.",
    ]
    assert len(faulty_hub.requests()) == 4
    assert run("load_pipeline('alice/cgan')", env=faulty_hub.env(home, user=None)) == [None]


# What a disk says that is full, beyond a quota, mounted read-only, or somebody else's. For root no mode of a file is an obstacle.
FULL = """
import errno, os, warnings
from pathlib import Path
import huggingface_hub.file_download as downloads
def fail(*args, **kwargs):
    raise OSError(getattr(errno, KIND), os.strerror(getattr(errno, KIND)))
"""
WAYS = {"EROFS": "os.makedirs = fail", "EACCES": "os.makedirs = fail", "ENOSPC": "downloads.http_get = fail"}
WAYS["EDQUOT"] = WAYS["ENOSPC"]


@pytest.mark.parametrize("kind", WAYS)
def test_a_cache_that_cannot_be_written_serves_what_it_has(faulty_hub, pushed, saved, tmp_path, kind):
    repo_id, words = f"alice/newer-{kind.lower()}", os.strerror(getattr(errno, kind))
    first = upload(faulty_hub, repo_id, saved["cgan"])
    env = faulty_hub.env(tmp_path, user=None)
    assert run(f"load_pipeline({repo_id!r})", env=env) == [None]
    make_pipeline("cgan", seed=1).save_pretrained(tmp_path / "other")
    upload(faulty_hub, repo_id, tmp_path / "other")
    prepare = FULL.replace("KIND", repr(kind)) + WAYS[kind]
    load = f"{prepare}\nwith warnings.catch_warnings(record=True) as caught:\n    warnings.simplefilter('always')\n"
    load += f"    pipe = load_pipeline({repo_id!r})\n{SUM}\nresult.append([str(w.message) for w in caught if 'newer' in str(w)])"
    loaded, unknown = run(load, "load_pipeline('alice/half')", env=env)
    assert loaded[:2] == expected(make_pipeline("cgan"))
    assert loaded[2] == [
        f"{repo_id!r} has a newer version on the Hub, but the cache cannot be written ({words}): commit {first[:12]} is loaded, "
        "which is there."
    ]
    assert unknown == [
        "UserError",
        f"'alice/half' cannot be stored in the cache: {words}; make room or choose another cache_dir.",
    ]


def test_a_model_that_was_taken_away_is_no_matter_of_the_connection(faulty_hub, saved, tmp_path):
    upload(faulty_hub, "alice/gone", Path(saved["dcgan"]))
    faulty_hub.set_faults({"match": "resolve", "action": "status", "status": 451})
    env = {"HF_ENDPOINT": faulty_hub.endpoint, "HF_HOME": str(tmp_path)}
    [(kind, message)] = run("load_pipeline('alice/gone')", env=env)
    assert (kind, message) == (
        "UserError",
        f"The Hub answers 451 for 'alice/gone' and does not give it: look at {faulty_hub.endpoint}/alice/gone.",
    )
