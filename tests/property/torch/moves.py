"""Rows that move items, indices, orders, values made of shapes."""

import torch
import torch.nn.functional as F

from recorder import *
from windows import pad_all, pair_list, word

MOVED = [f32, f64, f16, bf16, i64, i32, i16, i8, u8, boolean, c64, c128]


def permutation(n):
    return [int(a) for a in random.permutation(n)]


def shapes(family):
    for n, dtype in enumerate(MOVED):
        counts = {}

        def add(row, text, xs, y, dialect="engine"):
            counts[row] = counts.get(row, 0) + 1
            if (
                dtype == f32 or (counts[row] + n) % 5 == 0 or "complex" in row
            ):  # moves differ by the size of the items only
                family.add(row, text, xs, y, dialect=dialect, dtype=dtype if dtype in EPSILON else None)

        for dims, target, how in [
            ([2, 3, 4], [6, 4], "shape = [6, 4]"),
            ([2, 3, 4], [2, 12], "shape = [0, -1]"),
            ([], [1, 1], "shape = [1, 1]"),
            ([2, 3, 4, 5], [2, 12, 5], "shape = [12], axis_start = 1, axis_count = 2"),
            ([2, 0, 3], [2, 0], "shape = [2, -1]"),
            ([6, 2], [2, 3, 2], "shape = [2, -1], axis_start = 0, axis_count = 1"),
            ([1, 2, 1, 3, 1, 2], [2, 6], "shape = [2, 6]"),
            ([3], [3, 1], "shape = [1], axis_start = 1, axis_count = 0"),
        ]:
            x = any_values(dims, dtype)
            add("reshape", f"y0 = reshape(x0, {how});", [x], x.reshape(target))
        for rank in range(7):
            dims = shape(rank, 0 if rank > 2 else 1, 3)
            x, axes = any_values(dims, dtype), permutation(rank)
            add("transpose", f"y0 = transpose(x0, axes = {axes});", [x], x.permute(axes).contiguous())
            axis = int(random.integers(0, rank + 1))
            y = any_values(dims[:axis] + [1] + dims[axis:], dtype)
            add("squeeze", f"y0 = squeeze(x0, axes = [{axis}]);", [y], y.squeeze(axis))
            add("unsqueeze", f"y0 = unsqueeze(x0, axes = [{axis}]);", [x], x.unsqueeze(axis))
            add("copy", "y0 = copy(x0);", [x], x)
            z = any_values(dims, dtype)
            add("stack", f"y0 = stack([x0, x1], axis = {axis});", [x, z], torch.stack([x, z], axis))
            if rank:
                axis = int(random.integers(0, rank))
                parts = [any_values(dims[:axis] + [k] + dims[axis + 1 :], dtype) for k in (1, 0, 3)][
                    : 2 + rank % 2
                ]
                names = ", ".join(f"x{i}" for i in range(len(parts)))
                add("concat", f"y0 = concat([{names}], axis = {axis});", parts, torch.cat(parts, axis))
                w = any_values(dims[:axis] + [3] + dims[axis + 1 :], dtype)
                add(
                    "split",
                    f"[y0, y1] = split(x0, axis = {axis}, ratios = [1, 2]);",
                    [w],
                    torch.split(w, [1, 2], axis),
                )
                add("unstack", f"[y0, y1, y2] = unstack(x0, axis = {axis});", [w], torch.unbind(w, axis))
                repeats = shape(rank, 1, 3 if rank < 5 else 2)
                x = any_values([min(k, 2) for k in dims], dtype)
                add("tile", f"y0 = tile(x0, repeats = {repeats});", [x], x.repeat(repeats))
                add(
                    "nnefrun_dyn_tile",
                    "y0 = nnefrun_dyn_tile(x0, x1);",
                    [x, Constant(torch.tensor(repeats))],
                    x.repeat(repeats),
                )
                ones = [k if random.integers(0, 2) else 1 for k in dims]
                x = any_values(ones, dtype)
                target = [2] + dims
                if rank % 2:
                    target = dims
                add(
                    "tract_core_broadcast",
                    f"y0 = tract_core_broadcast(x0, shape = {target});",
                    [x],
                    torch.broadcast_to(x, target),
                )
        x = any_values([2, 3, 4], dtype)
        add("transpose", "y0 = transpose(x0, axes = [1, 0]);", [x], x.permute(1, 0, 2).contiguous())
        add("unsqueeze", "y0 = unsqueeze(x0, axes = [3, 0]);", [x], x[None, :, :, None])
        for begin, end, stride in [
            ([0, 1], [2, 4], [1, 1]),
            ([1, 0], [2, 4], [1, 2]),
            ([0, 1], [3, 5], [2, 3]),
            ([1, 1], [1, 4], [1, 1]),
        ]:
            x = any_values([3, 2, 5], dtype)
            length = [-(-(e - b) // s) for b, e, s in zip(begin, end, stride)]
            y = x[begin[0] : end[0] : stride[0], :, begin[1] : end[1] : stride[1]]
            add(
                "nnefrun_slice",
                f"y0 = nnefrun_slice(x0, axes = [0, 2], begin = {begin}, length = {length}, stride = {stride});",
                [x],
                y,
            )
            plain = f"y0 = slice(x0, axes = [0, 2], begin = {begin}, end = {end}, stride = {stride});"
            add("nnefrun_slice", plain, [x], y, dialect="tract")
            if dtype == f32:
                add("nnefrun_slice", plain, [x], y, dialect="khronos")
        x = any_values([3, 5], dtype)
        add(
            "nnefrun_slice",
            "y0 = nnefrun_slice(x0, axes = [1, 0], begin = [4, 2], length = [3, 3], stride = [-2, -1]);",
            [x],
            x.flip(0, 1)[:, ::2],
        )
        if dtype == f32:
            add(
                "nnefrun_slice",
                "y0 = slice(x0, axes = [1], begin = [-1], end = [-6], stride = [-1]);",
                [x],
                x.flip(1),
                dialect="khronos",
            )
        add(
            "tract_core_dyn_slice",
            "y0 = tract_core_dyn_slice(x0, x1, x2, len = 3, axis = 1);",
            [x, torch.tensor(1), torch.tensor(4)],
            x[:, 1:4],
        )
        add(
            "tract_core_downsample",
            "y0 = tract_core_downsample(x0, axis = 1, stride = 2, modulo = 1);",
            [x],
            x[:, 1::2],
        )
        add("tract_core_downsample", "y0 = tract_core_downsample(x0, axis = 0, stride = 2);", [x], x[::2])
        add(
            "tract_core_downsample",
            "y0 = tract_core_downsample(x0, axis = 1, stride = -2);",
            [x],
            x.flip(1)[:, ::2],
        )
        for dims in ([3, 4], [2, 3, 3], [1, 4, 2], [0, 2, 2]):
            k = int(random.integers(-2, 3))
            x = any_values(dims, dtype)
            for upper, function in [(True, torch.triu), (False, torch.tril)]:
                add(
                    "tract_core_trilu",
                    f"y0 = tract_core_trilu(x0, x1, upper = {word(upper)});",
                    [x, Constant(torch.tensor(k))],
                    function(x, k),
                )
        add(
            "tract_core_shape_of",
            "y0 = tract_core_shape_of(x0);",
            [any_values([2, 3, 0, 1], dtype)],
            torch.tensor([2, 3, 0, 1]),
        )
        if dtype != boolean:
            for rank in range(1, 6):
                dims = shape(rank, 2, 4)
                for border in ["constant", "replicate", "reflect", "reflect-even"]:
                    if dtype not in FLOATS and border != "constant":
                        continue
                    pads = [tuple(int(v) for v in random.integers(0, 2, 2)) for _ in dims]
                    x = any_values(dims, dtype)
                    value = [0.0, 1.5][rank % 2] if border == "constant" and dtype in FLOATS else 0.0
                    y = pad_all(x, pads, border, value)
                    add(
                        "pad",
                        f"y0 = pad(x0, padding = {pair_list(pads)}, border = '{border}', value = {value});",
                        [x],
                        y,
                    )
            x = any_values([4, 5], dtype)
            add("pad", "y0 = pad(x0, padding = [(-1, 2), (1, -3)]);", [x], F.pad(x, (1, -3, -1, 2)))
        if dtype in (c64, c128):
            add(
                "tract_core_complex_to_inner_dim",
                "y0 = tract_core_complex_to_inner_dim(x0);",
                [x],
                torch.view_as_real(x),
            )
            add(
                "tract_core_inner_dim_to_complex",
                "y0 = tract_core_inner_dim_to_complex(x0);",
                [torch.view_as_real(x).contiguous()],
                x,
            )


def indexing(family):
    for n, dtype in enumerate(MOVED):
        counts = {}

        def add(row, text, xs, y):
            counts[row] = counts.get(row, 0) + 1
            if dtype == f32 or (counts[row] + n) % 3 == 0:
                family.add(row, text, xs, y, dtype=dtype if dtype in EPSILON else None)

        for dims, axis, index in [
            ([5], 0, []),
            ([5], 0, [3]),
            ([4, 3], 1, [2, 2]),
            ([4, 3], 0, [0]),
            ([2, 3, 4, 2], 2, [3]),
            ([3, 2], 0, [2, 1, 2]),
        ]:
            x, i = any_values(dims, dtype), integers(index, i64, 0, dims[axis])
            y = x.index_select(axis, i.flatten()).reshape(dims[:axis] + index + dims[axis + 1 :])
            add("gather", f"y0 = gather(x0, x1, axis = {axis});", [x, i], y)
            add(
                "tract_core_gather",
                f"y0 = tract_core_gather(x0, x1, axis = {axis});",
                [x, Constant(i - dims[axis] * (i % 2))],
                y,
            )
        for dims, axis, index in [
            ([5], 0, [3]),
            ([4, 3], 1, [4, 6]),
            ([4, 3], 0, [2, 3]),
            ([2, 3, 4], 1, [2, 2, 4]),
            ([3, 4], 0, [0, 4]),
        ]:
            x, i = any_values(dims, dtype), integers(index, i64, 0, dims[axis])
            add(
                "tract_core_gather_elements",
                f"y0 = tract_core_gather_elements(x0, x1, axis = {axis});",
                [x, i],
                x.gather(axis, i),
            )
        x = any_values([3, 4, 2], dtype)
        i = torch.stack([integers([2, 3], i64, 0, 3), integers([2, 3], i64, 0, 4)], -1)
        add("tract_core_gather_nd", "y0 = tract_core_gather_nd(x0, x1);", [x, i], x[i[..., 0], i[..., 1]])
        i = integers([3, 5, 1], i64, 0, 4)
        add(
            "tract_core_gather_nd",
            "y0 = tract_core_gather_nd(x0, x1, batch_dims = 1);",
            [x, i],
            x[torch.arange(3)[:, None], i[..., 0]],
        )
        # Positions that are all different, so that no order matters.
        x, u = any_values([4, 5], dtype), any_values([2, 5], dtype)
        i = torch.stack([torch.randperm(4)[:2] for _ in range(5)], 1)
        add(
            "tract_core_scatter_elements",
            "y0 = tract_core_scatter_elements(x0, x1, x2, axis = 0);",
            [x, i, u],
            x.scatter(0, i, u),
        )
        u = any_values([4, 3], dtype)
        i = torch.stack([torch.randperm(5)[:3] for _ in range(4)])
        add(
            "tract_core_scatter_elements",
            "y0 = tract_core_scatter_elements(x0, x1, x2, axis = 1);",
            [x, i - 5, u],
            x.scatter(1, i, u),
        )
        x, u = any_values([4, 3, 2], dtype), any_values([5, 2], dtype)
        at = torch.randperm(12)[:5]
        i = torch.stack([at // 3, at % 3], -1)
        add(
            "tract_core_scatter_nd",
            "y0 = tract_core_scatter_nd(x0, x1, x2);",
            [x, i, u],
            x.index_put((i[:, 0], i[:, 1]), u),
        )
        if dtype in FLOATS + INTEGERS:
            for reduction, name in {"add": "sum", "mul": "prod", "min": "amin", "max": "amax"}.items():
                x, u, i = any_values([4, 5], dtype), any_values([6, 5], dtype), integers([6, 5], i64, 0, 4)
                if dtype in SHORT:  # there every step rounds: one item for each place
                    u, i = u[:2], torch.stack([torch.randperm(4)[:2] for _ in range(5)], 1)
                y = (
                    up(x).scatter_reduce(0, i, up(u), name)
                    if dtype in FLOATS
                    else x.scatter_reduce(0, i, u, name)
                )
                family.add(
                    "tract_core_scatter_elements",
                    f"y0 = tract_core_scatter_elements(x0, x1, x2, axis = 0, reduction = '{reduction}');",
                    [x, i, u],
                    y,
                    8 if dtype in FLOATS else 0,
                    scale=True,
                )
            x, u, i = any_values([5, 2], dtype), any_values([4, 2], dtype), torch.tensor([[1], [1], [4], [1]])
            if dtype not in SHORT:
                family.add(
                    "tract_core_scatter_nd",
                    "y0 = tract_core_scatter_nd(x0, x1, x2, reduction = 'add');",
                    [x, i, u],
                    (
                        up(x).index_put((i[:, 0],), up(u), accumulate=True)
                        if dtype in FLOATS
                        else x.index_put((i[:, 0],), u, accumulate=True)
                    ),
                    8 if dtype in FLOATS else 0,
                    scale=True,
                )
            for dims, axis in [([7], 0), ([3, 6], 1), ([6, 2], 0), ([2, 5, 2], 1)]:
                n = int(torch.tensor(dims).prod())
                x = (torch.randperm(n) - n // 2 * (dtype != u8)).reshape(dims).to(dtype)
                k = int(random.integers(1, dims[axis] + 1))
                for largest in (True, False):
                    values, index = x.topk(k, axis, largest)
                    add(
                        "tract_core_topk",
                        f"(y0, y1) = tract_core_topk(x0, x1, axis = {axis}, largest = {word(largest)});",
                        [x, Constant(torch.tensor(k))],
                        [values, index],
                    )
                    x = x.clamp(max=3)  # equal items keep their order
                    index = x.argsort(stable=True, dim=axis, descending=largest)
                    add(
                        "tract_core_topk",
                        f"(y0, y1) = tract_core_topk(x0, x1, axis = {axis}, largest = {word(largest)});",
                        [x, Constant(torch.tensor(dims[axis]))],
                        [x.gather(axis, index), index],
                    )
            x = any_values([3, 4], dtype) * bools([3, 4]).to(dtype)
            add("tract_onnx_non_zero", "y0 = tract_onnx_non_zero(x0);", [x], x.nonzero().T.contiguous())
    for dims, axis in [([], 0), ([4], 1), ([4], 0), ([2, 3], 1), ([2, 0], 2)]:
        i = integers(dims, i64, 0, 5)
        y = F.one_hot(i, 5).movedim(-1, axis)
        for off, on in [(0.0, 1.0), (-1.5, 2.5)]:
            family.add(
                "tract_core_one_hot",
                f"y0 = tract_core_one_hot(x0, axis = {axis}, dim = 5, value_off = {off}, value_on = {on});",
                [i],
                torch.where(y == 1, torch.tensor(on), torch.tensor(off)),
                dtype=f32,
            )
    for start, end, step in [(0, 5, 1), (3, 20, 4), (2, 2, 1), (-5, 7, 3), (5, -4, -2), (5, -5, -1)]:
        for dtype in (i64, i32):
            y = torch.arange(start, end, step, dtype=dtype)
            family.add(
                "tract_core_range",
                "y0 = tract_core_range(x0, x1, x2);",
                [Constant(torch.tensor(v, dtype=dtype)) for v in (start, end, step)],
                y,
            )
        for dtype in (f32, f64):
            a, b, s = start + 0.25, end + 0.125, step * 0.5
            if (b - a) * s < 0:
                continue
            family.add(
                "tract_core_range",
                "y0 = tract_core_range(x0, x1, x2);",
                [Constant(torch.tensor(v, dtype=dtype)) for v in (a, b, s)],
                torch.arange(a, b, s, dtype=dtype),
                4,
                scale=True,
            )
    values, fallback = noise([6]), torch.tensor(-7.0)
    i = integers([3, 4], i64, 0, 9)
    family.add(
        "tract_onnx_ml_direct_lookup",
        "y0 = tract_onnx_ml_direct_lookup(x0, x1, x2);",
        [i, Constant(values), Constant(fallback)],
        torch.where(i < 6, values[i.clamp(max=5)], fallback),
    )
    keys = torch.randperm(9)[:5]
    x = integers([3, 4], i64, 0, 9)
    found = x[..., None] == keys
    family.add(
        "tract_onnx_ml_reverse_lookup",
        "y0 = tract_onnx_ml_reverse_lookup(x0, x1, x2);",
        [x, Constant(keys), Constant(torch.tensor(-1, dtype=i32))],
        torch.where(found.any(-1), found.to(i64).argmax(-1), -1).to(i32),
    )


def families():
    for name, generate in {"shapes": shapes, "indexing": indexing}.items():
        family = Family(name)
        generate(family)
        yield family
