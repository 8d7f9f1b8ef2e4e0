import pytest
import torch

from genmodels.features import evaluators
from genmodels.features.evaluators import features_of, kept_features, load_classifier


@pytest.fixture
def kept(monkeypatch, tmp_path):
    """The folder of kept features, and the sizes of the sets that were computed."""
    computed = []
    monkeypatch.setattr(evaluators, "KEPT_FROM", 8)
    monkeypatch.setattr(evaluators, "cached_assets_path", lambda *names: tmp_path)
    monkeypatch.setattr(
        evaluators, "features_of", lambda c, images: computed.append(len(images)) or features_of(c, images)
    )
    return tmp_path, computed


def test_features_are_computed_once_for_the_same_pixels_and_weights(kept):
    folder, computed = kept
    classifier, images = load_classifier("evaluator-mnist")[0], torch.rand(8, 1, 28, 28)
    first = kept_features(classifier, images)
    assert torch.equal(kept_features(classifier, images), first)
    assert computed == [8]
    changed = images.clone()
    changed[7, 0, 27, 27] = 0
    kept_features(classifier, changed)
    kept_features(classifier, images[:7])
    classifier.layers[0][0].bias.data[0] += 1
    kept_features(classifier, images)
    assert computed == [8, 8, 7, 8]
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("damage", ["truncated", "no folder"])
def test_a_cache_that_fails_is_done_without(kept, monkeypatch, damage):
    folder, computed = kept
    classifier, images = load_classifier("evaluator-mnist")[0], torch.rand(8, 1, 28, 28)
    first = kept_features(classifier, images)
    if damage == "truncated":
        for file in folder.iterdir():
            file.write_bytes(file.read_bytes()[:100])
    else:
        monkeypatch.setattr(evaluators, "cached_assets_path", lambda *names: folder / "none")
    assert torch.equal(kept_features(classifier, images), first)
    assert computed == [8, 8]
