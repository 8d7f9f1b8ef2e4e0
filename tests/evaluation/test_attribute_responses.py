"""Classifiers of attributes, and edits as they see them: what is reported, beside which floor, and that it is repeated."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import datasets
import pytest
import torch
from helpers import make_pipeline
from huggingface_hub import ModelCard

from genmodels import zoo
from genmodels.__main__ import main
from genmodels.errors import UserError
from genmodels.evaluation.attributes import STRENGTHS, balanced_accuracies, edit_responses
from genmodels.evaluation.classifiers import evaluate_classifier
from genmodels.evaluation.measures import tolerance_of
from genmodels.features.classifier import Classifier
from genmodels.features.evaluators import find_evaluator
from genmodels.hub.cards import write_card

NAMES = ["bright", "left"]


def draw(labels: torch.Tensor) -> torch.Tensor:
    """A square of noise for each row of bright and left, uint8 (N, 28, 28)."""
    noise = torch.randint(0, 60, (len(labels), 28, 28), generator=torch.Generator().manual_seed(0))
    noise += 120 * labels[:, 0, None, None]
    noise[:, 8:20, 2:12] += 70 * labels[:, 1, None, None]
    return noise.to(torch.uint8)


@pytest.fixture(scope="module")
def patches(tmp_path_factory) -> str:
    """A folder of a dataset with two attributes: 64 training and 32 test images."""
    root = tmp_path_factory.mktemp("patches")
    features = datasets.Features(image=datasets.Image(), **{name: datasets.Value("bool") for name in NAMES})
    for split, count in (("train", 64), ("test", 32)):
        labels = torch.stack([torch.arange(count) % 4 > 0, torch.arange(count) % 2 > 0], 1)
        columns = {name: labels[:, i].tolist() for i, name in enumerate(NAMES)}
        images = [image.numpy() for image in draw(labels.long())]
        datasets.Dataset.from_dict({"image": images, **columns}, features=features).to_parquet(
            root / f"{split}.parquet"
        )
    return str(root)


def make_classifier(names: list[str] = NAMES) -> Classifier:
    torch.manual_seed(0)
    return Classifier(num_classes=None, attribute_names=names, base_channels=4, early_pooling=True).eval()


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "judge"
    make_classifier().save_pretrained(folder)
    return folder


def test_balanced_accuracies_by_hand():
    attributes = torch.tensor([[1, 0, 1], [1, 0, 1], [1, 0, 1], [0, 1, 1]]).bool()
    predicted = torch.tensor([[1, 0, 1], [1, 1, 1], [0, 0, 0], [0, 0, 1]]).bool()
    balanced = balanced_accuracies(predicted, attributes)
    assert balanced[:2].tolist() == pytest.approx([(2 / 3 + 1) / 2, (0 + 2 / 3) / 2])
    assert math.isnan(balanced[2])


def test_a_classifier_has_one_logit_for_each_attribute():
    classifier = Classifier(64, 3, num_classes=None, attribute_names=["a", "b", "c"], base_channels=2)
    pooled = Classifier(64, 3, num_classes=None, attribute_names=["a", "b", "c"], base_channels=2, early_pooling=True)
    images = torch.zeros(2, 3, 64, 64)
    for network in (classifier, pooled):
        assert network(images).shape == (2, 3)
        assert network.features(images).shape == (2, 16)
    assert [network.layers[:2](images).shape[-1] for network in (classifier, pooled)] == [32, 16]
    for wrong in ({"attribute_names": ["a"]}, *({"num_classes": None, "attribute_names": n} for n in ([], ["a", "a"]))):
        with pytest.raises(ValueError, match="attribute_names must be at least one name, each different"):
            Classifier(**wrong)


def test_a_classifier_of_attributes_is_measured_by_each_of_them(judge, patches):
    result = evaluate_classifier(Classifier.from_pretrained(judge), patches)
    rows = {metric.metric: metric for metric in result.metrics}
    assert list(rows) == ["accuracy", "balanced_accuracy", "balanced_accuracy/bright", "balanced_accuracy/left"]
    # Three of four are bright, half have the patch.
    assert (rows["accuracy"].floor, rows["balanced_accuracy"].floor) == (0.625, 0.5)
    each = [rows[f"balanced_accuracy/{name}"].value for name in NAMES]
    assert rows["balanced_accuracy"].value == pytest.approx(sum(each) / 2)
    assert (result.n, result.split, result.floor_name) == (32, "test", "constant guess")
    assert "own images, split test, not resized" in result.protocol
    with pytest.raises(UserError, match="has no attribute 'smile': its boolean columns are bright, left"):
        evaluate_classifier(make_classifier(["smile"]), patches)


def test_responses_follow_the_edit():
    """With networks whose answers are known: one attribute rises with strength, the other falls."""

    def decode(latents, output_type):
        return SimpleNamespace(images=latents[:, None, None, :].repeat_interleave(14, 3).expand(-1, 1, 28, -1))

    def edit(latents, attribute, strength, output_type):
        step = torch.tensor([[0.2, 0.0]]) if attribute == "bright" else torch.tensor([[0.0, -0.1]])
        return decode(latents + strength * step, output_type)

    def features(images):
        return torch.stack([images[..., :14].mean((1, 2, 3)), images[..., 14:].mean((1, 2, 3))], 1)

    latents = torch.rand(20, 2, generator=torch.Generator().manual_seed(0)) * 0.4
    pipeline = SimpleNamespace(
        attribute_names=["bright", "left", "hat"],
        encode=lambda images: SimpleNamespace(mean=latents),
        decode=decode,
        edit=edit,
    )
    config = SimpleNamespace(attribute_names=["left", "bright"])
    classifier = SimpleNamespace(config=config, features=features, head=lambda features: 3 * features.flip(1))
    found, other = edit_responses(pipeline, classifier, torch.zeros(20, 1, 28, 28))
    # The classifier does not know hats.
    assert list(found) == ["bright", "left"]
    assert (found["bright"].monotone, found["left"].monotone) == (1.0, 0.0)
    expected = [float((3 * (latents[:, 0] + 0.2 * s)).sigmoid().mean()) for s in STRENGTHS]
    assert found["bright"].responses == pytest.approx(expected, abs=5e-3)
    assert found["left"].responses == sorted(found["left"].responses, reverse=True)
    # One strength further, and the mean distance to the image ten further on.
    assert found["bright"].distance == pytest.approx(0.2, abs=0.01)
    assert other == pytest.approx(float((latents - latents.roll(10, 0)).norm(dim=1).mean()), abs=0.01)


@pytest.mark.slow
def test_edits_are_measured_stated_and_verified(judge, patches, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("genmodels.evaluation.ability_metrics.NLL_DRAWS", 2)
    folder = tmp_path / "vae"
    labels = torch.stack([torch.arange(8) % 4 > 0, torch.arange(8) % 2 > 0], 1)
    images = draw(labels.long())[:, None].float() / 127.5 - 1
    pipe = make_pipeline("vae").learn_attributes(NAMES, [{"pixel_values": images, "attributes": labels}])
    pipe.learn_attribute("mine", images[:1], images[1:]).save_pretrained(folder)
    options = ["--dataset_name", patches, "--evaluator", str(judge)]
    assert main(["evaluate", str(folder), *options, "--write_card"]) == 0
    evaluation = json.loads((folder / "evaluation.json").read_text())
    rows = {row["metric"]: row for row in evaluation["metrics"]}
    for name in NAMES:
        assert {f"response/{name}/{s}" for s in STRENGTHS} | {f"monotone/{name}", f"identity_distance/{name}"} < set(
            rows
        )
        assert 0 <= rows[f"response/{name}/0"]["value"] <= 1
        assert rows[f"identity_distance/{name}"]["args"] == {"images": 32}
    assert "identity_distance_other" in rows
    # What the evaluator has no labels of is not measured, and there are no classes to be accurate in.
    assert not {name for name in rows if "mine" in name or "accuracy" in name}
    assert all(row["tolerance"] == tolerance_of(row["metric"], row["value"]) for row in rows.values())
    assert "Attributes are edited in the posterior means" in evaluation["protocol"]
    card = (folder / "README.md").read_text()
    assert 'pipe.edit(images, "bright", strength=1.5)' in card
    assert "It has learnt directions for bright, left, mine" in card
    assert "| bright: response at strength -1 |" in card
    capsys.readouterr()
    assert main(["verify", str(folder), *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("numbers reproduced: verified.")


def test_the_card_of_a_classifier_of_attributes(judge, patches, capsys):
    assert main(["evaluate", str(judge), "--dataset_name", patches, "--write_card"]) == 0
    (judge / "training.json").write_text("{}")
    write_card(judge, "alice/judge")
    card = ModelCard.load(judge / "README.md")
    for words in (
        "on average over its 2 attributes",
        "| constant guess |",
        "| left: balanced accuracy |",
        ".sigmoid()",
    ):
        assert words in card.text, words
    assert len(card.data.eval_results) == 4
    capsys.readouterr()
    assert main(["verify", str(judge), "--dataset_name", patches]) == 0
    out = capsys.readouterr().out
    assert "accuracy, mean of 2 attributes, constant guess" in out
    assert out.splitlines()[-1].endswith("8 of 8 numbers reproduced: verified.")


def test_faces_have_an_evaluator_of_their_own(monkeypatch):
    monkeypatch.setattr(zoo, "model_folder", lambda name: name)
    assert find_evaluator(64, 3) == "evaluator-celeba"
