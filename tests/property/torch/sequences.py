"""Attention, recurrent networks as loops, Fourier transforms."""

import torch
import torch.nn.functional as F

from products import word
from recorder import *


def attention(family):
    cases = [
        ([2, 3, 4], [2, 5, 4], 4),
        ([1, 2, 3, 4], [1, 2, 3, 4], 4),
        ([2, 4, 5, 3], [2, 2, 5, 3], 6),
        ([1, 6, 1, 8], [1, 2, 9, 8], 8),
        ([1, 2, 2, 4], [1, 2, 7, 4], 3),
        ([1, 2, 33, 8], [1, 2, 33, 8], 8),
    ]
    for n, (query, key, value) in enumerate(cases):
        for dtype in (f32, f64, f16):
            if dtype != f32 and n == 5:
                continue
            q, k, v = noise(query, dtype), noise(key, dtype), noise(key[:-1] + [value], dtype)
            t, u = query[-2], key[-2]
            causal = torch.ones(t, u, dtype=torch.bool).tril(u - t)  # aligned to the end of the keys
            mask = noise([1] * (len(query) - 2) + [t, u], dtype)
            acc = "f64" if dtype == f64 else "f32"
            tail = f"datum_type = '{NAMES[dtype]}', acc_datum_type = '{acc}', is_causal = "
            gqa = len(query) == 4 and query[1] != key[1]

            def answer(**how):
                return F.scaled_dot_product_attention(up(q), up(k), up(v), enable_gqa=gqa, **how)

            def add(text, xs, y):
                family.add(
                    "tract_transformers_sdpa",
                    "y0 = tract_transformers_sdpa(x0, x1, x2, " + text,
                    xs,
                    y,
                    8,
                    scale=2.0,
                )

            add(f"{tail}false);", [q, k, v], answer())
            add(f"{tail}true);", [q, k, v], answer(attn_mask=causal))
            if n % 2 == 0:
                add(f"mask = x3, {tail}false);", [q, k, v, mask], answer(attn_mask=up(mask)))
            add(f"scale = 0.375, {tail}false);", [q, k, v], answer(scale=0.375))
    for dtype in (f32, f64, f16):
        x, mask = noise([1, 2, 3, 5], dtype), noise([1, 1, 3, 5], dtype)
        call = "y0 = tract_transformers_scaled_masked_softmax(x0, x1, scale = 0.5"
        family.add(
            "tract_transformers_scaled_masked_softmax",
            call + ");",
            [x, mask],
            torch.softmax(up(x) * 0.5 + up(mask), -1),
            8,
        )
        seen = bools([3, 5])
        seen[:, 0] = True
        y = torch.softmax((up(x) * 0.5).masked_fill(~seen, float("-inf")), -1)
        family.add(
            "tract_transformers_scaled_masked_softmax", call + ");", [x, seen.reshape(1, 1, 3, 5)], y, 8
        )
        family.add(
            "tract_transformers_scaled_masked_softmax",
            call + ", post_softmax_mask = true);",
            [x, seen.reshape(1, 1, 3, 5)],
            y,
            8,
        )
        c, s = noise([1, 1, 3, 6], dtype), noise([1, 1, 3, 6], dtype)
        x = noise([2, 2, 3, 6], dtype)
        a, b = up(x).chunk(2, -1)
        family.add(
            "tract_transformers_apply_rope",
            "y0 = tract_transformers_apply_rope(x0, x1, x2);",
            [x, c, s],
            up(x) * up(c) + torch.cat([-b, a], -1) * up(s),
            4,
            scale=4.0,
        )
    x, w, state = noise([1, 5, 1], f16), noise([5, 4], f16), noise([1, 5, 4], f16)
    after = torch.cat([state[..., 1:], x], -1)
    y = F.silu(F.conv1d(up(after), up(w)[:, None], groups=5))
    family.add(
        "tract_transformers_causal_conv1d_update",
        "(y0, y1) = tract_transformers_causal_conv1d_update(x0, x1, x2);",
        [x, w, state],
        [y, after],
        4,
        scale=1.0,
    )


def slices(count, hidden):
    """Statements that cut g into g0, g1, ..."""
    return "".join(
        f"  g{i} = slice(g, axes = [1], begin = [{i * hidden}], end = [{(i + 1) * hidden}], stride = [1]);\n"
        for i in range(count)
    )


LSTM = """fragment step(x: tensor<scalar>, h: tensor<scalar>, c: tensor<scalar>, w: tensor<scalar>, r: tensor<scalar>,
  b: tensor<scalar>) -> (hn: tensor<scalar>, cn: tensor<scalar>, y: tensor<scalar>)
{
  g = matmul(squeeze(x, axes = [1]), w) + matmul(h, r) + b;
%s  cn = sigmoid(g1) * c + sigmoid(g0) * tanh(g2);
  hn = sigmoid(g3) * tanh(cn);
  y = unsqueeze(hn, axes = [1]);
}
"""
GRU = """fragment step(x: tensor<scalar>, h: tensor<scalar>, w: tensor<scalar>, r: tensor<scalar>, b: tensor<scalar>,
  d: tensor<scalar>) -> (hn: tensor<scalar>, y: tensor<scalar>)
{
  a = matmul(squeeze(x, axes = [1]), w) + b;
  e = matmul(h, r) + d;
  g = concat([slice(a, axes = [1], begin = [0], end = [%d], stride = [1]) +
              slice(e, axes = [1], begin = [0], end = [%d], stride = [1])], axis = 1);
%s  n = tanh(slice(a, axes = [1], begin = [%d], end = [%d], stride = [1]) +
           sigmoid(g0) * slice(e, axes = [1], begin = [%d], end = [%d], stride = [1]));
  hn = n + sigmoid(g1) * (h - n);
  y = unsqueeze(hn, axes = [1]);
}
"""
RNN = """fragment step(x: tensor<scalar>, h: tensor<scalar>, w: tensor<scalar>, r: tensor<scalar>, b: tensor<scalar>)
-> (hn: tensor<scalar>, y: tensor<scalar>)
{
  hn = %s(matmul(squeeze(x, axes = [1]), w) + matmul(h, r) + b);
  y = unsqueeze(hn, axes = [1]);
}
"""
SUM = """fragment step(x: tensor<scalar>, s: tensor<scalar>) -> (n: tensor<scalar>)
{
  n = s + x;
}
"""


def recurrent(family):
    def add(text, fragments, xs, ys):
        family.add("nnefrun_scan", text, xs, ys, 32, scale=1.0, dialect="tract", fragments=fragments)

    for batch, steps, inner, hidden, chunk in [
        (1, 5, 3, 4, 1),
        (3, 4, 2, 3, 1),
        (2, 1, 3, 2, 1),
        (2, 6, 4, 5, -1),
        (2, 7, 8, 16, 1),
    ]:
        for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
            gates = {"lstm": 4, "gru": 3}.get(kind, 1)
            net = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(kind, torch.nn.RNN)
            more = {"nonlinearity": kind[4:]} if kind.startswith("rnn") else {}
            net = net(inner, hidden, batch_first=True, **more)
            x, h, c = noise([batch, steps, inner]), noise([batch, hidden]), noise([batch, hidden])
            w, r = noise([gates * hidden, inner]) * 0.5, noise([gates * hidden, hidden]) * 0.5
            b, d = noise([gates * hidden]) * 0.5, noise([gates * hidden]) * 0.5
            for parameter, value in zip(net.parameters(), (w, r, b, d)):
                parameter.data = value
            net = net.to(f64)
            first = (up(h)[None], up(c)[None]) if kind == "lstm" else up(h)[None]
            with torch.no_grad():
                y, last = net(up(x.flip(1) if chunk < 0 else x), first)
            y = y.flip(1) if chunk < 0 else y
            wt, rt = Constant(w.mT.contiguous()), Constant(r.mT.contiguous())
            lead = [1, gates * hidden]
            head = f"tract_core_scan(body = 'step', scan = [('x', x0, 1, {chunk})], full = "
            if kind == "lstm":
                add(
                    f"(y0, y1, y2) = {head}[('w', x3), ('r', x4), ('b', x5)], state = [('h', x1, 'hn'), ('c', x2, 'cn')], "
                    f"output = [('y', 'full', 1, {chunk}), ('hn', 'last', 0, 1), ('cn', 'last', 0, 1)], reset_every_turn = 1);",
                    LSTM % slices(4, hidden),
                    [x, h, c, wt, rt, Constant((b + d).reshape(lead))],
                    [y, last[0][0], last[1][0]],
                )
            elif kind == "gru":
                two, three = 2 * hidden, 3 * hidden
                add(
                    f"(y0, y1) = {head}[('w', x2), ('r', x3), ('b', x4), ('d', x5)], state = [('h', x1, 'hn')], "
                    f"output = [('y', 'full', 1, {chunk}), ('hn', 'last', 0, 1)], reset_every_turn = 1);",
                    GRU % (two, two, slices(2, hidden), two, three, two, three),
                    [x, h, wt, rt, Constant(b.reshape(lead)), Constant(d.reshape(lead))],
                    [y, last[0]],
                )
            else:
                add(
                    f"(y0, y1) = {head}[('w', x2), ('r', x3), ('b', x4)], state = [('h', x1, 'hn')], "
                    f"output = [('y', 'full', 1, {chunk}), ('hn', 'last', 0, 1)], reset_every_turn = 1);",
                    RNN % kind[4:],
                    [x, h, wt, rt, Constant((b + d).reshape(lead))],
                    [y, last[0]],
                )
    for dims, axis in [([6], 0), ([2, 5], 1), ([2, 3, 4], 0), ([0, 3], 1), ([2, 3, 1, 2], 1)]:
        x = noise(dims)
        zero = torch.zeros(dims[:axis] + [1] + dims[axis + 1 :])
        add(
            f"y0 = tract_core_scan(body = 'step', scan = [('x', x0, {axis}, 1)], full = [], state = [('s', x1, 'n')], "
            f"output = [('n', 'full', {axis}, 1)], reset_every_turn = 1);",
            SUM,
            [x, zero],
            up(x).cumsum(axis),
        )
    for dtype in (f32, f16):
        hidden = 3
        eye = torch.eye(4 * hidden, dtype=f64)
        x, c = noise([5, 4 * hidden], dtype), noise([5, hidden], dtype)
        i, o, f, g = up(x).chunk(4, 1)
        h = torch.zeros(5, hidden, dtype=f64)
        y = torch.lstm_cell(
            torch.cat([i, f, g, o], 1), (h, up(c)), eye, torch.zeros(4 * hidden, hidden, dtype=f64)
        )
        family.add(
            "tract_core_lstm_epilogue",
            f"(y0, y1) = tract_core_lstm_epilogue(x0, x1, hidden = {hidden});",
            [x, c],
            list(y)[:2],
            4,
            scale=2.0,
        )
        a, b, h = noise([5, 3 * hidden], dtype), noise([5, 3 * hidden], dtype), noise([5, hidden], dtype)
        rows = []
        for row in range(5):
            p, q = ([v[hidden : 2 * hidden], v[:hidden], v[2 * hidden :]] for v in (up(a)[row], up(b)[row]))
            rows.append(
                torch.gru_cell(
                    torch.cat(p)[None],
                    up(h)[row][None],
                    eye[:9, :9],
                    torch.zeros(9, hidden, dtype=f64),
                    torch.zeros(9, dtype=f64),
                    torch.cat(q),
                )
            )
        family.add(
            "tract_core_gru_epilogue",
            f"y0 = tract_core_gru_epilogue(x0, x1, x2, hidden = {hidden});",
            [a, b, h],
            torch.cat(rows),
            4,
            scale=2.0,
        )


def cells(family):
    """Cells over time, whose inputs are multiplied already: the input weights of PyTorch's are the identity."""
    for dtype in (f32, f64, f16):
        for time, rows, hidden, reverse in [(1, 1, 4, False), (5, 1, 3, False), (4, 3, 2, True), (3, 2, 17, False)]:
            for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
                gates = {"lstm": 4, "gru": 3}.get(kind, 1)
                net = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(kind, torch.nn.RNN)
                net = net(gates * hidden, hidden, **({"nonlinearity": kind[4:]} if gates == 1 else {}))
                x, h, c = (noise(d, dtype) for d in ([time, rows, gates * hidden], [rows, hidden], [rows, hidden]))
                r, b = noise([gates * hidden, hidden], dtype) * 0.5, noise([gates * hidden], dtype) * 0.5
                eye = torch.eye(gates * hidden, dtype=f64)
                for parameter, value in zip(net.parameters(), (eye, up(r), torch.zeros(gates * hidden, dtype=f64), up(b))):
                    parameter.data = value
                first = (up(h)[None], up(c)[None]) if kind == "lstm" else up(h)[None]
                with torch.no_grad():
                    y, last = net(up(x.flip(0) if reverse else x), first)
                y = y.flip(0) if reverse else y
                row = "nnefrun_" + kind[:4].rstrip("_")
                more = ", reverse = true" if reverse else ""
                more += f", activation = '{kind[4:]}'" if gates == 1 else ""
                if kind == "lstm":
                    text = f"(y0, y1, y2) = {row}(x0, x1, x2, x3, x4{more});"
                    xs, ys = [x, Constant(r), h, c, Constant(b)], [y, last[0][0], last[1][0]]
                else:
                    text, xs, ys = f"(y0, y1) = {row}(x0, x1, x2, x3{more});", [x, Constant(r), h, Constant(b)], [y, last[0]]
                family.add(row, text, xs, ys, 32, scale=1.0)


def transforms(family):
    for dtype in (f32, f64, f16):
        for dims, axis in [
            ([1], 0),
            ([2], 0),
            ([8], 0),
            ([7], 0),
            ([3, 12], 1),
            ([6, 2], 0),
            ([2, 5, 3], 1),
            ([2, 15], 1),
            ([37], 0),
        ]:
            x = noise(dims + [2], dtype)
            z = torch.complex(up(x)[..., 0], up(x)[..., 1])
            for inverse in (False, True):
                y = torch.fft.ifft(z, dim=axis, norm="forward") if inverse else torch.fft.fft(z, dim=axis)
                family.add(
                    "tract_core_fft",
                    f"y0 = tract_core_fft(x0, axis = {axis}, inverse = {word(inverse)});",
                    [x],
                    torch.view_as_real(y),
                    8,
                    scale=True,
                )
        for dims, frame, stride, window in [
            ([12], 4, 1, None),
            ([20], 6, 3, 6),
            ([2, 17], 7, 2, 4),
            ([9], 9, 5, 5),
            ([2, 16], 8, 4, 8),
        ]:
            x = noise(dims + [2], dtype)
            w = torch.hann_window(window, periodic=False, dtype=f64).add(0.1).to(dtype) if window else None
            z = torch.complex(up(x)[..., 0], up(x)[..., 1])
            y = (
                torch.stft(
                    z,
                    frame,
                    stride,
                    window or frame,
                    up(w) if window else torch.ones(frame, dtype=f64),
                    center=False,
                    onesided=False,
                    return_complex=True,
                )
                .transpose(-1, -2)
                .contiguous()
            )
            call = f"y0 = tract_core_stft(x0, axis = {len(dims) - 1}, frame = {frame}, stride = {stride}"
            family.add(
                "tract_core_stft",
                call + (", window = x1);" if window else ");"),
                [x] + ([Constant(w)] if window else []),
                torch.view_as_real(y),
                8,
                scale=True,
            )


def families():
    for name, generate in {"attention": attention, "recurrent": recurrent, "transforms": transforms, "cells": cells}.items():
        family = Family(name)
        generate(family)
        yield family
