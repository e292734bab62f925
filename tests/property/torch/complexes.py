"""Complex items: functions, arithmetic, sums, products, casts, and the way through a Fourier transform."""

import torch

from recorder import *

UNARY = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sqr": torch.square,
    "rcp": torch.reciprocal,
    "sqrt": torch.sqrt,
    "rsqr": lambda z: 1 / (z * z),
    "rsqrt": torch.rsqrt,
    "exp": torch.exp,
    "log": torch.log,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "tanh": torch.tanh,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "copy": lambda z: z,
}
BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div, "pow": torch.pow}


def draw(dims, dtype):
    return torch.complex(noise(dims, f64), noise(dims, f64)).to(dtype)


def complexes(family):
    for dtype in (c64, c128):
        for row, function in UNARY.items():
            for dims in [[7], [2, 0, 3], [2, 1, 3]] if row == "abs" else [[7]]:
                z = draw(dims, dtype)
                family.add(row, f"y0 = {row}(x0);", [z], function(up(z)), 8, scale=True)
        for row, function in BINARY.items():
            for a, b in [([2, 3], [2, 3]), ([2], [2, 3]), ([2, 1, 4], [1, 3]), ([], [5])]:
                x, y = draw(a, dtype), draw(b, dtype)
                family.add(
                    row,
                    f"y0 = {row}(x0, x1);",
                    [x, Constant(y)],
                    function(*aligned(up(x), up(y))),
                    8,
                    scale=True,
                )
        x = draw([4, 5], dtype)
        y = torch.where(bools([4, 5]), x, draw([4, 5], dtype))
        family.add("eq", "y0 = eq(x0, x1);", [x, y], x == y)
        family.add("ne", "y0 = ne(x0, x1);", [x, y], x != y)
        condition = bools([4])
        family.add(
            "select", "y0 = select(x0, x1, x2);", [condition, x, y], torch.where(condition[:, None], x, y)
        )
        for dims, axes in [([5], [0]), ([2, 3, 4], [0, 2]), ([3, 0], [1]), ([2, 3], [])]:
            z = draw(dims, dtype)
            total, product = up(z), up(z)
            for axis in axes:
                total, product = total.sum(axis, keepdim=True), product.prod(axis, keepdim=True)
            family.add("sum_reduce", f"y0 = sum_reduce(x0, axes = {axes});", [z], total, 4, scale=8.0)
            family.add(
                "tract_core_product_reduce",
                f"y0 = tract_core_product_reduce(x0, axes = {axes});",
                [z],
                product,
                16,
                scale=True,
            )
            if 0 not in dims and axes:
                family.add(
                    "mean_reduce",
                    f"y0 = mean_reduce(x0, axes = {axes});",
                    [z],
                    up(z).mean(axes, keepdim=True),
                    4,
                    scale=8.0,
                )
        family.add("add_n", "y0 = add_n([x0, x1, x0]);", [x, y], up(x) + up(y) + up(x), 4, scale=True)
        a, b = draw([2, 3, 4], dtype), draw([1, 4, 5], dtype)
        family.add("matmul", "y0 = matmul(x0, x1);", [a, Constant(b)], up(a) @ up(b), 8, scale=16.0)
        family.add(
            "matmul",
            "y0 = matmul(x0, x1, transposeA = true, transposeB = true);",
            [a.mT.contiguous(), b.mT.contiguous()],
            up(a) @ up(b),
            8,
            scale=16.0,
        )
        w, d = draw([5, 4], dtype), draw([1, 5], dtype)
        family.add(
            "linear",
            "y0 = linear(x0, x1, x2);",
            [a[0], Constant(w), Constant(d)],
            up(a)[0] @ up(w).mT + up(d),
            8,
            scale=16.0,
        )
        p, q = draw([3, 4], dtype), draw([4, 2], dtype)
        family.add(
            "tract_core_matmul",
            "y0 = tract_core_matmul(x0, x1, axes = [0, 1, 0, 1, 0, 1]);",
            [p, q],
            up(p) @ up(q),
            8,
            scale=16.0,
        )
        d = draw([1, 2], dtype)
        family.add(
            "matmul",
            "t = matmul(x0, x1); u = add(t, x2); y0 = mul(u, u);",
            [p, Constant(q), Constant(d)],
            (up(p) @ up(q) + up(d)) ** 2,
            16,
            scale=True,
        )
        for expression, dims in [
            ("ij,jk->ik", ([2, 3], [3, 4])),
            ("bij,bkj->bik", ([2, 3, 4], [2, 2, 4])),
            ("ii->i", ([3, 3],)),
            ("ij->", ([2, 3],)),
            ("i,j,k->kij", ([2], [3], [2])),
            ("bhqd,bhkd->bhqk", ([1, 2, 3, 4], [1, 2, 2, 4])),
        ]:
            zs = [draw(s, dtype) for s in dims]
            names = ", ".join(f"x{i}" for i in range(len(zs)))
            family.add(
                "tract_core_einsum",
                f"y0 = tract_core_einsum([{names}], expr = '{expression}', acc = '{NAMES[dtype]}');",
                zs,
                torch.einsum(expression, *[up(z) for z in zs]),
                8,
                scale=16.0,
            )
        r = noise([3, 4], f32 if dtype == c64 else f64)
        family.add(
            "tract_core_einsum",
            f"y0 = tract_core_einsum([x0, x1], expr = 'ij,jk->ik', acc = '{NAMES[dtype]}');",
            [r, q],
            torch.einsum("ij,jk->ik", up(r).to(c128), up(q)),
            8,
            scale=16.0,
            dtype=dtype,
        )
        # tract's dialect takes the complex type of the two.
        family.add(
            "mul", "y0 = mul(x0, x1);", [r, p], up(r) * up(p), 4, scale=True, dialect="tract", dtype=dtype
        )
        family.add("div", "y0 = x0 / 4.0;", [p], up(p) / 4, 4, scale=True, dialect="tract")
        for source in (c64, c128, f32, f64, f16, i32, i8, boolean):
            z = any_values([3, 4], source)
            if source != dtype:
                family.add(
                    "tract_core_cast",
                    f"y0 = tract_core_cast(x0, to = '{NAMES[dtype]}');",
                    [z],
                    z.to(dtype),
                    dtype=dtype,
                )
        # A circular convolution by way of the spectrum, as PyTorch's exporter would write it with complex items.
        real = f32 if dtype == c64 else f64
        x, h = noise([2, 8], real), draw([1, 8], dtype)
        y = torch.fft.ifft(torch.fft.fft(up(x)) * up(h))
        family.add(
            "tract_core_complex_to_inner_dim",
            "t = unsqueeze(x0, axes = [2]); u = pad(t, padding = [(0, 0), (0, 0), (0, 1)]); "
            "f = tract_core_inner_dim_to_complex(tract_core_fft(u, axis = 1, inverse = false)); "
            "g = tract_core_complex_to_inner_dim(f * x1); "
            "y0 = tract_core_fft(g, axis = 1, inverse = true) / 8.0;",
            [x, Constant(h)],
            torch.view_as_real(y),
            16,
            scale=True,
            dialect="tract",
            dtype=real,
        )
        # Magnitudes of a short-time transform.
        x = noise([20], real)
        y = torch.stft(
            up(x), 8, 4, window=torch.ones(8, dtype=f64), center=False, onesided=True, return_complex=True
        ).mT
        family.add(
            "abs",
            "t = unsqueeze(x0, axes = [1]); u = pad(t, padding = [(0, 0), (0, 1)]); "
            "s = tract_core_stft(u, axis = 0, frame = 8, stride = 4); "
            "z = tract_core_inner_dim_to_complex(slice(s, axes = [1], begin = [0], end = [5])); y0 = abs(z);",
            [x],
            y.abs(),
            16,
            scale=True,
            dialect="tract",
        )


def families():
    family = Family("complexes")
    complexes(family)
    yield family
