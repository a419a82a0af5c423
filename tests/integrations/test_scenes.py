import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from routespace.integrations.scenes import CLASSES, KINDS, Scene, Scenes, draw_scene


def same(one: Scene, other: Scene) -> bool:
    return one.kind == other.kind and bool((one.image == other.image).all() and (one.label == other.label).all())


def test_a_scene_depends_on_seed_and_index_only() -> None:
    forward = [Scenes(9, 48, seed=4).scene(index) for index in range(9)]
    longer = Scenes(50, 48, seed=4)
    for index in reversed(range(9)):
        assert same(forward[index], longer.scene(index))
    assert not same(forward[0], forward[1])
    assert not same(forward[0], Scenes(9, 48, seed=5).scene(0))


def test_no_generator_of_the_process_is_read_or_moved() -> None:
    np.random.seed(1)
    torch.manual_seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    first = draw_scene(0, 0, (48, 48))
    assert (np.random.get_state()[1] == before[0]).all() and torch.equal(torch.get_rng_state(), before[1])
    np.random.seed(2)
    assert same(first, draw_scene(0, 0, (48, 48)))


def test_workers_change_nothing() -> None:
    scenes = Scenes(6, 48, seed=4)
    alone = list(DataLoader(scenes, 2))
    helped = list(DataLoader(scenes, 2, num_workers=2))
    for (image, label), (other_image, other_label) in zip(alone, helped, strict=True):
        assert torch.equal(image, other_image) and torch.equal(label, other_label)


@pytest.mark.parametrize("size", [32, (40, 72), (96, 65)])
def test_types_ranges_and_sizes(size: int | tuple[int, int]) -> None:
    height, width = (size, size) if isinstance(size, int) else size
    for index in range(12):
        scene = Scenes(12, size).scene(index)
        assert scene.image.shape == (3, height, width) and scene.image.dtype == np.float32
        assert scene.label.shape == (height, width) and scene.label.dtype == np.int64
        assert scene.image.min() >= 0 and scene.image.max() <= 1
        assert scene.label.min() >= 0 and 0 < scene.label.max() < len(CLASSES)


def test_kinds_are_what_they_say() -> None:
    """Large shapes cover far more of the frame each; a small one fits in a quarter of its side."""
    covered = {}
    for kind in KINDS:
        scenes = [Scenes(30, 64, seed=1, kinds=[kind]).scene(index) for index in range(30)]
        assert {scene.kind for scene in scenes} == {kind}
        covered[kind] = np.mean([np.mean([np.sum(scene.label == shape) for shape in range(1, 5)]) for scene in scenes])
        assert set(np.unique([scene.label for scene in scenes])) == set(range(len(CLASSES)))
    assert covered["large"] > 1.3 * covered["small"]
    drawn = {Scenes(30, 64).scene(index).kind for index in range(30)}
    assert drawn == set(KINDS)


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(IndexError):
        Scenes(3)[3]
    with pytest.raises(ValueError, match="huge"):
        Scenes(3, kinds=["huge"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="none"):
        Scenes(3, kinds=[])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"size": 0}, "`size` is 0"), ({"size": (1, 64)}, r"`size` is \(1, 64\)"), ({"size": (64,)}, "`size` is"),
        ({"size": "64"}, "`size` is '64'"), ({"length": -1}, "`length` is -1"), ({"seed": -1}, "`seed` is -1"),
        ({"seed": 1.5}, "`seed` is 1.5"),
    ],
)  # fmt: skip
def test_numbers_that_no_scenes_have(given: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Scenes(**({"length": 2} | given))  # type: ignore[arg-type]
    assert Scenes(1, size=2)[0][0].shape == (3, 2, 2)
