"""Compiled heads in torchvision's detectors: training, evaluation, what does not fit."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

import routespace as rs

pytest.importorskip("torchvision", reason="needs routespace[detection]", exc_type=ModuleNotFoundError)

from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import FasterRCNN

from routespace.integrations.torchvision import gate_maps, head_cost, level_costs, put_head, recording
from routespace.integrations.torchvision.forms import evaluating_in
from tests.integrations.detectors import CLASSES, KINDS, images, plain, routed, targets, tower, whole

SIZES = [(64, 96), (80, 64), (64, 64)]
SPACES = {"tower": tower, "whole": whole}


def heads() -> list[tuple[str, str]]:
    return [("fcos", "tower"), ("fcos", "whole"), ("retinanet", "tower")]


@pytest.mark.parametrize(("kind", "space"), heads())
def test_losses_hold_the_budget_and_reach_every_parameter(kind: str, space: str) -> None:
    detector = routed(kind, SPACES[space](weight=0.5)).train()
    with recording(detector) as calls:
        losses = detector(images(SIZES), targets(SIZES))
    others = {"classification", "bbox_regression"} | ({"bbox_ctrness"} if kind == "fcos" else set())
    assert set(losses) == others | {"budget"}
    (call,) = calls
    shares = [
        rs.budget_loss(detector.head.spaces[name].dense, outcome, 1.0).item() / 0.5 for name, outcome in call.items()
    ]
    assert losses["budget"].item() == pytest.approx(0.5 * sum(shares) / len(shares))
    assert 0.02 < losses["budget"].item() < 0.5
    sum(losses.values()).backward()
    silent = [name for name, one in detector.named_parameters() if one.grad is None or not one.grad.isfinite().all()]
    assert silent == []
    gates = [one.grad.abs().sum() for name, one in detector.head.named_parameters() if "gate.body" in name]
    assert len(gates) > 0 and all(grad > 0 for grad in gates)


def test_the_budget_follows_the_progress_of_training() -> None:
    text = rs.example("dynamic_head").read_text().replace("weight = weight)", "weight = weight, start = 0.5)")
    detector = routed("fcos", rs.loads(text, depth=1, width=32)).train()
    budgets = []
    for progress in (0.2, 0.9):
        detector.head.progress = progress
        budgets.append(detector(images(SIZES), targets(SIZES))["budget"].item())
    assert budgets[0] == 0.0 < budgets[1]


@pytest.mark.parametrize(("kind", "space"), heads())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_forms_agree(kind: str, space: str, dtype: torch.dtype) -> None:
    """In evaluation mode the head is sparse, on the weights of the dense form, for images of several sizes at once."""
    detector = routed(kind, SPACES[space]()).to(dtype).eval()
    batch = images(SIZES, dtype)
    with torch.inference_mode():
        with recording(detector) as calls:
            sparse = detector(batch)
        with evaluating_in(detector, "dense"), recording(detector) as dense_calls:
            dense = detector(batch)
    for name, outcome in calls[0].items():
        for key, wanted in dense_calls[0][name].output.items():
            assert (outcome.output[key] - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    if dtype is torch.float64:
        compare(sparse, dense)
    cost, whole_cost = head_cost(calls[0]), head_cost(dense_calls[0])
    torch.testing.assert_close(cost.hard, whole_cost.hard)
    assert (cost.hard < 0.9 * whole_cost.executed).all()


def compare(found: list[dict[str, Tensor]], wanted: list[dict[str, Tensor]]) -> None:
    """Detections are the same, in the order of their scores where these differ by more than a rounding."""
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one["scores"], other["scores"], rtol=0, atol=1e-9)
        gaps = -other["scores"].diff(prepend=torch.tensor([9.0]), append=torch.tensor([-9.0]))
        clear = torch.minimum(gaps[1:], gaps[:-1]) > 1e-8
        assert clear.sum() > 50
        assert torch.equal(one["labels"][clear], other["labels"][clear])
        torch.testing.assert_close(one["boxes"][clear], other["boxes"][clear], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sparse_form_skips_what_gates_close(kind: str) -> None:
    """Counted from outside: with every gate closed only work that no gate decides on is left."""
    detector = routed(kind).eval()
    batch = images([(64, 96)])
    spaces = detector.head.spaces.values()
    gates = {gate.node: "closed" for gate in rs.graph_of(next(iter(spaces)).dense).gates}

    def counted(form: str) -> int:
        with torch.inference_mode(), evaluating_in(detector, form), FlopCounterMode(display=False) as counter:  # type: ignore[arg-type]
            for space in spaces:
                running = space.sparse if form == "sparse" else space.dense
                with rs.forcing(running, gates), rs.exactly(running):
                    space(list(detector.backbone(batch[0][None]).values()))
        return sum(counter.get_flop_counts()["Global"].values())

    backbone = counted("dense") - counted("sparse")
    assert backbone > 0.5 * counted("dense")


def test_costs_by_level_sum_up() -> None:
    detector = routed("fcos").eval()
    with torch.inference_mode(), recording(detector) as calls:
        detector(images(SIZES))
    levels, whole_cost = level_costs(detector.head, calls[0]), head_cost(calls[0])
    assert list(levels) == ["p3", "p4", "p5", "p6", "p7"]
    for kind in ("expected", "hard", "executed"):
        parts = torch.stack([getattr(cost, kind) for cost in levels.values()])
        torch.testing.assert_close(parts.sum(0), getattr(whole_cost, kind))
    assert (levels["p3"].executed > levels["p4"].executed).all()


def test_levels_of_one_stride_are_told_apart() -> None:
    text = rs.example("dynamic_head").read_text()
    text = text.replace(
        "p3, p4, p5, p6, p7 with stride = 8 * 2^level", "p3, p4, p5 with stride = 8 if level < 2 else 16"
    )
    detector = plain("fcos", levels=3)
    detector.backbone.down[0].stride = (1, 1)
    detector = put_head(detector, rs.loads(text, depth=1, width=32)).eval()
    with torch.inference_mode(), recording(detector) as calls:
        detector(images(SIZES))
    costs = level_costs(detector.head, calls[0])
    assert list(costs) == ["p3", "p4", "p5"]
    assert torch.allclose(sum(one.hard for one in costs.values()), head_cost(calls[0]).hard)
    assert {name.split()[1] for name, _ in gate_maps(detector.head, calls[0])} == {"p3", "p4", "p5"}


def test_the_sparse_form_runs_under_autocast() -> None:
    detector = routed("fcos").eval()
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        found = detector(images(SIZES))
    assert all(one["scores"].isfinite().all() for one in found)


def test_a_frozen_head_has_no_budget() -> None:
    detector = routed("fcos").train()
    detector.head.eval()
    assert "budget" not in detector(images(SIZES), targets(SIZES))


def test_weights_are_one_set() -> None:
    """New weights are used by the sparse form at once, however they came; the optimizer and files see them once."""
    detector, other = routed("fcos").double().eval(), put_head(plain("fcos"), tower(), seed=7).double().eval()
    batch = images(SIZES, torch.float64)
    with torch.inference_mode():
        wanted, before = detector(batch), other(batch)
    assert not torch.equal(before[0]["scores"], wanted[0]["scores"])
    for assign in (False, True):
        clone = copy.deepcopy(other)
        clone.load_state_dict(detector.state_dict(), assign=assign)
        with torch.inference_mode():
            compare(clone(batch), wanted)
    assert len(list(detector.head.spaces.parameters())) == 2 * len(list(rs.compile(tower()).parameters()))
    with torch.inference_mode():
        single = copy.deepcopy(detector).float()(images(SIZES))
    torch.testing.assert_close(single[0]["scores"].double(), wanted[0]["scores"], rtol=0, atol=1e-5)


def test_what_is_put_on_the_dense_form_holds_for_the_sparse_one() -> None:
    """Hooks, pruned weights, parts of one's own, and what blocks say of gates."""
    detector = routed("fcos").double().eval()
    levels = list(detector.backbone(images(SIZES, torch.float64)[0][None]).values())
    space = detector.head.spaces["boxes"]
    graph = rs.graph_of(space.dense)

    def both() -> tuple[Any, Any]:
        with torch.inference_mode():
            sparse = space(levels)
            with evaluating_in(space, "dense"):
                return sparse, space(levels)

    def agree() -> Any:
        sparse, dense = both()
        for key, wanted in dense.output.items():
            torch.testing.assert_close(sparse.output[key], wanted)
        torch.testing.assert_close(sparse.routing.cost.hard, dense.routing.cost.hard)
        return torch.cat([output.flatten() for output in sparse.output.values()])

    before = agree()
    with rs.forcing(space.dense, {gate.node: "closed" for gate in graph.gates}):
        assert not torch.equal(agree(), before)
    half = [level / 2 for level in levels]
    with torch.inference_mode():
        routing = space.dense(half).routing
    with rs.replaying(space.dense, routing):
        assert not torch.equal(agree(), before)
    named = space.dense.named_modules()
    convs = [part for name, part in named if isinstance(part, nn.Conv2d) and ".x.spatial.op." in name]
    seen: list[object] = []
    handles = [part.register_forward_hook(lambda part, given, made: seen.append(part)) for part in convs]
    agree()
    assert len(seen) > 2
    for handle in handles:
        handle.remove()
    for conv in convs:
        prune.l1_unstructured(conv, "weight", 0.5)
    pruned = agree()
    assert not torch.equal(pruned, before)
    parent = next(part for part in space.dense.modules() if convs[1] in part.children())
    (name,) = (name for name, part in parent.named_children() if part is convs[1])
    setattr(parent, name, nn.Sequential(convs[1], nn.Tanh()))
    assert not torch.equal(agree(), pruned)


def test_an_official_tower_can_be_loaded() -> None:
    detector = routed("fcos")
    boxes = detector.head.spaces["boxes"].dense
    names = dict(rs.integrations.official.dynamic_head_names(rs.graph_of(boxes)))
    official = {f"head.bbox_subnet.{names[own]}": torch.ones_like(one) for own, one in boxes.state_dict().items()}
    rs.integrations.official.load_dynamic_head(boxes, official, "bbox_subnet")
    assert all((one == 1).all() for one in detector.head.spaces["boxes"].sparse.parameters())


def test_classes_start_from_the_prior() -> None:
    detector = put_head(plain("fcos"), whole()).eval()
    with torch.inference_mode():
        logits = detector.head(list(detector.backbone(images(SIZES)[0][None]).values()))["cls_logits"]
    assert logits.shape[-1] == CLASSES and logits.sigmoid().mean().item() == pytest.approx(0.01, rel=0.2)


@pytest.mark.parametrize(
    ("detector", "space", "said"),
    [
        (lambda: plain("fcos", width=64), tower, "it reads 32 channels, the backbone gives 64"),
        (lambda: plain("fcos", levels=3), tower, "it reads 5 levels, the detector has 3"),
        (lambda: plain("fcos"), lambda: whole(classes=7), "output `logits` has 7 channels, the detector needs 5"),
        (lambda: plain("retinanet"), whole, "a whole head `logits`, `boxes`"),
        (lambda: plain("fcos"), lambda: rs.load(rs.example("small")), "its input `image` is no pyramid"),
        (lambda: routed("fcos"), tower, "not into FCOS with a TowerHead"),
        (lambda: nn.Conv2d(1, 1, 1), tower, "not into Conv2d"),
        (lambda: object.__new__(FasterRCNN), tower, "not into FasterRCNN"),
    ],
)
def test_what_does_not_fit_is_said(detector: object, space: object, said: str) -> None:
    with pytest.raises(rs.RouteError) as error:
        put_head(detector(), space())  # type: ignore[operator]
    assert error.value.diagnostics[0].code == "RS955" and said in str(error.value)


def test_a_detector_that_a_space_does_not_fit_stays_as_it_was() -> None:
    detector = plain("fcos")
    before = list(detector.state_dict())
    with pytest.raises(rs.RouteError):
        put_head(detector, tower(width=64))
    assert list(detector.state_dict()) == before


def test_maps_that_do_not_fit_are_refused() -> None:
    detector = routed("fcos").eval()
    maps = list(detector.backbone(images(SIZES)[0][None]).values())
    with pytest.raises(ValueError, match="4 tensors"):
        detector.head(maps[:4])
    with pytest.raises(ValueError, match="16 channels; the space declares 32"):
        detector.head([one[:, :16] for one in maps])
    with pytest.raises(ValueError, match="does not fit"):
        detector.head([maps[0], *maps[:4]])


def test_a_plain_head_has_no_routing_to_record() -> None:
    with pytest.raises(rs.RouteError, match="RS955"), recording(plain("fcos")):
        pass
