"""Checkpoints: what goes in comes out, whole or not at all, and the right one is found."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from genmodels.errors import UserError
from genmodels.training.checkpoints import (
    complete_checkpoints,
    find_checkpoint,
    load_checkpoint,
    remove_folder,
    remove_leftovers,
    restore_folders,
    save_checkpoint,
    write_folder_atomically,
)

STATE = {
    "step": 7,
    "rng": torch.get_rng_state(),
    "optimizers": {"g": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 0.1, "params": [0, 1]}]}},
    "none": None,
}


def test_round_trip_keeps_types_and_integer_keys(tmp_path):
    save_checkpoint(tmp_path / "checkpoint-7", STATE)
    state = load_checkpoint(tmp_path / "checkpoint-7")
    assert state["step"] == 7
    assert state["none"] is None
    assert torch.equal(state["rng"], STATE["rng"])
    assert state["optimizers"]["g"]["state"][0]["step"] == 3
    assert state["optimizers"]["g"]["param_groups"] == [{"lr": 0.1, "params": [0, 1]}]


def test_an_optimizer_goes_on_where_it_was(tmp_path):
    def steps(optimizer, parameter, count):
        for _ in range(count):
            parameter.grad = parameter.detach() * 0.3 + 0.1
            optimizer.step()

    whole = torch.nn.Parameter(torch.ones(3))
    steps(torch.optim.Adam([whole], 0.01), whole, 6)
    first = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([first], 0.01)
    steps(optimizer, first, 3)
    save_checkpoint(tmp_path / "c", {"p": first, "o": optimizer.state_dict()})
    state = load_checkpoint(tmp_path / "c")
    second = torch.nn.Parameter(state["p"])
    optimizer = torch.optim.Adam([second], 0.01)
    optimizer.load_state_dict(state["o"])
    steps(optimizer, second, 3)
    assert torch.equal(second, whole)


def test_a_failed_write_leaves_the_older_checkpoint(tmp_path):
    save_checkpoint(tmp_path / "checkpoint-1", {"step": 1})
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "checkpoint-2", {"step": object()})
    assert complete_checkpoints(tmp_path) == [tmp_path / "checkpoint-1"]
    assert find_checkpoint(tmp_path, "latest") == tmp_path / "checkpoint-1"


def test_the_latest_is_the_highest_number(tmp_path):
    for step in (900, 1000, 50):
        save_checkpoint(tmp_path / f"checkpoint-{step}", {"step": step})
    assert find_checkpoint(tmp_path, "latest").name == "checkpoint-1000"
    assert find_checkpoint(tmp_path, "checkpoint-900").name == "checkpoint-900"


def test_a_wrong_name_lists_the_right_ones(tmp_path):
    save_checkpoint(tmp_path / "checkpoint-50", {"step": 50})
    with pytest.raises(UserError, match="'checkpoint-60': give 'latest' or one of checkpoint-50"):
        find_checkpoint(tmp_path, "checkpoint-60")


def test_a_damaged_checkpoint_is_named(tmp_path):
    save_checkpoint(tmp_path / "checkpoint-1", STATE)
    file = tmp_path / "checkpoint-1" / "state.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"checkpoint-1 is damaged .* latest begins anew, for there is no other"):
        load_checkpoint(tmp_path / "checkpoint-1")
    save_checkpoint(tmp_path / "checkpoint-0", STATE)
    with pytest.raises(UserError, match=r"checkpoint-1 is damaged .* latest goes on from checkpoint-0"):
        load_checkpoint(tmp_path / "checkpoint-1")


def test_an_older_checkpoint_without_hashes_loads(tmp_path):
    save_checkpoint(tmp_path / "checkpoint-7", STATE)
    values = tmp_path / "checkpoint-7" / "state.json"
    spec = json.loads(values.read_text())
    del spec["sha256"]
    values.write_text(json.dumps(spec))
    assert torch.equal(load_checkpoint(tmp_path / "checkpoint-7")["rng"], STATE["rng"])


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_one_flipped_bit_of_a_tensor_is_found_and_named(tmp_path, share):
    save_checkpoint(tmp_path / "c", {"a": torch.arange(100.0), "b": torch.zeros(3, 4, dtype=torch.bfloat16)})
    file = tmp_path / "c" / "state.safetensors"
    content = bytearray(file.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    position = start + int((len(content) - start) * share)
    content[position] ^= 1
    file.write_bytes(content)
    # The tensors lie there in the order of their size of type.
    name = "state.a" if position < start + 400 else "state.b"
    with pytest.raises(UserError, match=rf"c is damaged \({name} is not as it was saved\): remove it"):
        load_checkpoint(tmp_path / "c")


def test_a_changed_number_is_found(tmp_path):
    save_checkpoint(tmp_path / "c", {"step": 1000, "seconds": 0.1 + 0.2})
    values = tmp_path / "c" / "state.json"
    assert load_checkpoint(tmp_path / "c") == {"step": 1000, "seconds": 0.1 + 0.2}
    values.write_text(values.read_text().replace("1000", "1001"))
    with pytest.raises(UserError, match=r"state\.json is not as it was saved"):
        load_checkpoint(tmp_path / "c")


def replace(folder, text: str) -> None:
    write_folder_atomically(folder, lambda partial: (partial / "text").write_text(text))


def test_killed_between_its_renames_the_old_folder_comes_back(tmp_path):
    folder = tmp_path / "model"
    replace(folder, "old")
    # As kill -9 leaves it.
    folder.rename(tmp_path / ".model.old")
    (tmp_path / ".model.partial").mkdir()
    restore_folders(tmp_path)
    assert (folder / "text").read_text() == "old"
    # Also where the next write is the first to come by.
    folder.rename(tmp_path / ".model.old")
    with pytest.raises(OSError, match="full"):
        write_folder_atomically(folder, fail)
    assert (folder / "text").read_text() == "old"
    replace(folder, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (folder / "text").read_text() == "new"


def fail(partial) -> None:
    raise OSError("full")


@pytest.mark.parametrize("failing", [1, 2])
def test_interrupted_at_a_rename_a_whole_folder_has_the_name(tmp_path, monkeypatch, failing):
    folder, rename, calls = tmp_path / "model", Path.rename, []
    replace(folder, "old")

    def interrupted(self, target):
        calls.append(None)
        if len(calls) == failing:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace(folder, "new")
    assert (folder / "text").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_was_being_removed_does_not_come_back(tmp_path, monkeypatch):
    replace(tmp_path / "checkpoint-1", "text")
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
    remove_folder(tmp_path / "checkpoint-1")
    monkeypatch.undo()
    restore_folders(tmp_path)
    assert complete_checkpoints(tmp_path) == []
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []
