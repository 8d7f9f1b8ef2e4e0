"""Checkpoints: what goes in comes out, whole or not at all, and the right one is found."""

import pytest
import torch

from genmodels.errors import UserError
from genmodels.training.checkpoints import complete_checkpoints, find_checkpoint, load_checkpoint, save_checkpoint

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
    with pytest.raises(UserError, match="checkpoint-1 is damaged"):
        load_checkpoint(tmp_path / "checkpoint-1")
