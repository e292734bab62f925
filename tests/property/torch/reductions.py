"""Reductions, soft maxima, normalisations."""

import torch
import torch.nn.functional as F

from recorder import *

# shape and axes
REGIONS = [
    ([], []),
    ([5], [0]),
    ([3, 4], []),
    ([3, 4], [1]),
    ([3, 4], [0, 1]),
    ([2, 3, 4], [0, 2]),
    ([2, 1, 3, 2], [1, 2]),
    ([2, 3, 2, 1, 2, 3], [1, 3, 5]),
    ([0, 3], [1]),
    ([3, 0, 2], [2]),
    ([2, 3, 37], [2]),
    ([37, 5], [0]),
    ([4, 9, 8], [1]),
]
EMPTY = [([3, 0], [1]), ([0], [0]), ([2, 0, 3], [0, 1])]


def reduced(function, x, axes):
    for axis in axes:
        x = function(x, axis)
    return x


def flat_index(function, x, axes):
    """Index in the flattened reduced axes; kept as extents of 1."""
    others = [a for a in range(x.ndim) if a not in axes]
    y = x.permute(others + axes).flatten(len(others))
    index = function(y)
    return index.reshape([1 if a in axes else n for a, n in enumerate(x.shape)])


def first_index(largest):
    def index(y):
        best = y.amax(-1, keepdim=True) if largest else y.amin(-1, keepdim=True)
        return (y == best).to(i64).argmax(-1)  # the first of equal ones; argmax itself promises none

    return index


def last_index(largest):
    def index(y):
        return y.shape[-1] - 1 - first_index(largest)(y.flip(-1))

    return index


def reductions(family):
    for dtype in FLOATS:
        picked = REGIONS + EMPTY if dtype == f32 else [REGIONS[i] for i in (1, 5, 7, 10, 11)] + EMPTY[:1]
        for dims, axes in picked:
            x = noise(dims, dtype)
            size = (
                torch.tensor(0.0)
                if x.numel() == 0
                else up(x).abs().sum(axes, keepdim=True) if axes else up(x).abs()
            )
            s = up(x).sum(axes, keepdim=True) if axes else up(x)
            family.add("sum_reduce", f"y0 = sum_reduce(x0, axes = {axes});", [x], s, 2, scale=size)
            if (dims, axes) not in EMPTY:
                mean = up(x).mean(axes, keepdim=True) if axes else up(x)
                family.add(
                    "sum_reduce",
                    f"y0 = sum_reduce(x0, axes = {axes}, normalize = true);",
                    [x],
                    mean,
                    4,
                    scale=True,
                )
                family.add("mean_reduce", f"y0 = mean_reduce(x0, axes = {axes});", [x], mean, 4, scale=True)
                variance = (
                    (up(x) - mean).square().mean(axes, keepdim=True) if axes else torch.zeros_like(up(x))
                )
                family.add(
                    "moments", f"(y0, y1) = moments(x0, axes = {axes});", [x], [mean, variance], 8, scale=4.0
                )
                family.add(
                    "max_reduce",
                    f"y0 = max_reduce(x0, axes = {axes});",
                    [x],
                    torch.amax(x, axes, True) if axes else x,
                )
                family.add(
                    "min_reduce",
                    f"y0 = min_reduce(x0, axes = {axes});",
                    [x],
                    torch.amin(x, axes, True) if axes else x,
                )
            p = floats(dims, dtype, 0.5, 1.6)
            product = reduced(lambda v, a: torch.prod(v, a, keepdim=True), up(p), axes)
            family.add(
                "tract_core_product_reduce",
                f"y0 = tract_core_product_reduce(x0, axes = {axes});",
                [p],
                product,
                2 if dtype in SHORT else 16,
            )
            if axes and (dims, axes) not in EMPTY:
                for draw in (lambda: noise(dims, dtype), lambda: integers(dims, i64, 0, 3).to(dtype)):
                    v = draw()
                    for row, index in {
                        "argmax_reduce": first_index(True),
                        "argmin_reduce": first_index(False),
                        "tract_core_argmax_reduce_last": last_index(True),
                        "tract_core_argmin_reduce_last": last_index(False),
                    }.items():
                        family.add(row, f"y0 = {row}(x0, axes = {axes});", [v], flat_index(index, v, axes))
                x = noise(dims, dtype)
                l1 = up(x) / torch.clamp(up(x).abs().sum(axes, keepdim=True) + 0.25, min=0.5)
                family.add(
                    "l1_normalization",
                    f"y0 = l1_normalization(x0, axes = {axes}, bias = 0.25, epsilon = 0.5);",
                    [x],
                    l1,
                    6,
                    scale=True,
                )
                l2 = up(x) / torch.clamp(torch.linalg.vector_norm(up(x), dim=axes, keepdim=True), min=1e-12)
                family.add(
                    "l2_normalization",
                    f"y0 = l2_normalization(x0, axes = {axes}, epsilon = 1e-12);",
                    [x],
                    l2,
                    6,
                    scale=True,
                )
        x = specials(dtype)[:6]
        family.add("sum_reduce", "y0 = sum_reduce(x0, axes = [0]);", [x], up(x).sum(0, keepdim=True))
        x = torch.tensor(
            [[float("inf"), 1, 2], [float("-inf"), float("inf"), 0], [float("nan"), 1, 1], [1, -2, 3]],
            dtype=dtype,
        )
        family.add("sum_reduce", "y0 = sum_reduce(x0, axes = [1]);", [x], up(x).sum(1, keepdim=True))
        family.add(
            "max_reduce", "y0 = max_reduce(x0, axes = [1]);", [x[[0, 1, 3]]], x[[0, 1, 3]].amax(1, True)
        )
        family.add(
            "min_reduce", "y0 = min_reduce(x0, axes = [1]);", [x[[0, 1, 3]]], x[[0, 1, 3]].amin(1, True)
        )
    for dtype in INTEGERS:
        for dims, axes in [([3, 4], [1]), ([2, 3, 4], [0, 2]), ([7], [0]), ([3, 0], [1])]:
            x = integers(dims, dtype, -3, 4)
            family.add(
                "sum_reduce",
                f"y0 = sum_reduce(x0, axes = {axes});",
                [x],
                reduced(lambda v, a: v.sum(a, keepdim=True).to(dtype), x, axes),
            )
            family.add(
                "tract_core_product_reduce",
                f"y0 = tract_core_product_reduce(x0, axes = {axes});",
                [x],
                reduced(lambda v, a: v.prod(a, keepdim=True).to(dtype), x, axes),
            )
            if 0 not in dims:
                family.add(
                    "max_reduce", f"y0 = max_reduce(x0, axes = {axes});", [x], torch.amax(x, axes, True)
                )
                family.add(
                    "min_reduce", f"y0 = min_reduce(x0, axes = {axes});", [x], torch.amin(x, axes, True)
                )
                family.add(
                    "argmax_reduce",
                    f"y0 = argmax_reduce(x0, axes = {axes});",
                    [x],
                    flat_index(first_index(True), x, axes),
                )
                family.add(
                    "argmin_reduce",
                    f"y0 = argmin_reduce(x0, axes = {axes});",
                    [x],
                    flat_index(first_index(False), x, axes),
                )
    for dims, axes in REGIONS + EMPTY:
        x = bools(dims)
        for row, function in {"all_reduce": torch.all, "any_reduce": torch.any}.items():
            family.add(
                row,
                f"y0 = {row}(x0, axes = {axes});",
                [x],
                reduced(lambda v, a: function(v, a, keepdim=True), x, axes),
            )


def joint(function, x, axes):
    """function(y, axis) over several axes as if they were one."""
    others = [a for a in range(x.ndim) if a not in axes]
    order = others + axes
    y = x.permute(order)
    z = function(y.flatten(len(others)), -1).reshape(y.shape)
    return z.permute([order.index(a) for a in range(x.ndim)])


def softmaxes(family):
    for dtype in FLOATS:
        for dims, axes in [
            ([7], [0]),
            ([3, 5], [1]),
            ([3, 5], [0]),
            ([2, 3, 4], [1, 2]),
            ([2, 3, 4], [0, 2]),
            ([2, 3, 2, 2], [1]),
            ([2, 33], [1]),
            ([2, 1, 3], [1]),
            ([0, 3], [1]),
            ([2, 1, 2, 3, 1, 2], [3, 5]),
        ]:
            for x in [noise(dims, dtype), noise(dims, dtype) * 30]:
                family.add(
                    "softmax",
                    f"y0 = softmax(x0, axes = {axes});",
                    [x],
                    joint(torch.softmax, up(x), axes),
                    6,
                    scale=1.0,
                )
                family.add(
                    "tract_core_log_softmax",
                    f"y0 = tract_core_log_softmax(x0, axes = {axes});",
                    [x],
                    joint(torch.log_softmax, up(x), axes),
                    4,
                    scale=True,
                )
        x = torch.tensor(
            [
                [1, float("-inf"), 2],
                [0, float("-inf"), float("-inf")],
                [float("-inf")] * 3,
                [float("nan"), 1, 2],
                [1e4, 1e4, -1e4],
            ],
            dtype=dtype,
        )
        family.add("softmax", "y0 = softmax(x0, axes = [1]);", [x], torch.softmax(up(x), 1), 4, scale=1.0)
        family.add(
            "tract_core_log_softmax",
            "y0 = tract_core_log_softmax(x0, axes = [1]);",
            [x],
            torch.log_softmax(up(x), 1),
            4,
            scale=True,
        )


def normalizations(family):
    for dtype in FLOATS:
        for dims, count in [
            ([3, 8], 1),
            ([2, 3, 5], 1),
            ([2, 3, 5], 2),
            ([2, 2, 3, 4], 3),
            ([6], 1),
            ([2, 37], 1),
        ]:
            x = noise(dims, dtype) * 3 + 1
            axes = list(range(len(dims) - count, len(dims)))
            tail = dims[len(dims) - count :]
            plain = F.layer_norm(up(x), tail, eps=1e-5)
            family.add(
                "nnefrun_layer_norm", f"y0 = nnefrun_layer_norm(x0, axes = {axes});", [x], plain, 8, scale=2.0
            )
            w, b = noise(tail, dtype), noise(tail, dtype)
            lead = [1] * (len(dims) - count) + tail
            family.add(
                "nnefrun_layer_norm",
                f"y0 = nnefrun_layer_norm(x0, x1, x2, axes = {axes}, eps = 0.001);",
                [x, Constant(w.reshape(lead)), Constant(b.reshape(lead))],
                F.layer_norm(up(x), tail, up(w), up(b), eps=0.001),
                8,
                scale=4.0,
            )
            last = len(dims) - 1
            rms = F.rms_norm(up(x), dims[-1:], eps=1e-6)
            family.add("tract_core_rms_norm", f"y0 = tract_core_rms_norm(x0, axis = {last});", [x], rms, 8)
            w = noise(dims[-1:], dtype)
            family.add(
                "nnefrun_rms_norm",
                f"y0 = nnefrun_rms_norm(x0, x1, axis = {last}, eps = 0.01);",
                [x, w.reshape([1] * last + dims[-1:])],
                F.rms_norm(up(x), dims[-1:], up(w), eps=0.01),
                8,
            )
            family.add("nnefrun_rms_norm", f"y0 = nnefrun_rms_norm(x0, axis = {last});", [x], rms, 8)
        for dims in [[2, 3], [2, 3, 5], [2, 3, 4, 2], [1, 2, 2, 2, 3]]:
            x, c = noise(dims, dtype), dims[1]
            mean, offset, scale = (noise([1, c], dtype) for _ in range(3))
            variance = floats([1, c], dtype, 0.1, 2)
            y = F.batch_norm(up(x), up(mean)[0], up(variance)[0], up(scale)[0], up(offset)[0], eps=0.001)
            family.add(
                "batch_normalization",
                "y0 = batch_normalization(x0, x1, x2, x3, x4, epsilon = 0.001);",
                [x] + [Constant(t) for t in (mean, variance, offset, scale)],
                y,
                16,
                scale=4.0,
            )
        for dims, size in [([2, 5, 3], 3), ([1, 7, 2, 2], 5), ([2, 4], 3), ([1, 3, 2, 2, 2], 1)]:
            x = noise(dims, dtype)
            # PyTorch puts the shorter half behind; for odd sizes both are equal.
            if len(dims) > 2:
                y = F.local_response_norm(up(x), size, alpha=0.3, beta=0.75, k=1.5)
            else:
                y = F.local_response_norm(up(x)[:, :, None], size, alpha=0.3, beta=0.75, k=1.5)[:, :, 0]
            sizes = [1, size] + [1] * (len(dims) - 2)
            family.add(
                "local_response_normalization",
                f"y0 = local_response_normalization(x0, size = {sizes}, alpha = 0.3, "
                "beta = 0.75, bias = 1.5);",
                [x],
                y,
                8,
            )
            family.add(
                "tract_onnx_lrn",
                f"y0 = tract_onnx_lrn(x0, alpha = 0.3, beta = 0.75, bias = 1.5, size = {size});",
                [x],
                y,
                8,
            )
        x = noise([2, 3, 5, 6], dtype)
        local = F.avg_pool2d(up(x), (3, 5), 1, (1, 2))
        power = F.avg_pool2d(up(x) ** 2, (3, 5), 1, (1, 2))
        family.add(
            "local_mean_normalization",
            "y0 = local_mean_normalization(x0, size = [1, 1, 3, 5]);",
            [x],
            up(x) - local,
            4,
            scale=2.0,
        )
        family.add(
            "local_variance_normalization",
            "y0 = local_variance_normalization(x0, size = [1, 1, 3, 5], bias = 0.1, " "epsilon = 0.6);",
            [x],
            up(x) / torch.clamp(power.sqrt() + 0.1, min=0.6),
            8,
            scale=2.0,
        )
        centred = up(x) - local
        power = F.avg_pool2d(centred**2, (3, 5), 1, (1, 2))
        family.add(
            "local_contrast_normalization",
            "y0 = local_contrast_normalization(x0, size = [1, 1, 3, 5], bias = 0.1, " "epsilon = 0.6);",
            [x],
            centred / torch.clamp(power.sqrt() + 0.1, min=0.6),
            16,
            scale=4.0,
        )


def families():
    for name, generate in {
        "reductions": reductions,
        "softmaxes": softmaxes,
        "normalizations": normalizations,
    }.items():
        family = Family(name)
        generate(family)
        yield family
