"""Pseudo-quantisation, and products of 8-bit codes."""

import torch
import torch.nn.functional as F

from products import pair_list, word
from recorder import *


def off_ties(dims, scale):
    """Multiples of the scale, a little off, and never so that a rounding could go both ways."""
    steps = torch.from_numpy(random.integers(-40, 40, dims)).to(f64)
    return ((steps + torch.from_numpy(random.uniform(-0.4, 0.4, dims))) * scale).to(f32)


def levels(family):
    for bits in (2, 4, 8):
        for signed in (True, False):
            for symmetric in (False, True):
                high = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
                low = (-high if symmetric else -high - 1) if signed else 0
                for zero, scale in [(0, 0.25), (1, 0.1), (high // 2, 0.037)]:
                    x = off_ties([3, 11], scale)
                    y = torch.fake_quantize_per_tensor_affine(up(x).to(f32), scale, zero, low, high)
                    family.add(
                        "zero_point_linear_quantize",
                        f"y0 = zero_point_linear_quantize(x0, x1, x2, bits = {bits}, signed = "
                        f"{word(signed)}, symmetric = {word(symmetric)});",
                        [x, Constant(torch.tensor(zero)), Constant(torch.tensor(scale))],
                        y,
                        8,
                        scale=True,
                    )
                steps = 2**bits - 1 - (signed and symmetric)
                scale, zero = 0.125, steps // 3
                bottom, top = -zero * scale, (steps - zero) * scale
                x = off_ties([2, 9], scale)
                y = torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, steps)
                ends = [Constant(torch.tensor(bottom)), Constant(torch.tensor(top))]
                family.add(
                    "min_max_linear_quantize",
                    f"y0 = min_max_linear_quantize(x0, x1, x2, bits = {bits}, signed = "
                    f"{word(signed)}, symmetric = {word(symmetric)});",
                    [x] + ends,
                    y,
                    32,
                    scale=True,
                )
                if not signed:
                    family.add(
                        "linear_quantize",
                        f"y0 = linear_quantize(x0, x1, x2, bits = {bits});",
                        [x] + ends,
                        y,
                        32,
                        scale=True,
                    )
    # One scale for each channel.
    x, scale, zero = off_ties([2, 3, 7], 0.5), torch.tensor([[0.5, 0.25, 1.0]]), torch.tensor([[3, 0, -5]])
    y = torch.fake_quantize_per_channel_affine(x, scale[0], zero[0].to(i32), 1, -128, 127)
    family.add(
        "zero_point_linear_quantize",
        "y0 = zero_point_linear_quantize(x0, x1, x2, bits = 8, signed = true, symmetric = false);",
        [x, Constant(zero), Constant(scale)],
        y,
        8,
        scale=True,
    )
    for dtype, name, ends in [(u8, "QU8", (0, 255)), (i8, "QI8", (-128, 127))]:
        for zero, scale in [(0, 0.5), (7, 0.1)]:
            x = off_ties([29], scale)
            kind = "quint8" if dtype == u8 else "qint8"
            codes = torch.quantize_per_tensor(x, scale, zero, getattr(torch, kind)).int_repr()
            name_of = f"{name}(Z:{zero} S:{scale})"
            family.add(
                "tract_core_cast",
                f"q = tract_core_cast(x0, to = '{name_of}'); y0 = tract_core_cast(q, to = '{NAMES[dtype]}');",
                [x],
                codes,
            )
            family.add(
                "tract_core_cast",
                f"q = tract_core_cast(x0, to = '{name_of}'); y0 = tract_core_cast(q, to = 'f32');",
                [codes],
                (codes.to(f64) - zero) * scale,
                4,
            )


def requantized(acc, scale, zero, dtype):
    info = torch.iinfo(dtype)
    return (torch.round(acc.to(f64) * scale) + zero).clamp(info.min, info.max).to(dtype)


def scales(a, b, c):
    """The product of the scales as the engine has it: in f32."""
    return float((torch.tensor(a) * torch.tensor(b) / torch.tensor(c)).to(f64))


def products(family):
    for dtype, name in [(i8, "QI8"), (u8, "QU8")]:
        for bias in (False, True):
            a, b = integers([2, 3, 7], dtype, -128, 128), integers([1, 7, 5], dtype, -128, 128)
            (za, zb, zc), (sa, sb, sc) = (3, 5, 10), (0.1, 0.02, 0.3)
            acc = (a.to(i64) - za) @ (b.to(i64) - zb)
            c = integers([5], i32, -999, 999)
            acc = acc + c if bias else acc
            casts = f"a = tract_core_cast(x0, to = '{name}(Z:{za} S:{sa})'); b = tract_core_cast(x1, to = '{name}(Z:{zb} S:{sb})'); "
            back = f" y0 = tract_core_cast(q, to = '{NAMES[dtype]}');"
            more = ", x2" if bias else ""
            family.add(
                "nnefrun_qmatmul",
                casts + f"q = nnefrun_qmatmul(a, b{more}, to = '{name}(Z:{zc} S:{sc})');" + back,
                [a, Constant(b)] + ([Constant(c)] if bias else []),
                requantized(acc, scales(sa, sb, sc), zc, dtype),
            )
            x, w = integers([2, 4, 6, 5], dtype, -128, 128), integers([6, 2, 3, 2], dtype, -128, 128)
            c = integers([6], i32, -999, 999)
            wide = F.pad(x.to(f64) - za, (0, 1, 1, 2))
            acc = F.conv2d(wide, w.to(f64) - zb, c.to(f64) if bias else None, (2, 1), 0, 1, 2)
            geometry = f"padding = {pair_list([(1, 2), (0, 1)])}, stride = [2, 1]"
            family.add(
                "nnefrun_qconv",
                casts
                + f"q = nnefrun_qconv(a, b{more}, {geometry}, groups = 2, to = '{name}(Z:{zc} S:{sc})');"
                + back,
                [x, Constant(w)] + ([Constant(c)] if bias else []),
                requantized(acc, scales(sa, sb, sc), zc, dtype),
            )
        (za, zb, zc), (sa, sb, sc) = (3, 5, 10), (0.1, 0.02, 0.3)
        a, b = integers([3, 7], dtype, -128, 128), integers([7, 4], dtype, -128, 128)
        acc = (a.to(i64) - za) @ (b.to(i64) - zb) + 17
        numbers = [
            Constant(torch.tensor(v, dtype=t))
            for v, t in [(17, i32), (za, i32), (sa, f32), (zb, i32), (sb, f32), (zc, i32), (sc, f32)]
        ]
        named = "bias = x2, a0 = x3, a_scale = x4, b0 = x5, b_scale = x6, c0 = x7, c_scale = x8"
        family.add(
            "tract_core_einsum_q",
            f"q = tract_core_einsum_q([x0, x1], expr = 'mk,kn,,,,,,,->mn', acc = 'i32', output = "
            f"'{name}(Z:{zc} S:{sc})', {named}); y0 = tract_core_cast(q, to = '{NAMES[dtype]}');",
            [a, b] + numbers,
            requantized(acc, scales(sa, sb, sc), zc, dtype),
        )
        family.add(
            "tract_core_qmatmul",
            f"q = tract_core_qmatmul(x0, x1, axes = [0, 1, 0, 1, 0, 1], output_type = '{name}(Z:{zc} S:{sc})', "
            f"{named}); y0 = tract_core_cast(q, to = '{NAMES[dtype]}');",
            [a, b] + numbers,
            requantized(acc, scales(sa, sb, sc), zc, dtype),
        )
        x, w = integers([1, 2, 5, 4], dtype, -128, 128), integers([3, 2, 2, 2], dtype, -128, 128)
        acc = F.conv2d(x.to(f64) - zb, w.to(f64) - za) + 17
        family.add(
            "tract_core_qconv",
            f"q = tract_core_qconv(x0, x1, groups = 1, padding = [(0, 0), (0, 0)], output_dt = "
            f"'{name}(Z:{zc} S:{sc})', {named}); y0 = tract_core_cast(q, to = '{NAMES[dtype]}');",
            [x, w] + numbers,
            requantized(acc, scales(sa, sb, sc), zc, dtype),
        )
        x, scale = integers([3, 6], dtype, -60, 128), 0.05
        y = torch.round(torch.softmax(x.to(f64) * scale, 1) * 127).to(dtype)
        # gemmlowp's integer arithmetic: within a code of the exact one
        family.add(
            "nnefrun_qsoftmax",
            f"a = tract_core_cast(x0, to = '{name}(Z:4 S:{scale})'); q = nnefrun_qsoftmax(a, axes = [1], "
            f"to = '{name}(Z:0 S:{1 / 127})'); y0 = tract_core_cast(q, to = '{NAMES[dtype]}');",
            [x],
            y,
            atol=1.0,
        )


def families():
    for name, generate in {"levels": levels, "codes": products}.items():
        family = Family(name)
        generate(family)
        yield family
