"""Training of compiled spaces with Lightning: `pip install routespace[train]`."""

from routespace.integrations.fault import missing_extra
from routespace.integrations.vision import load_torchvision

try:
    load_torchvision()  # both of these look for it
    import lightning
    import torchmetrics
except (ImportError, RuntimeError) as cause:
    raise missing_extra("train", cause) from cause

from routespace.integrations.train.data import StepData
from routespace.integrations.train.fit import TrainResult, train
from routespace.integrations.train.recipe import Recipe
from routespace.integrations.train.task import Segmentation

__all__ = ["Recipe", "Segmentation", "StepData", "TrainResult", "train"]

del lightning, load_torchvision, torchmetrics
