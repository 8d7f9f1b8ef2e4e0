"""Training data over HTTP: the stream of a dataset on the Hub, and the sentence for one that is not there."""

from helpers import run_python

READ = """
import sys
from genmodels.data import load_images
from genmodels.errors import UserError
try:
    stream = load_images(sys.argv[1], batch_size=32)
    batch = next(stream.forever())
    print(tuple(batch["pixel_values"].shape), stream.class_names == [str(i) for i in range(10)])
except UserError as error:
    print(error)
"""


def test_training_data_streams_from_the_hub(hub, digits_on_hub, tmp_path):
    done = run_python("-c", READ, digits_on_hub, env=hub.env(tmp_path))
    assert done.stdout.strip() == "(32, 1, 28, 28) True", done.stderr


def test_an_unknown_dataset_gets_one_sentence(hub, tmp_path):
    done = run_python("-c", READ, "alice/nothing", env=hub.env(tmp_path))
    assert done.stdout.startswith("The Hub has no dataset 'alice/nothing'"), done.stderr
    assert done.stdout.count("\n") == 1
