"""The engine under the scripts in train/: knows no particular model.

from genmodels.training import train

pipe = train("cgan", dataset_name="zoo:mnist-sample", max_train_steps=200)
"""

from .config import TrainingConfig
from .publish import publish_run
from .run import TrainingRun
from .scripts import main, train
from .watching import sample_grid

__all__ = ["TrainingConfig", "TrainingRun", "main", "publish_run", "sample_grid", "train"]
