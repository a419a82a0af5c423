"""The ops, merges and activations every `.route` file knows."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

from routespace.space.registry import (
    ACTIVATIONS,
    BUDGETS,
    MERGES,
    OPS,
    ActivationEntry,
    Args,
    BadArgument,
    BudgetEntry,
    MergeEntry,
    OpEntry,
    Parameter,
)
from routespace.space.shape import NO_COST, Cost, Shape, exact

_LAYERS = "routespace.runtime.layers"
_CHANNELS = Parameter("channels", "integer", least=1)
_KERNEL = Parameter("kernel", "integer", required=True, least=1)
_STRIDE = Parameter("stride", "integer", 1, least=1)
_PAD = Parameter("pad", "integer", least=0)
_DILATION = Parameter("dilation", "integer", 1, least=1)
_BIAS = Parameter("bias", "flag", False)


def padding(args: Args) -> int:
    """Declared padding, or the one that keeps the size at stride 1."""
    pad = args["pad"]
    return args.get("dilation", 1) * (args["kernel"] - 1) // 2 if pad is None else int(pad)


def _window(args: Args) -> tuple[int, int, int, int]:
    return args["kernel"], args["stride"], args.get("dilation", 1), padding(args)


def _slide(args: Args, size: int) -> int:
    kernel, stride, dilation, pad = _window(args)
    reach = dilation * (kernel - 1) + 1
    out = (size + 2 * pad - reach) // stride + 1
    if out < 1:
        dilated = f" (a kernel of {kernel} with dilation {dilation})" if dilation > 1 else ""
        padded = f", {size + 2 * pad} with its pads" if pad else ""
        message = f"its window of {reach}{dilated} is larger than a side of {size}{padded}"
        raise BadArgument(message, "kernel", "dilation", "pad")
    return out


def _divisible(channels: int, what: str, groups: int) -> None:
    """What grouped ops ask of a number of channels."""
    if channels % groups:
        fit = [str(one) for one in range(1, min(channels, 64) + 1) if channels % one == 0]
        help = f"numbers that divide {channels} are {', '.join(fit)}"
        raise BadArgument(f"{what} {channels} channels are not divisible by {groups} groups", "groups", help=help)


def _conv_shape(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    (x,) = inputs
    channels = x.channels if args.get("channels") is None else args["channels"]
    groups = args.get("groups", 1)
    _divisible(x.channels, "its input's", groups)
    _divisible(channels, "its output's", groups)
    return Shape(channels, x.stride * args["stride"], _slide(args, x.height), _slide(args, x.width))


def _pool_shape(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    kernel, _, dilation, pad = _window(args)
    if 2 * pad > dilation * (kernel - 1) + 1:
        message = f"a pad of {pad} is more than half of its window of {dilation * (kernel - 1) + 1}"
        raise BadArgument(message, "kernel", "dilation", "pad")
    return _conv_shape(args, inputs)


def _conv_cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    groups = args.get("groups", 1)
    return Cost(macs=args["kernel"] ** 2 * (inputs[0].channels // groups) * output.elements)


def _depthwise_cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    return Cost(macs=args["kernel"] ** 2 * output.elements)


def _pool_cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    return Cost(pool=args["kernel"] ** 2 * output.elements)


def _keep(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    return inputs[0]


def _free(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    return NO_COST


def _mean_shape(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    return Shape(inputs[0].channels, 0, 1, 1)


def _resize_shape(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    (x,) = inputs
    if args["by"] is not None and args["to"] is not None:
        raise BadArgument("it is told `to` and `by` at once", "to", "by", help="leave one of them out")
    if args["by"] is not None:
        by = Fraction(args["by"])
        if not 0 < by <= 64:
            raise BadArgument(f"its factor is {by}; above 0 and up to 64 is possible", "by")
        return Shape(
            x.channels, exact(x.stride / by), max(1, math.floor(x.height * by)), max(1, math.floor(x.width * by))
        )
    if args["to"] is None:
        raise BadArgument(
            "it is not told to which size", "to", help="write `resize(to = SCALE)` or `resize(by = FACTOR)`"
        )
    return Shape(x.channels, args["to"], *args["size"])


def _groups(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    _divisible(inputs[0].channels, "its input's", args["groups"])
    return inputs[0]


def _decoder_shape(args: Args, inputs: tuple[Shape, ...]) -> Shape:
    for fine, coarse in pairwise(inputs):
        apart = coarse.stride != 2 * fine.stride and coarse.stride and fine.stride
        if coarse.channels != 2 * fine.channels or apart:
            message = f"each stream has twice the channels and the stride of the one before; after {fine} is {coarse}"
            help = f"the one after the first of these has {2 * fine.channels} channels at stride {2 * fine.stride}"
            raise BadArgument(message, help=help)
    return Shape(args["classes"], 1, *args["size"])


def _decoder_cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
    total = NO_COST
    for step, x in enumerate(inputs):
        width = x.channels if step == 0 else x.channels // 2
        total += Cost(macs=x.channels * width * x.positions, norm=width * x.positions, activation=width * x.positions)
        if step:
            total += Cost(resize=width * inputs[step - 1].positions)
    finest = inputs[0]
    return total + Cost(macs=9 * finest.channels * args["classes"] * finest.positions, resize=output.elements)


def _conv_params(args: Args, channels: tuple[int, ...]) -> int:
    groups = args.get("groups", channels[0])
    out = args.get("channels") or channels[0]
    return int(args["kernel"] ** 2 * (channels[0] // groups) * out + out * args["bias"])


def _affine_params(args: Args, channels: tuple[int, ...]) -> int:
    return 2 * channels[0]


def _decoder_params(args: Args, channels: tuple[int, ...]) -> int:
    widths = [channels[0], *(wide // 2 for wide in channels[1:])]
    steps = sum(wide * narrow + 2 * narrow for wide, narrow in zip(channels, widths, strict=True))
    return int(steps + (9 * channels[0] + 1) * args["classes"])


def _elements(column: str) -> object:
    def cost(args: Args, inputs: tuple[Shape, ...], output: Shape) -> Cost:
        return Cost(**{column: output.elements})

    return cost


_STANDARD = (
    OpEntry("identity", (), _keep, _free, f"{_LAYERS}:identity", window=lambda a: (1, 1, 1, 0), identity=True),
    OpEntry(
        "scale",
        (Parameter("weight", "number", required=True),),
        _keep,
        _free,
        f"{_LAYERS}:scale",
        window=lambda a: (1, 1, 1, 0),
    ),
    OpEntry(
        "learned",
        (Parameter("start", "number", required=True),),
        _keep,
        _free,
        f"{_LAYERS}:learned",
        window=lambda a: (1, 1, 1, 0),
        params=lambda args, channels: 1,
    ),
    OpEntry(
        "conv",
        (_KERNEL, _CHANNELS, _STRIDE, _PAD, _DILATION, Parameter("groups", "integer", 1, least=1), _BIAS),
        _conv_shape,
        _conv_cost,
        f"{_LAYERS}:conv",
        window=_window,
        params=_conv_params,
    ),
    OpEntry(
        "depthwise",
        (_KERNEL, _STRIDE, _PAD, _DILATION, _BIAS),
        _conv_shape,
        _depthwise_cost,
        f"{_LAYERS}:depthwise",
        window=_window,
        params=_conv_params,
    ),
    OpEntry(
        "batchnorm",
        (
            Parameter("eps", "number", 1e-5, least=1e-12),
            Parameter("momentum", "number", 0.1, least=0),
            Parameter("stats", "word", "all", words=("all", "active")),
        ),
        _keep,
        _elements("norm"),  # type: ignore[arg-type]
        f"{_LAYERS}:batchnorm",
        statistics="batch",
        window=lambda a: (1, 1, 1, 0),
        params=_affine_params,
    ),
    OpEntry(
        "groupnorm",
        (
            Parameter("groups", "integer", required=True, least=1),
            Parameter("eps", "number", 1e-5, least=1e-12),
            Parameter("stats", "word", "all", words=("all", "active"), by_mode=True),
        ),
        _groups,
        _elements("norm"),  # type: ignore[arg-type]
        f"{_LAYERS}:groupnorm",
        params=_affine_params,
    ),
    *(
        OpEntry(
            name,
            (),
            _keep,
            _elements("activation"),  # type: ignore[arg-type]
            f"{_LAYERS}:{name}",
            window=lambda a: (1, 1, 1, 0),
        )
        for name in ("relu", "gelu", "silu", "sigmoid", "tanh")
    ),
    OpEntry(
        "mean",
        (),
        _mean_shape,
        lambda args, inputs, output: Cost(pool=inputs[0].elements),
        f"{_LAYERS}:mean",
    ),
    *(
        OpEntry(name, parameters, _pool_shape, _pool_cost, f"{_LAYERS}:{name}", window=_window)
        for name, parameters in (
            ("maxpool", (_KERNEL, _STRIDE, _PAD, _DILATION)),
            ("avgpool", (_KERNEL, _STRIDE, _PAD)),
        )
    ),
    OpEntry(
        "resize",
        (Parameter("to", "scale"), Parameter("by", "number"), Parameter("corners", "flag", False)),
        _resize_shape,
        _elements("resize"),  # type: ignore[arg-type]
        f"{_LAYERS}:resize",
        targets=True,
    ),
    OpEntry(
        "ladder_decoder",
        (Parameter("classes", "integer", required=True, least=1),),
        _decoder_shape,
        _decoder_cost,
        f"{_LAYERS}:ladder_decoder",
        variadic=True,
        statistics="batch",
        targets=True,
        params=_decoder_params,
    ),
)


def _same(inputs: tuple[Shape, ...]) -> Shape:
    return inputs[0]


def _stacked(inputs: tuple[Shape, ...]) -> Shape:
    first = inputs[0]
    return Shape(sum(x.channels for x in inputs), first.stride, first.height, first.width)


_MERGES = (
    MergeEntry("sum", _same, "zero", "routespace.runtime.merges:add"),
    MergeEntry("max", _same, "minus_infinity", "routespace.runtime.merges:maximum"),
    MergeEntry("concat", _stacked, "zero", "routespace.runtime.merges:concat", ordered=True),
)

_GATES = "routespace.runtime.activations"
_TAU = Parameter("tau", "number", 1.5, least=0)


def _logit(args: Args, value: float) -> float:
    return math.log(value / (1 - value))


def _geretanh_inverse(args: Args, value: float) -> float:
    tau = float(args["tau"])
    return 0.5 * math.log((1 + value * math.exp(2 * tau)) / (1 - value))


_ACTIVATIONS = (
    ActivationEntry(
        "relu_tanh",
        (),
        f"{_GATES}:relu_tanh",
        (0.0, 1.0),
        closes=True,
        inverse=lambda args, value: math.atanh(value),
    ),
    ActivationEntry("geretanh", (_TAU,), f"{_GATES}:geretanh", (0.0, 1.0), closes=True, inverse=_geretanh_inverse),
    ActivationEntry("sigmoid", (), f"{_GATES}:sigmoid", (0.0, 1.0), closes=False, support="all", inverse=_logit),
    ActivationEntry(
        "softmax",
        (Parameter("temperature", "number", 1.0, least=1e-6),),
        f"{_GATES}:softmax",
        (0.0, 1.0),
        closes=False,
        support="all",
    ),
    ActivationEntry("argmax", (), f"{_GATES}:argmax", (0.0, 1.0), closes=True, support="one", straight_through=True),
    ActivationEntry(
        "threshold",
        (Parameter("at", "number", 0.5, least=1e-6, most=1 - 1e-6),),
        f"{_GATES}:threshold",
        (0.0, 1.0),
        closes=True,
        straight_through=True,
    ),
)

_LOSSES = "routespace.budgets"
for _name, _targeted in (("square", True), ("hinge", True), ("ratio", False)):
    BUDGETS.add(_name, BudgetEntry(_name, f"{_LOSSES}:{_name}", _targeted))
for _entry in _STANDARD:
    OPS.add(_entry.name, _entry)
for _merge in _MERGES:
    MERGES.add(_merge.name, _merge)
for _activation in _ACTIVATIONS:
    ACTIVATIONS.add(_activation.name, _activation)
