"""What surrounds a run: environment variables, launchers, the repository that the user is in."""

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys

import pytest
import torch
from accelerate import Accelerator
from helpers import REPO
from test_exact_resume import QUIET, TINY, state_of

from genmodels.errors import UserError
from genmodels.hub.cards import code_of
from genmodels.training import facts
from genmodels.training.facts import git_commit
from genmodels.training.processes import (
    is_lost_process,
    keep_threads,
    on_main_process,
    refuse_lost_processes,
    set_by_launcher,
)
from genmodels.training.trackers import knows_wandb_user


def git(folder, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def a_copy(folder):
    """The package's own folder, elsewhere, with next to nothing in it."""
    (folder / "genmodels/training").mkdir(parents=True)
    shutil.copy(REPO / "genmodels/__init__.py", folder / "genmodels")
    shutil.copy(REPO / "genmodels/training/facts.py", folder / "genmodels/training")
    return folder / "genmodels/training/facts.py"


def test_the_commit_is_that_of_the_packages_own_repository(tmp_path, monkeypatch):
    user, own = tmp_path / "user", tmp_path / "own"
    file = a_copy(own)
    for folder in (user, own):
        folder.mkdir(exist_ok=True)
        git(folder, "init", "-q")
        (folder / "note").write_text(folder.name)
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "first")
    monkeypatch.setattr(facts, "__file__", str(file))
    monkeypatch.chdir(user)
    # As in a hook of the user's repository.
    monkeypatch.setenv("GIT_DIR", str(user / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(user))
    commit = git_commit()
    monkeypatch.delenv("GIT_DIR")
    assert commit == git(own, "rev-parse", "--short=12", "HEAD").strip()
    file.write_text("changed")
    assert git_commit() == f"{commit}+changes"


def test_an_installed_package_says_its_version_wherever_it_lies(tmp_path, monkeypatch):
    """A virtual environment inside of the user's repository is the usual place."""
    file = a_copy(tmp_path / "venv/lib")
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(facts, "__file__", str(file))
    assert git_commit() is None
    # Even if it is tracked there, the commit is not the package's.
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all of it")
    assert git_commit() is None
    assert code_of({"commit": None, "version": "0.1.0"}) == "genmodels 0.1.0"
    assert code_of({"commit": "0123456789ab", "version": "0.1.0"}) == "commit 0123456789ab"


@pytest.fixture
def threads(monkeypatch):
    """How many threads `keep_threads` takes on a machine of eight cores; 5 if it leaves them as they are."""
    for name in ("ACCELERATE_MIXED_PRECISION", "TORCHELASTIC_RUN_ID", "OMP_NUM_THREADS", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))

    def taken(processes: int = 1, **environment: str) -> int:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        chosen = []
        monkeypatch.setattr(torch, "set_num_threads", chosen.append)
        keep_threads(processes)
        return chosen[-1] if chosen else 5

    return taken


def test_without_a_word_all_cores_are_shared(threads):
    assert threads() == 8
    assert threads(2) == 4
    assert threads(4, LOCAL_WORLD_SIZE="2") == 4
    assert threads(4, LOCAL_WORLD_SIZE="0") == 8
    assert threads(4, LOCAL_WORLD_SIZE="some") == 2


@pytest.mark.parametrize("value", ["1", "3", "4,2"])
def test_threads_that_the_user_asks_for_are_obeyed(threads, value):
    assert threads(OMP_NUM_THREADS=value) == 5


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"ACCELERATE_USE_CPU": "maybe"}, "invalid truth value maybe"),
        ({"ACCELERATE_TORCH_DEVICE": "nonsense"}, "device type at start of device string: nonsense"),
        ({"RANK": "0", "LOCAL_RANK": "0"}, "environment variable WORLD_SIZE expected"),
    ],
)
def test_an_environment_that_accelerate_does_not_take_is_a_sentence(train, tmp_path, monkeypatch, environment, reason):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        train("vae", "--dataset_name", "zoo:mnist-sample", *TINY, *QUIET, "--output_dir", tmp_path / "run")
    assert str(ended.value).startswith("vae.py: error: accelerate cannot start (")
    assert reason in str(ended.value)
    assert "\n" not in str(ended.value)
    assert not (tmp_path / "run").exists()


# Of its module the function alone, without the libraries that the module imports.
PRINT = f"import os\nfrom pathlib import Path\n{inspect.getsource(set_by_launcher)}\nprint(set_by_launcher())"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "flags", "by_launcher"),
    [({}, [], True), ({"OMP_NUM_THREADS": "1"}, [], False), ({}, ["--num_cpu_threads_per_process", "1"], False)],
)
def test_a_launchers_one_thread_is_told_from_the_users(tmp_path, user, flags, by_launcher):
    script = tmp_path / "script.py"
    script.write_text(PRINT)
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--quiet", "--num_processes", "1", *flags]
    done = subprocess.run(
        [*launcher, str(script)], env={**environment, **user}, capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == str(by_launcher), done.stderr


def test_accelerates_own_variable_does_not_divide_the_loss_again(train, two_shards, tmp_path, monkeypatch):
    flags = ["--dataset_name", two_shards, *TINY, *QUIET, "--gradient_accumulation_steps", "2", "--monitor_steps", "0"]
    flags += ["--max_train_steps", "2", "--validation_steps", "0"]
    train("vae", *flags, "--output_dir", tmp_path / "plain")
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "2")
    train("vae", *flags, "--output_dir", tmp_path / "set")
    assert state_of(tmp_path / "set", 2)[0] == state_of(tmp_path / "plain", 2)[0]


def test_processes_that_do_not_see_each_other_are_refused(monkeypatch):
    accelerator = Accelerator(cpu=True)
    refuse_lost_processes(accelerator)
    # As torchrun and accelerate's notebook_launcher leave it.
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"2 processes were started, and each trains alone: .* ACCELERATE_USE_CPU=true"):
        refuse_lost_processes(accelerator)
    monkeypatch.setenv("WORLD_SIZE", "many")
    refuse_lost_processes(accelerator)


def test_what_the_main_process_finds_all_find(monkeypatch):
    assert on_main_process(Accelerator(cpu=True), lambda: [1, 2]) == [1, 2]

    def fail():
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        on_main_process(Accelerator(cpu=True), fail)
    assert not is_lost_process(RuntimeError("Connection closed by peer"))
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    assert is_lost_process(RuntimeError("[gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234"))
    assert not is_lost_process(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_wandb_without_a_login_is_told_before_anything_else(train, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setattr("genmodels.training.trackers.knows_wandb_user", lambda: False)
    for flags in ([], ["--dry_run"]):
        with pytest.raises(SystemExit) as ended:
            train("vae", "--dataset_name", "nowhere", "--report_to", "wandb", "--output_dir", tmp_path / "run", *flags)
        assert "--report_to wandb needs a login: run `wandb login`, set WANDB_API_KEY, or keep" in str(ended.value)
    assert list(tmp_path.iterdir()) == []


KEY = "a" * 40
# What the user has set, and whether W&B knows them, or what is said if it does not take it.
LOGINS = {
    "nothing": ({}, False),
    "a key": ({"WANDB_API_KEY": KEY}, True),
    "a netrc file": ({"NETRC": "netrc"}, True),
    "offline": ({"WANDB_MODE": "offline"}, True),
    "disabled": ({"WANDB_MODE": "disabled"}, True),
    "disabled as other libraries have it": ({"WANDB_DISABLED": "true"}, True),
    "not disabled": ({"WANDB_DISABLED": "false"}, False),
    "no key at all": ({"WANDB_API_KEY": "not a key"}, "W&B does not take its settings (WANDB_API_KEY invalid"),
    "no mode at all": ({"WANDB_MODE": "sideways"}, "W&B does not take its settings (1 validation error"),
}


@pytest.mark.parametrize("what", LOGINS)
def test_wandb_itself_says_whether_it_knows_the_user(tmp_path, monkeypatch, what):
    pytest.importorskip("wandb")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    for name in ("WANDB_SILENT", "WANDB_MODE"):
        # So that what is set by the check is taken back.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {KEY}\n")
    (tmp_path / "netrc").chmod(0o600)
    environment, expected = LOGINS[what]
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if isinstance(expected, str):
        with pytest.raises(UserError) as error:
            knows_wandb_user()
        assert expected in str(error.value)
        assert "\n" not in str(error.value)
    else:
        assert knows_wandb_user() is expected
