"""What the tests of the integrations share."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

import routespace as rs
from routespace.integrations.scenes import Scenes
from routespace.integrations.vision import load_torchvision
from routespace.space.model import Space

load_torchvision()  # Lightning and torchmetrics look for it when tests import them


@pytest.fixture(scope="session")
def space() -> Space:
    return rs.load(Path(__file__).with_name("tiny.route"))


@pytest.fixture(scope="session")
def scenes() -> Scenes:
    return Scenes(6, size=64, seed=3)


@pytest.fixture(scope="session")
def images(scenes: Scenes) -> torch.Tensor:
    return torch.stack([scenes[index][0] for index in range(len(scenes))])


@pytest.fixture
def room() -> Callable[[int], AbstractContextManager[None]]:
    """Within `room(most)` no file grows beyond so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource", reason="limits of files are those of POSIX")

    @contextmanager
    def limited(most: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited
