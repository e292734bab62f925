"""Matrix products, einsum, convolutions and their transposes."""

import torch
import torch.nn.functional as F

from recorder import *

ACTIVATIONS = {
    "relu": (torch.relu, ""),
    "clamp": (lambda x: x.clamp(-0.5, 0.75), ", alpha = -0.5, beta = 0.75"),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.125), ", alpha = 0.125"),
    "elu": (lambda x: F.elu(x, 0.5), ", alpha = 0.5"),
    "sigmoid": (torch.sigmoid, ""),
    "tanh": (torch.tanh, ""),
    "silu": (F.silu, ""),
    "gelu_erf": (F.gelu, ""),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), ""),
    "hard_swish": (F.hardswish, ""),
}


def word(flag):
    return "true" if flag else "false"


def matmuls(family):
    sizes = [
        ([], [], 2, 3, 4),
        ([], [], 1, 5, 1),
        ([2], [2], 3, 1, 2),
        ([2], [1], 3, 4, 5),
        ([1], [3], 4, 2, 1),
        ([2, 1], [1, 3], 2, 3, 2),
        ([1, 2, 1, 2], [2, 1, 2, 2], 2, 2, 2),
        ([], [], 3, 0, 2),
        ([0], [1], 2, 3, 2),
        ([], [], 0, 3, 2),
        ([], [], 13, 37, 19),
        ([], [], 1, 33, 17),
        ([2], [2], 9, 8, 35),
    ]
    for dtype in FLOATS:
        for n, (a, b, m, k, p) in enumerate(sizes):
            if dtype != f32 and n % 3:
                continue
            for ta, tb in (
                [(False, False), (True, False), (False, True), (True, True)]
                if n < 5
                else [(False, n % 2 == 1)]
            ):
                x, y = noise(a + [m, k], dtype), noise(b + [k, p], dtype)
                z, size = up(x) @ up(y), up(x).abs() @ up(y).abs()
                x = x.mT.contiguous() if ta else x
                y = y.mT.contiguous() if tb else y
                family.add(
                    "matmul",
                    f"y0 = matmul(x0, x1, transposeA = {word(ta)}, transposeB = {word(tb)});",
                    [x, Constant(y)],
                    z,
                    4,
                    scale=size,
                )
        x, w, b = noise([3, 7], dtype), noise([5, 7], dtype), noise([1, 5], dtype)
        size = F.linear(up(x).abs(), up(w).abs(), up(b)[0].abs())
        family.add(
            "linear",
            "y0 = linear(x0, x1, x2);",
            [x, Constant(w), Constant(b)],
            F.linear(up(x), up(w), up(b)[0]),
            4,
            scale=size,
        )
        family.add(
            "linear",
            "y0 = linear(x0, x1);",
            [x, Constant(w)],
            F.linear(up(x), up(w)),
            4,
            scale=size,
            dialect="tract",
        )
        for name, (function, attributes) in ACTIVATIONS.items():
            x, w = noise([2, 4, 6], dtype), noise([1, 6, 9], dtype)
            b, r = noise([1, 1, 9], dtype), noise([2, 4, 9], dtype)
            z = up(x) @ up(w)
            family.add(
                "nnefrun_matmul",
                f"y0 = nnefrun_matmul(x0, x1, x2, x3, activation = '{name}'{attributes});",
                [x, Constant(w), Constant(b), r],
                function(z + up(b) + up(r)),
                8,
                scale=up(x).abs() @ up(w).abs() + 2,
            )
            family.add(
                "nnefrun_matmul",
                f"y0 = nnefrun_matmul(x0, x1, transposeB = true, activation = '{name}'{attributes});",
                [x, w.mT.contiguous()],
                function(z),
                8,
                scale=up(x).abs() @ up(w).abs(),
            )
    for dtype in (i8, u8):
        x, y = integers([2, 3, 9], dtype, -128, 128), integers([2, 9, 4], dtype, -128, 128)
        z = (x.to(i64) @ y.to(i64)).to(i32)
        family.add("matmul", "y0 = matmul(x0, x1);", [x, y], z)
    # tract's old product with the places of the axes: m, k of the first; k, n of the second; m, n of the result
    x, y = noise([5, 2, 3]), noise([2, 4, 5])
    family.add(
        "tract_core_matmul",
        "y0 = tract_core_matmul(x0, x1, axes = [2, 0, 2, 1, 2, 1]);",
        [x, y],
        torch.einsum("kbm,bnk->bnm", up(x), up(y)),
        4,
        scale=8.0,
    )


EINSUMS = [
    "ij,jk->ik",
    "ij,kj->ik",
    "bij,bjk->bik",
    "ij->ji",
    "ij->",
    "ij->i",
    "ii->i",
    "ii->",
    "iij->j",
    "i,j->ij",
    "i,i->",
    "i,i->i",
    "ij,ij->ij",
    "ij,j->i",
    "ij,jk,kl->il",
    "bhqd,bhkd->bhqk",
    "bhqk,bhkd->bqhd",
    "abc,bd->adc",
    "abc->cab",
    "abcd,cdef->abef",
    "ij,ij->",
    "a,b,c->abc",
    "abc,cb->a",
    "ijk,ilm,njm,nlk,abc->",
    "bi,oij,bj->bo",
    ",i->i",
    ",->",
    "abc,acd->abd",
    "aij,ajk->ik",
    "ab,cd->abcd",
    "abcdef,fed->abc",
    "ik,kj",
    "ba",
]
EXTENTS = dict(zip("abcdefhijklmnoq", [2, 3, 2, 3, 2, 2, 2, 4, 3, 5, 3, 2, 2, 4, 3]))


def einsums(family):
    for n, expression in enumerate(EINSUMS):
        for dtype in FLOATS:
            if dtype != f32 and n % 4:
                continue
            for empty in ([False, True] if dtype == f32 and n in (0, 4, 8, 13) else [False]):
                terms = expression.split("->")[0].split(",")
                extent = dict(EXTENTS, j=0) if empty else EXTENTS
                xs = [noise([extent[c] for c in term], dtype) for term in terms]
                y = torch.einsum(expression, *[up(x) for x in xs])
                size = torch.einsum(expression, *[up(x).abs() for x in xs])
                names = ", ".join(f"x{i}" for i in range(len(xs)))
                family.add(
                    "tract_core_einsum",
                    f"y0 = tract_core_einsum([{names}], expr = '{expression}', acc = '{NAMES[dtype]}');",
                    xs,
                    y,
                    4,
                    scale=size,
                )
    for expression in ["ij,jk->ik", "ij->i", "bij,bkj->bki"]:
        xs = [
            integers([EXTENTS[c] for c in term], i32, -99, 99)
            for term in expression.split("->")[0].split(",")
        ]
        names = ", ".join(f"x{i}" for i in range(len(xs)))
        family.add(
            "tract_core_einsum",
            f"y0 = tract_core_einsum([{names}], expr = '{expression}', acc = 'i32');",
            xs,
            torch.einsum(expression, *[x.to(i64) for x in xs]).to(i32),
        )
    x, y = noise([1, 3, 4]), noise([2, 4, 1])
    family.add(
        "tract_core_einsum",
        "y0 = tract_core_einsum([x0, x1], expr = 'bij,bjk->bik', acc = 'f32');",
        [x, y],
        torch.einsum("bij,bjk->bik", up(x), up(y)),
        4,
        scale=16.0,
    )


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def automatic(extent, f, s, d):
    total = max((-(-extent // s) - 1) * s + (f - 1) * d + 1 - extent, 0)
    return (total // 2, total - total // 2)


def padded(x, pads, border="constant", value=0.0):
    """Spatial axes padded by [(before, after), ...] as NNEF's borders say; negative ones crop."""
    if border == "reflect-even":
        for axis, (p, q) in enumerate(pads, 2):
            before, after = x.narrow(axis, 0, p).flip(axis), x.narrow(axis, x.shape[axis] - q, q).flip(axis)
            x = torch.cat([before, x, after], axis)
        return x
    flat = [n for pair in reversed(pads) for n in pair]
    return F.pad(x, flat, value=value) if border == "constant" else F.pad(x, flat, mode=border)


def pair_list(pads):
    return str([tuple(p) for p in pads])


def conv_case(rank, dtype=f32):
    """Random geometry: None when the window does not fit."""
    groups = int(random.choice([1, 1, 2, 3]))
    inner, outer = int(random.integers(1, 4)), int(random.integers(1, 4))
    filter_size, stride, dilation = shape(rank, 1, 3), shape(rank, 1, 2), shape(rank, 1, 2)
    dims = [int(random.integers(1, 3)), inner * groups] + shape(rank, 3, 7 if rank < 3 else 4)
    pads = [tuple(int(n) for n in random.integers(0, 3, 2)) for _ in range(rank)]
    fits = all(x + p + q >= (f - 1) * d + 1 for x, (p, q), f, d in zip(dims[2:], pads, filter_size, dilation))
    return (groups, inner, outer * groups, filter_size, stride, dilation, dims, pads) if fits else None


def convolutions(family):
    count = 0
    while count < 60:
        rank, dtype = 1 + count % 3, FLOATS[[1, 1, 1, 0, 2, 3][count // 3 % 6]]
        case = conv_case(rank)
        if case is None:
            continue
        count += 1
        groups, inner, outer, f, s, d, dims, pads = case
        border = ["constant", "constant", "replicate", "reflect", "reflect-even"][int(random.integers(0, 5))]
        auto = border == "constant" and count % 7 == 0
        if auto:
            pads = [automatic(*g) for g in zip(dims[2:], f, s, d)]
        x, w, b = noise(dims, dtype), noise([outer, inner] + f, dtype), noise([1, outer], dtype)
        wide = padded(up(x), pads, border)
        y = CONV[rank](wide, up(w), up(b)[0], s, 0, d, groups)
        size = CONV[rank](wide.abs(), up(w).abs(), up(b)[0].abs(), s, 0, d, groups)
        text = (
            f"border = '{border}', "
            + ("" if auto else f"padding = {pair_list(pads)}, ")
            + f"stride = {s}, dilation = {d}, groups = {groups});"
        )
        family.add("conv", "y0 = conv(x0, x1, x2, " + text, [x, Constant(w), Constant(b)], y, 4, scale=size)
        if count % 5 == 0 and dtype == f32:
            plain = CONV[rank](wide, up(w), None, s, 0, d, groups)
            family.add(
                "conv",
                "y0 = conv(x0, x1, 0.0, ".replace(", 0.0", "") + text,
                [x, Constant(w)],
                plain,
                4,
                scale=size,
                dialect="tract" if border == "constant" else "khronos" if dtype == f32 else "engine",
            )
    for dtype in (f32, f16):
        # depth-wise, also with a multiplier; a window of 1; cropping; nothing in the batch
        for dims, w, pads, s, groups in [
            ([2, 4, 6, 7], [4, 1, 3, 3], [(1, 1), (1, 1)], [1, 1], 0),
            ([1, 3, 5, 8], [6, 1, 3, 2], [(0, 1), (2, 0)], [2, 1], 0),
            ([1, 8, 5, 5], [16, 8, 1, 1], [(0, 0), (0, 0)], [1, 1], 1),
            ([1, 2, 6, 6], [3, 2, 3, 3], [(-1, 0), (1, -2)], [1, 1], 1),
            ([0, 2, 4, 4], [3, 2, 3, 3], [(0, 0), (0, 0)], [1, 1], 1),
            ([1, 16, 9, 10], [24, 16, 3, 3], [(1, 1), (1, 1)], [1, 1], 1),
        ]:
            x, v = noise(dims, dtype), noise(w, dtype)
            wide = padded(up(x), pads)
            g = groups or dims[1]
            multiplied = w[0] != g and groups == 0  # tract reads 0 as the filter's first extent
            if dtype != f32 and (multiplied or w[0] == 24):
                continue
            y, size = F.conv2d(wide, up(v), None, s, 0, 1, g), F.conv2d(
                wide.abs(), up(v).abs(), None, s, 0, 1, g
            )
            family.add(
                "conv",
                f"y0 = conv(x0, x1, padding = {pair_list(pads)}, stride = {s}, groups = {groups});",
                [x, Constant(v)],
                y,
                4,
                scale=size,
                dialect="khronos" if multiplied else "tract",
            )
        for name, (function, attributes) in ACTIVATIONS.items():
            x, v, b = noise([1, 4, 5, 6], dtype), noise([6, 4, 3, 3], dtype), noise([1, 6], dtype)
            r = noise([1, 6, 5, 6], dtype)
            y = F.conv2d(up(x), up(v), up(b)[0], 1, 1)
            size = F.conv2d(up(x).abs(), up(v).abs(), up(b)[0].abs(), 1, 1) + 2
            family.add(
                "nnefrun_conv",
                f"y0 = nnefrun_conv(x0, x1, x2, x3, padding = [(1, 1), (1, 1)], activation = '{name}'"
                f"{attributes});",
                [x, Constant(v), Constant(b), r],
                function(y + up(r)),
                6,
                scale=size,
            )
    for count in range(6):
        rank = 1 + count % 3
        x = noise([2, 3] + [5] * rank)
        plane, point, b = noise([6, 1] + [3] * rank), noise([4, 6] + [1] * rank), noise([1, 4])
        pads = [tuple(int(n) for n in random.integers(0, 3, 2)) for _ in range(rank)]
        y = CONV[rank](CONV[rank](padded(up(x), pads), up(plane), None, 1, 0, 1, 3), up(point), up(b)[0])
        family.add(
            "separable_conv",
            f"y0 = separable_conv(x0, x1, x2, x3, padding = {pair_list(pads)});",
            [x, plane, point, b],
            y,
            8,
            scale=True,
        )
    x, plane, point, b = noise([2, 6, 4]), noise([4, 1, 3]), noise([6, 4, 1]), noise([1, 4])
    y = F.conv_transpose1d(F.conv_transpose1d(up(x), up(point)), up(plane), up(b)[0], 2, 0, 0, 4)
    family.add(
        "separable_deconv",
        "y0 = separable_deconv(x0, x1, x2, x3, stride = [2], padding = [(0, 0)]);",
        [x, plane, point, b],
        y,
        8,
        scale=True,
    )


def transposed(x, w, b, s, d, groups, pads, extents):
    """Transposed convolution without padding, then cut to `extents` from the first of each pair on."""
    rank = x.ndim - 2
    full = CONV_TRANSPOSE[rank](x, w, None, s, 0, 0, groups, d)
    for axis, ((p, _), n) in enumerate(zip(pads, extents), 2):
        before, after = max(-p, 0), max(p + n - full.shape[axis], 0)
        full = torch.cat(
            [
                torch.zeros_like(full.narrow(axis, 0, 1)).repeat_interleave(before, axis),
                full,
                torch.zeros_like(full.narrow(axis, 0, 1)).repeat_interleave(after, axis),
            ],
            axis,
        )
        full = full.narrow(axis, p + before, n)
    return full if b is None else full + b.reshape([1, -1] + [1] * rank)


def deconvolutions(family):
    count = 0
    while count < 40:
        rank, dtype = 1 + count % 3, FLOATS[[1, 1, 0, 2, 3][count // 3 % 5]]
        groups, inner, outer, f, s, d, dims, pads = conv_case(rank) or [None] * 8
        if groups is None:
            continue
        natural = [
            (n - 1) * t + (k - 1) * e + 1 - p - q for n, t, k, e, (p, q) in zip(dims[2:], s, f, d, pads)
        ]
        if min(natural) < 1:
            continue
        count += 1
        channels = inner * groups
        x, w, b = noise(dims, dtype), noise([channels, outer // groups] + f, dtype), noise([1, outer], dtype)
        kind = count % 4
        extents, text = natural, f"padding = {pair_list(pads)}, "
        if kind == 1:  # the shape is given: up to stride - 1 more
            extra = [int(random.integers(0, t)) for t in s]
            extents = [n + e for n, e in zip(natural, extra)]
            text += f"output_shape = {[dims[0], outer] + extents}, "
        elif kind == 2:
            extents = [n * t for n, t in zip(dims[2:], s)]
            pads = [automatic(*g) for g in zip(extents, f, s, d)]
            text = ""
        arguments = (up(w), up(b)[0], s, d, groups, pads, extents)
        y = transposed(up(x), *arguments)
        if kind == 1 and all(p == q for p, q in pads):
            assert torch.equal(
                y, CONV_TRANSPOSE[rank](up(x), up(w), up(b)[0], s, [p for p, _ in pads], extra, groups, d)
            )
        size = transposed(up(x).abs(), up(w).abs(), up(b)[0].abs(), *arguments[2:])
        family.add(
            "deconv",
            f"y0 = deconv(x0, x1, x2, {text}stride = {s}, dilation = {d}, groups = {groups});",
            [x, Constant(w), Constant(b)],
            y,
            4,
            scale=size,
        )
    for rank, dtype, output_padding in [(1, f32, 1), (2, f32, 1), (3, f32, 0)]:
        x, w = noise([2, 4] + [3] * rank, dtype), noise([4, 3] + [3] * rank, dtype)
        y = CONV_TRANSPOSE[rank](up(x), up(w), None, 2, 1, output_padding, 2)
        family.add(
            "deconv",
            f"y0 = deconv(x0, x1, padding = {[(1, 1)] * rank}, stride = {[2] * rank}, groups = 2, "
            f"output_shape = {list(y.shape)});",
            [x, w],
            y,
            4,
            scale=True,
        )
        # tract's layout of the filter: output channels first
        v = torch.cat([w[:2].transpose(0, 1), w[2:].transpose(0, 1)]).contiguous()
        family.add(
            "deconv",
            f"y0 = deconv(x0, x1, padding = {[(1, 1)] * rank}, stride = {[2] * rank}, groups = 2, "
            f"output_shape = {list(y.shape)[2:]});",
            [x, Constant(v)],
            y,
            4,
            scale=True,
            dialect="tract",
        )


def families():
    for name, generate in {
        "matmuls": matmuls,
        "einsums": einsums,
        "convolutions": convolutions,
        "deconvolutions": deconvolutions,
    }.items():
        family = Family(name)
        generate(family)
        yield family
