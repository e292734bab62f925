"""Boxes, pools, samples and their reverse; resampling."""

import torch
import torch.nn.functional as F

from products import automatic, padded, pair_list, word
from recorder import *

BORDERS = ["constant", "ignore", "replicate", "reflect", "reflect-even"]
AVG = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAX = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def windows(x, f, s, d):
    """[..., taps]: the taps of each window of the (already padded) tensor, over all axes."""
    rank = x.ndim
    for axis in range(rank):
        n = (x.shape[axis] - (f[axis] - 1) * d[axis] - 1) // s[axis] + 1
        at = torch.arange(n)[:, None] * s[axis] + torch.arange(f[axis])[None, :] * d[axis]
        x = x.index_select(axis, at.flatten()).unflatten(axis, at.shape).movedim(axis + 1, -1)
    return x.flatten(rank)


def pool_case(rank, low=0):
    """Extents and geometry over all axes, every window with at least one cell inside."""
    while True:
        spatial = rank - low
        dims, f = shape(rank, 2, 6 if rank < 4 else 4), [1] * low + shape(spatial, 1, 3)
        s, d = [1] * low + shape(spatial, 1, 3), [1] * low + shape(spatial, 1, 2)
        pads = [(0, 0)] * low + [tuple(int(n) for n in random.integers(0, 3, 2)) for _ in range(spatial)]
        if any(x + p + q < (k - 1) * e + 1 for x, (p, q), k, e in zip(dims, pads, f, d)):
            continue
        if any(max(pair) >= x for x, pair in zip(dims, pads)):
            continue
        mask = windows(pad_all(torch.ones(dims), pads), f, s, d)
        if bool(mask.any(-1).all()):
            return dims, f, s, d, pads


def pad_all(x, pads, border="constant", value=0.0):
    """`padded` over all axes."""
    if border in ("replicate", "reflect"):
        for axis, pair in enumerate(pads):  # one axis at a time: PyTorch pads the last ones only
            if pair != (0, 0):
                y = x.movedim(axis, -1)
                x = (
                    padded(y.reshape(1, -1, y.shape[-1]), [pair], border)
                    .reshape(list(y.shape[:-1]) + [-1])
                    .movedim(-1, axis)
                )
        return x
    return padded(x[None, None], pads, border, value)[0, 0]


def geometry(f, s, d, pads, border):
    return f"size = {f}, border = '{border}', padding = {pair_list(pads)}, stride = {s}, dilation = {d}"


def pools(family):
    for count in range(42):
        rank = [4, 3, 5, 2, 4, 1][count % 6]
        low = 2 if rank > 2 and count % 4 else 0
        border = BORDERS[count // 2 % 5]
        dtype = FLOATS[[1, 1, 1, 0, 2, 3][count // 6 % 6]]
        dims, f, s, d, pads = pool_case(rank, low)
        x = noise(dims, dtype)
        how = geometry(f, s, d, pads, border)
        if count % 9 == 0:
            border = "constant"
            pads = [automatic(*g) for g in zip(dims, f, s, d)]
            how = f"size = {f}, stride = {s}, dilation = {d}"
        taps = int(torch.tensor(f).prod())
        if border == "ignore":
            wide = pad_all(up(x), pads, value=float("-inf"))
            inside = windows(pad_all(torch.ones(dims, dtype=f64), pads), f, s, d).sum(-1)
        else:
            wide, inside = pad_all(up(x), pads, border), taps
        cells = windows(wide, f, s, d)
        zeroed = cells.masked_fill(cells.isinf(), 0.0)
        best, index = cells.amax(-1), (cells == cells.amax(-1, keepdim=True)).to(i64).argmax(-1)
        if (
            low == 2
            and border == "ignore"
            and all(2 * max(pair) <= k for pair, k in zip(pads, f))
            and all(p == q for p, q in pads)
        ):
            spatial = [v[2:] for v in (f, s, [p for p, _ in pads], d)]
            assert torch.equal(best, MAX[rank - 2](up(x), *spatial[:3], dilation=spatial[3]))
        if (
            low == 2
            and set(d) == {1}
            and border in ("ignore", "constant")
            and all(p == q and 2 * p <= k for (p, q), k in zip(pads, f))
        ):
            spatial = [v[2:] for v in (f, s, [p for p, _ in pads])]
            assert torch.allclose(
                zeroed.sum(-1) / inside,
                AVG[rank - 2](up(x), *spatial, count_include_pad=border == "constant"),
            )
        family.add("box", f"y0 = box(x0, {how});", [x], zeroed.sum(-1), 4, scale=zeroed.abs().sum(-1))
        family.add(
            "box", f"y0 = box(x0, {how}, normalize = true);", [x], zeroed.sum(-1) / inside, 4, scale=True
        )
        family.add("avg_pool", f"y0 = avg_pool(x0, {how});", [x], zeroed.sum(-1) / inside, 4, scale=True)
        family.add("rms_pool", f"y0 = rms_pool(x0, {how});", [x], ((zeroed**2).sum(-1) / inside).sqrt(), 6)
        family.add("max_pool", f"y0 = max_pool(x0, {how});", [x], best)
        family.add("max_pool_with_index", f"(y0, y1) = max_pool_with_index(x0, {how});", [x], [best, index])
        if count % 2:
            family.add("argmax_pool", f"y0 = argmax_pool(x0, {how});", [x], index)
        if border != "ignore":
            picked = torch.from_numpy(random.integers(0, taps, list(cells.shape[:-1])))
            family.add(
                "sample",
                f"y0 = sample(x0, x1, {how});",
                [x, picked],
                cells.gather(-1, picked[..., None])[..., 0],
            )
        if border == "constant":
            # The reverse operators are the gradients of the others.
            source = torch.zeros(dims, dtype=f64, requires_grad=True)
            down = windows(pad_all(source, pads), f, s, d)
            v = noise(list(down.shape[:-1]), dtype)
            (back,) = torch.autograd.grad(down.sum(-1), source, up(v), retain_graph=True)
            family.add(
                "debox", f"y0 = debox(x0, {how}, output_shape = {dims});", [v], back, 4, scale=float(taps)
            )
            family.add(
                "debox",
                f"y0 = debox(x0, {how}, output_shape = {dims}, normalize = true);",
                [v],
                back / taps,
                4,
                scale=1.0,
            )
            picked = torch.from_numpy(random.integers(0, taps, list(down.shape[:-1])))
            (back,) = torch.autograd.grad(down.gather(-1, picked[..., None])[..., 0], source, up(v))
            family.add(
                "desample",
                f"y0 = desample(x0, x1, {how}, output_shape = {dims});",
                [v, picked],
                back,
                4,
                scale=float(taps),
            )
    for rank in (1, 2, 3):
        for count in range(5):
            dims, f, s, d, pads = pool_case(rank + 2, 2)
            if any(p != q or 2 * p > k for (p, q), k in zip(pads, f)):
                pads = [(k // 2, k // 2) if n > 1 else (0, 0) for k, n in zip(f, dims)]
                if any(x + p + q < (k - 1) * e + 1 for x, (p, q), k, e in zip(dims, pads, f, d)):
                    continue
            x = noise(dims, [f32, f32, f64, f16, bf16][count])
            y, index = MAX[rank](up(x), f[2:], s[2:], [p for p, _ in pads][2:], d[2:], return_indices=True)
            family.add(
                "nnefrun_max_pool_with_plane_index",
                "(y0, y1) = nnefrun_max_pool_with_plane_index(x0, " f"{geometry(f, s, d, pads, 'ignore')});",
                [x],
                [y, index],
            )
            if count == 0:
                family.add(
                    "nnefrun_max_pool_with_plane_index",
                    f"(y0, y1) = max_pool_with_index(x0, " f"{geometry(f, s, d, pads, 'constant')});",
                    [x],
                    [y, index],
                    dialect="tract",
                )


LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def resampling(family):
    for rank in (1, 2, 3):
        for dtype in FLOATS if rank == 2 else [f32]:
            factor = shape(rank, 1, 4)
            small = [2, 3] + shape(rank, 1, 4)
            large = small[:2] + [n * k for n, k in zip(small[2:], factor)]
            x, z = noise(small, dtype), noise(large, dtype)
            family.add(
                "nearest_downsample",
                f"y0 = nearest_downsample(x0, factor = {factor});",
                [z],
                F.interpolate(up(z), small[2:], mode="nearest"),
            )
            family.add(
                "area_downsample",
                f"y0 = area_downsample(x0, factor = {factor});",
                [z],
                F.interpolate(up(z), small[2:], mode="area"),
                4,
                scale=True,
            )
            family.add(
                "nearest_upsample",
                f"y0 = nearest_upsample(x0, factor = {factor});",
                [x],
                F.interpolate(up(x), large[2:], mode="nearest"),
            )
            for method, aligned_corners in [("symmetric", False), ("aligned", True)]:
                family.add(
                    "multilinear_upsample",
                    f"y0 = multilinear_upsample(x0, factor = {factor}, method = '{method}', "
                    "border = 'replicate');",
                    [x],
                    F.interpolate(up(x), large[2:], mode=LINEAR[rank], align_corners=aligned_corners),
                    8,
                    scale=True,
                )
    for rank in (1, 2, 3):
        for dtype in (f32, f16) if rank == 2 else (f32,):
            for _ in range(3):
                dims = [1, 2] + shape(rank, 2, 5)
                target = dims[:2] + shape(rank, 2, 8)
                x, sizes = noise(dims, dtype), Constant(torch.tensor(target))
                for transform, aligned_corners in [("half_pixel", False), ("align_corners", True)]:
                    how = f"coord_transformer = '{transform}', interpolator = "
                    y = F.interpolate(up(x), target[2:], mode=LINEAR[rank], align_corners=aligned_corners)
                    call = "y0 = tract_core_resize(x0, sizes = x1, " + how
                    family.add("tract_core_resize", call + "'linear');", [x, sizes], y, 16, scale=True)
                    if rank == 2:
                        y = F.interpolate(up(x), target[2:], mode="bicubic", align_corners=aligned_corners)
                        family.add("tract_core_resize", call + "'cubic');", [x, sizes], y, 32, scale=True)
                y = F.interpolate(up(x), target[2:], mode="nearest-exact")
                family.add(
                    "tract_core_resize",
                    "y0 = tract_core_resize(x0, sizes = x1, coord_transformer = "
                    "'tf_half_pixel_for_nn', interpolator = 'nearest', nearest_mode = 'floor');",
                    [x, sizes],
                    y,
                )
                y = F.interpolate(up(x), [3 * n for n in dims[2:]], mode="nearest")
                scales = Constant(torch.tensor([1.0, 1.0] + [3.0] * rank))
                family.add(
                    "tract_core_resize",
                    "y0 = tract_core_resize(x0, scales = x1, coord_transformer = 'asymmetric', "
                    "interpolator = 'nearest', nearest_mode = 'floor');",
                    [x, scales],
                    y,
                )
                family.add(
                    "tract_onnx_resize",
                    "y0 = tract_onnx_resize(x0, x1, coord_transformer = 'asymmetric', "
                    "interpolator = 'nearest', nearest_mode = 'floor');",
                    [x, scales],
                    y,
                )
                for transform, aligned_corners in [("half_pixel", False), ("align_corners", True)]:
                    y = F.interpolate(
                        up(x), [2 * n for n in dims[2:]], mode=LINEAR[rank], align_corners=aligned_corners
                    )
                    scales = Constant(torch.tensor([1.0, 1.0] + [2.0] * rank))
                    family.add(
                        "tract_onnx_resize",
                        f"y0 = tract_onnx_resize(x0, x1, coord_transformer = '{transform}', "
                        "interpolator = 'linear');",
                        [x, scales],
                        y,
                        16,
                        scale=True,
                    )
                if rank == 2:
                    y = F.interpolate(up(x), scale_factor=2.0, mode="bicubic", align_corners=False)
                    family.add(
                        "tract_onnx_resize",
                        "y0 = tract_onnx_resize(x0, x1, interpolator = 'cubic');",
                        [x, scales],
                        y,
                        32,
                        scale=True,
                    )
    for dims, factor in [([1, 2, 8, 12], 4), ([2, 1, 9, 6], 3)]:
        x, scales = noise(dims), Constant(torch.tensor([1.0, 1.0, 1 / factor, 1 / factor]))
        target = [n // factor for n in dims[2:]]
        for mode, a in [("bilinear", -0.75), ("bicubic", -0.5)]:
            y = F.interpolate(up(x), target, mode=mode, align_corners=False, antialias=True)
            family.add(
                "tract_onnx_resize",
                "y0 = tract_onnx_resize(x0, x1, antialias = true, exclude_outside = true, "
                f"interpolator = '{mode[2:] if mode == 'bilinear' else 'cubic'}', cubic_coeff_a = {a});",
                [x, scales],
                y,
                32,
                scale=True,
            )


def grids(family):
    for rank in (2, 3):
        for dtype in (f32, f64, f16) if rank == 2 else (f32,):
            for mode in ("bilinear", "nearest", "bicubic") if rank == 2 else ("bilinear", "nearest"):
                for padding in ("zeros", "border", "reflection"):
                    if mode == "bicubic" and padding == "border":
                        continue  # tract clamps the coordinates too
                    for corners in (False, True):
                        x = noise([2, 2] + shape(rank, 2, 5), dtype)
                        grid = floats([2] + shape(rank, 2, 4) + [rank], dtype, -1.6, 1.6)
                        y = F.grid_sample(up(x), up(grid), mode, padding, corners)
                        # An error of the coordinate counts with the slope and the extent.
                        family.add(
                            "tract_core_grid_sample",
                            f"y0 = tract_core_grid_sample(x0, x1, mode = '{mode}', "
                            f"padding_mode = '{padding}', align_corners = {word(corners)});",
                            [x, grid],
                            y,
                            64,
                            scale=True,
                        )


def families():
    for name, generate in {"pools": pools, "resampling": resampling, "grids": grids}.items():
        family = Family(name)
        generate(family)
        yield family
