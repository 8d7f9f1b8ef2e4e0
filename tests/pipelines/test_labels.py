"""A class number means the class of that name, or is refused."""

import pytest
import torch
from helpers import make_pipeline


@pytest.fixture
def pipe_of():
    """A tiny conditional GAN whose classes have these names, at most as many as it has."""

    def make(names: list[str]):
        pipe = make_pipeline("cgan")
        pipe.generator.register_to_config(class_names=names, num_classes=len(names))
        return pipe

    return make


@pytest.mark.parametrize(
    ("names", "label", "expected"),
    [
        (["0", "1", "2", "10"], 2, 2),
        (["0", "1", "2", "10"], 10, 3),
        (["0", "1", "2", "10"], "10", 3),
        (["00000", "00001"], 1, 1),
        (["cat", "dog"], 1, 1),
        (["cat", "7"], 1, 1),
        # A tensor holds numbers as training has them.
        (["0", "1", "2", "10"], torch.tensor(3), 3),
    ],
)
def test_numbers_and_names_mean_one_class(pipe_of, names, label, expected):
    assert pipe_of(names)._to_labels(label, 1).tolist() == [expected]


@pytest.mark.parametrize(
    ("names", "label", "message"),
    [
        (["0", "1", "2", "10"], 3, "Class number 3 is the class named '10' here: give the name as text"),
        (["1", "2", "3"], 1, "Class number 1 is the class named '2' here, and '1' is a class, too"),
        (["10", "2", "1"], 2, "Class number 2 is the class named '1' here, and '2' is a class, too"),
        (["0", "1", "2", "10"], 4, "There is no class 4"),
    ],
)
def test_a_number_that_is_the_name_of_another_class_is_refused(pipe_of, names, label, message):
    with pytest.raises(ValueError, match=message):
        pipe_of(names)._to_labels(label, 1)
