"""Compiled heads in torchvision's detectors: `pip install routespace[detection]`."""

from routespace.integrations.fault import missing_extra
from routespace.integrations.vision import load_torchvision

try:
    if load_torchvision() is None:
        raise ModuleNotFoundError("no module named `torchvision`", name="torchvision")
    import pycocotools
    import torchmetrics
except (ImportError, RuntimeError) as cause:
    raise missing_extra("detection", cause) from cause

from routespace.integrations.torchvision.cost import head_cost, level_costs
from routespace.integrations.torchvision.data import CocoBoxes, Target, collate
from routespace.integrations.torchvision.evaluate import Detection, evaluate_detector, measure_head
from routespace.integrations.torchvision.generate import CocoFiles, write_scenes
from routespace.integrations.torchvision.head import RoutedHead, put_head, recording
from routespace.integrations.torchvision.pictures import gate_maps, seen_image
from routespace.integrations.torchvision.train import train_detector

__all__ = [
    "CocoBoxes",
    "CocoFiles",
    "Detection",
    "RoutedHead",
    "Target",
    "collate",
    "evaluate_detector",
    "gate_maps",
    "head_cost",
    "level_costs",
    "measure_head",
    "put_head",
    "recording",
    "seen_image",
    "train_detector",
    "write_scenes",
]

del pycocotools, torchmetrics
