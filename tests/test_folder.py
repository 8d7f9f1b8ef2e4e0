"""What the JSON files beside a model say, read with the types that its readers count on."""

from __future__ import annotations

import json
import shutil

import pytest

from genmodels import zoo
from genmodels.commands.verify import FoundModel, read_stated
from genmodels.errors import UserError
from genmodels.folder import ModelFolder
from genmodels.hub.cards import write_card
from genmodels.hub.push import prepared

ROW = {"metric": "fid", "name": "FID", "value": 1, "better": "lower"}
WRONG = [
    ("training", {"steps": "many"}, 'training.json: steps must be an integer, got "many"; train or save it again.'),
    ("training", {"steps": None}, "steps must be an integer, got null"),
    ("training", {"steps": True}, "steps must be an integer, got true"),
    ("training", {"minutes": "1"}, 'minutes must be a number, got "1"'),
    ("training", {"papers": 5}, "papers must be a list, got 5"),
    ("training", {"papers": [5]}, "papers[0] must be text, got 5"),
    ("training", {"dataset": 5}, "dataset must be text, got 5"),
    ("training", {"classes": 5}, "classes must be a list, got 5"),
    ("training", {"film_steps": 5}, "film_steps must be a list, got 5"),
    ("training", {"selected": 5}, "selected must be an object, got 5"),
    ("training", {"started_from": "cgan"}, 'started_from must be an object, got "cgan"'),
    (
        "training",
        {"started_from": {"started_from": {"steps": "x"}}},
        "started_from.started_from.steps must be an integer",
    ),
    ("training", {"started_from": {"selected": 5}}, "started_from.selected must be an object, got 5"),
    ("evaluation", {"metrics": 5}, "metrics must be a list, got 5; remove it and measure again."),
    ("evaluation", {"metrics": [5]}, "metrics[0] must be an object, got 5"),
    ("evaluation", {"metrics": [ROW, {**ROW, "value": "x"}]}, 'metrics[1].value must be a number, got "x"'),
    ("evaluation", {"metrics": [{**ROW, "value": 10**400}]}, "metrics[0].value must be a number, got 1000"),
    ("evaluation", {"metrics": [{**ROW, "args": {"images": "x"}}]}, "metrics[0].args.images must be an integer"),
    ("evaluation", {"metrics": [{**ROW, "tolerance": "x"}]}, "metrics[0].tolerance must be a number"),
    ("evaluation", {"baseline": "x"}, 'baseline must be an object, got "x"'),
    ("config", {"num_classes": "x"}, "num_classes must be an integer"),
    ("config", {"class_names": 5}, "class_names must be a list, got 5"),
    ("config", {"class_names": [1, "b"]}, "class_names[0] must be text, got 1"),
]


@pytest.mark.parametrize(("name", "content", "said"), WRONG)
def test_a_value_of_another_type_is_one_sentence(name, content, said, tmp_path):
    (tmp_path / f"{name}.json").write_text(json.dumps(content))
    saved = ModelFolder(tmp_path)
    with pytest.raises(UserError) as error:
        saved.config() if name == "config" else getattr(saved, name)
    assert str(error.value).startswith(f"{tmp_path / name}.json: ")
    assert said in str(error.value)


def test_what_has_its_types_is_read_as_it_stands(tmp_path):
    facts = {"steps": 5, "minutes": 1, "classes": None, "selected": {"fid": 1.5, "step": 2}, "anything": {"else": [1]}}
    (tmp_path / "training.json").write_text(json.dumps(facts))
    assert ModelFolder(tmp_path).training == facts


@pytest.mark.parametrize("model", [*zoo.model_names(), *zoo.EVALUATORS.values()])
def test_facts_of_every_built_in_model_have_their_types(model):
    saved = ModelFolder(zoo.ROOT / model)
    for name in ("training", "evaluation"):
        path = saved.path / f"{name}.json"
        assert getattr(saved, name) == (json.loads(path.read_text()) if path.exists() else {})


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("training", {"steps": "many"}, "training.json: steps must be an integer"),
        ("evaluation", {"metrics": [{"metric": "fid"}]}, "evaluation.json: metrics[0].value is missing; remove it"),
        ("training", {"command": ...}, "training.json: command is missing; train or save it again."),
        ("model_index", {"_class_name": "FluxPipeline"}, "holds a FluxPipeline; cards are for "),
        ("generator/config", {"class_names": 5}, "config.json: class_names must be a list"),
    ],
)
def test_a_card_of_odd_files_is_one_sentence(name, change, said, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(zoo.ROOT / "cgan-emoji", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    path = folder / f"{name}.json"
    changed = {**json.loads(path.read_text()), **change}
    path.write_text(json.dumps({key: value for key, value in changed.items() if value is not ...}))
    before = (folder / "README.md").read_bytes()
    with pytest.raises(UserError) as error:
        write_card(folder)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert (folder / "README.md").read_bytes() == before
    with pytest.raises(UserError) as error, prepared(folder, "someone/model"):
        pass
    assert str(folder) in str(error.value), "a push names the user's file, not that of its copy"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"baseline": "x"}, "baseline must be an object"),
        ({"metrics": [{**ROW, "floor": "x"}]}, "metrics[0].floor must be a number"),
        ({"metrics": [{**ROW, "tolerance": "x"}]}, "metrics[0].tolerance must be a number"),
        ({"metrics": [{**ROW, "value": float("nan")}]}, "fid has no name or is not finite"),
        ({}, "split is missing"),
    ],
)
def test_numbers_that_cannot_be_measured_again_are_one_sentence(change, said, tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps({"metrics": [ROW], **change}))
    with pytest.raises(UserError) as error:
        read_stated(FoundModel("model", ModelFolder(tmp_path)))
    assert "is not readable as one: " in str(error.value)
    assert said in str(error.value)
