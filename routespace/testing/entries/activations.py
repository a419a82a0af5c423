"""What activations declare, held against what they do: range, exact zero, support, gradients, modes, dtypes."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from routespace.testing.entries.gates import Tried, activations_of, shown, stretched
from routespace.testing.laws.subject import Subject

LOW = (torch.float32, torch.bfloat16, torch.float16)
STEP = 1e-6


def gates_keep_their_range(subject: Subject) -> None:
    """Weights of open routes lie in the declared range, whatever finite logits and arguments; infinite ones may give
    NaN, which is open."""
    for one in activations_of(subject):
        low, high = one.entry.range
        for tried in stretched(one):
            for logits in (tried.moderate(), tried.extreme(), _infinite(tried)):
                weights, opened = tried.ask(logits)
                outside = opened & ~((weights >= low - 1e-9) & (weights <= high + 1e-9))
                bad = outside & (torch.isfinite(logits).all(1, keepdim=True) | ~torch.isnan(weights))
                if bool(bad.any()):
                    row, route = bad.nonzero()[0].tolist()
                    raise tried.fail(
                        "gates keep their range",
                        f"declares {low:g} to {high:g}, gives {float(weights[row, route]):g} for {shown(logits[row])}",
                    )


def _infinite(tried: Tried) -> Tensor:
    """Logits with one infinity among moderate ones."""
    logits = tried.moderate(8)
    logits[:4, 0], logits[4:, -1] = math.inf, -math.inf
    return logits


def open_is_more_than_zero(subject: Subject) -> None:
    """A shut route weighs nothing, an open one something; what declares to close does, and what does not never does."""
    for tried in activations_of(subject):
        law = "open is more than zero"
        logits = tried.moderate()
        weights, opened = tried.ask(logits)
        for bad, problem in (
            (~opened & (weights.abs() > 1e-9), "shuts a route of weight"),
            (opened & (weights == 0) & tried.entry.closes, "opens a route of weight"),
        ):
            if bool(bad.any()):
                row, route = bad.nonzero()[0].tolist()
                raise tried.fail(law, f"{problem} {float(weights[row, route]):g} for {shown(logits[row])}")
        everything = torch.cat([logits, tried.extreme()])
        _, opened = tried.ask(everything)
        if not tried.entry.closes and not bool(opened.all()):
            row = int((~opened).any(1).nonzero()[0])
            raise tried.fail(law, f"declares that it never closes and shuts a route for {shown(everything[row])}")
        if tried.entry.closes and tried.entry.support in ("any", "all") and bool(opened.all()):
            several = replace(tried, routes=tried.routes + 3)  # among more routes, of which one may have to stay open
            given = torch.cat([several.moderate(), several.extreme()])
            if bool(several.ask(given)[1].all()):
                raise tried.fail(law, f"declares that it closes and opens every route, for {shown(everything[-1])} too")


def gates_keep_their_support(subject: Subject) -> None:
    """Of a support of a number of routes exactly so many are open, ties included; of a support of all every one is."""
    for one in activations_of(subject):
        for tried in stretched(one):
            logits = torch.cat([tried.moderate(), tried.extreme()])
            _, opened = tried.ask(logits)
            counts = opened.sum(1)
            wanted = tried.entry.opens(tried.routes)
            if wanted is not None and bool((counts != wanted).any()):
                row = int((counts != wanted).nonzero()[0])
                raise tried.fail(
                    "gates keep their support",
                    f"declares `{tried.entry.support}` and opens {int(counts[row])} of {tried.routes} routes for "
                    f"{shown(logits[row])}",
                )


def nan_is_open(subject: Subject) -> None:
    """A route whose logit is gates open at NaN and weighs NaN: nothing closes silently."""
    for tried in activations_of(subject):
        logits = tried.moderate(2 * tried.routes)
        for route in range(tried.routes):
            logits[route, route] = math.nan
        logits[tried.routes :] = math.nan
        weights, opened = tried.ask(logits)
        bad = torch.isnan(logits) & ~opened
        if bool(bad.any()):
            row = int(bad.nonzero()[0][0])
            raise tried.fail("gates open at NaN", f"shuts a route whose logit is NaN, for {shown(logits[row])}")
        hidden = torch.isnan(logits) & ~torch.isnan(weights)
        if bool(hidden.any()):
            row, route = hidden.nonzero()[0].tolist()
            raise tried.fail("gates open at NaN", f"makes {float(weights[row, route]):g} of a logit that is NaN")


def gates_decide_alone(subject: Subject) -> None:
    """What is decided for an image does not depend on the others, of whom there may be none; training included."""
    for tried in activations_of(subject):
        logits = tried.moderate(6)
        for training in (False, True) if tried.entry.same_in_training else (False,):
            whole = tried.ask(logits, training)
            for row in range(len(logits)):
                weights, opened = tried.ask(logits[row : row + 1], training)
                if not torch.allclose(weights[0], whole[0][row], atol=1e-12) or not torch.equal(
                    opened[0], whole[1][row]
                ):
                    raise tried.fail("gates decide alone", f"decides otherwise on {shown(logits[row])} among others")
            tried.ask(logits[:0], training)


def gates_repeat(subject: Subject) -> None:
    """Asked again it says the same, and in training what it says in inference unless it declares otherwise."""
    for tried in activations_of(subject):
        logits = tried.moderate()
        first = tried.ask(logits)
        module = tried.module()
        given = logits.clone()
        module(given)
        asked = [("again", module(given)), ("anew", tried.ask(logits))]
        if not torch.equal(given, logits):
            raise tried.fail("gates repeat", "writes into its logits")
        if tried.entry.same_in_training:
            asked.append(("in training", tried.ask(logits, training=True)))
        for when, (weights, opened) in asked:
            if not torch.equal(weights, first[0]) or not torch.equal(opened, first[1]):
                raise tried.fail("gates repeat", f"says something else when asked {when}")


def gates_keep_their_dtype(subject: Subject) -> None:
    """In low precision weights keep the dtype of their logits, are near those in float64, and decide alike."""
    for tried in activations_of(subject):
        for dtype in LOW:
            logits = tried.moderate().to(dtype)
            weights, opened = tried.ask(logits)
            right, wanted = tried.ask(logits.to(torch.float64))
            if weights.dtype != dtype:
                raise tried.fail("gates keep their dtype", f"makes {weights.dtype} of logits in {dtype}")
            eps = 16 * torch.finfo(dtype).eps
            clear = _margin(tried, logits.to(torch.float64)) > eps * 4
            bad = clear & (opened != wanted)
            bad |= clear & wanted & ~((weights.to(torch.float64) - right).abs() <= eps * right.abs().clamp(min=1.0))
            if bool(bad.any()):
                row, route = bad.nonzero()[0].tolist()
                raise tried.fail(
                    "gates keep their dtype",
                    f"gives {float(weights[row, route]):g} in {dtype} and {float(right[row, route]):g} in float64 for "
                    f"{shown(logits[row])}",
                )
            weights, opened = tried.ask(_within(tried.extreme(), dtype))
            if bool((opened & torch.isnan(weights)).any()):
                raise tried.fail("gates keep their dtype", f"gives NaN in {dtype} for finite logits")


def _within(logits: Tensor, dtype: torch.dtype) -> Tensor:
    most = torch.finfo(dtype).max / 4
    return logits.clamp(-most, most).to(dtype)


def gates_learn_as_declared(subject: Subject) -> None:
    """Gradients are finite. Unless declared straight through they are the slopes, and a shut route has none."""
    for tried in activations_of(subject):
        logits = tried.moderate()
        for given in (logits, tried.extreme()):
            slopes = _slopes(tried, given)
            if not bool(torch.isfinite(slopes).all()):
                row = int((~torch.isfinite(slopes)).nonzero()[0][0])
                raise tried.fail("gates learn as declared", f"has no finite gradient for {shown(given[row])}")
        slopes = _slopes(tried, logits)
        clear = (_margin(tried, logits) > 1e-3).all(1)
        if tried.entry.straight_through:
            if tried.routes > 1 and not bool(slopes[clear].any()):
                raise tried.fail("gates learn as declared", "declares a gradient straight through and has none")
            continue
        rises = torch.zeros_like(slopes)
        for route in range(tried.routes):
            moved = torch.zeros_like(logits)
            moved[:, route] = STEP
            up, down = (_delivered(tried, logits + sign * moved) for sign in (1, -1))
            rises[:, :, route] = (up - down) / (2 * STEP)
        bad = ((slopes - rises).abs() > 1e-4) & clear[:, None, None]
        if bool(bad.any()):
            row, route, logit = bad.nonzero()[0].tolist()
            raise tried.fail(
                "gates learn as declared",
                f"has a gradient of {float(slopes[row, route, logit]):g} where the slope is "
                f"{float(rises[row, route, logit]):g}, for {shown(logits[row])}",
            )


def _delivered(tried: Tried, logits: Tensor) -> Tensor:
    weights, opened = tried.ask(logits)
    return torch.where(opened, weights, torch.zeros_like(weights)).detach()


def _slopes(tried: Tried, logits: Tensor) -> Tensor:
    """Gradient (N, K, K) of each weight by each logit, as autograd has it; shut routes show theirs too."""
    given = logits.clone().requires_grad_(True)
    weights, _ = tried.ask(given)
    columns = []
    for route in range(tried.routes):
        if not weights.requires_grad:
            columns.append(torch.zeros_like(logits))
            continue
        (found,) = torch.autograd.grad(weights[:, route].sum(), given, retain_graph=True, allow_unused=True)
        columns.append(torch.zeros_like(logits) if found is None else found)
    return torch.stack(columns, 1)


def _margin(tried: Tried, logits: Tensor) -> Tensor:
    own = getattr(tried.module(), "margin", None)
    found: Tensor = logits.abs() if own is None else own(logits)
    return found


def margins_are_kept(subject: Subject) -> None:
    """No logit that moves by less than its margin changes what is open."""
    for tried in activations_of(subject):
        logits = torch.cat([tried.moderate(), tried.extreme().clamp(-100, 100)])
        margin = _margin(tried, logits)
        if margin.shape != logits.shape or bool((margin < 0).any()):
            raise tried.fail("margins are kept", f"has margins {tuple(margin.shape)} below 0 or of another shape")
        _, opened = tried.ask(logits)
        for route in range(tried.routes):
            far = margin[:, route].clamp(max=10.0) * 0.99
            for sign in (1, -1):
                moved = logits.clone()
                moved[:, route] += sign * far
                changed = (tried.ask(moved)[1] != opened).any(1) & (far > 1e-9)
                if bool(changed.any()):
                    row = int(changed.nonzero()[0])
                    raise tried.fail(
                        "margins are kept",
                        f"claims a margin of {float(margin[row, route]):g} at {shown(logits[row])} and opens others at "
                        f"{shown(moved[row])}",
                    )


def gates_start_as_told(subject: Subject) -> None:
    """The logit that `inverse` tells for a weight gives that weight."""
    for tried in activations_of(subject):
        if tried.entry.inverse is None:
            continue
        low, high = tried.entry.range
        for share in (0.1, 0.5, 0.9):
            wanted = low + share * (high - low)
            logit = tried.entry.inverse(dict(tried.args), wanted)
            weights, _ = tried.ask(torch.full((1, tried.routes), float(logit), dtype=torch.float64))
            if not bool(((weights - wanted).abs() < 1e-6 * max(1.0, high - low)).all()):
                raise tried.fail(
                    "gates start as told", f"starts at {float(weights[0, 0]):g} where a weight of {wanted:g} is wanted"
                )
