// Steps over 8-bit affine codes. Channels-last values are [N, D..., C'] as u8: i8 codes plus 128, channels
// rounded up to a multiple of 4.

#include <string.h>

#include "engine/runtime/code_binary.h"
#include "engine/runtime/leading_strides.h"
#include "engine/runtime/parts.h"
#include "engine/runtime/step_parameters.h"
#include "engine/runtime/steps.h"
#include "kernels/int8/conv.h"
#include "kernels/pool/pool.h"

namespace nnefrun {
namespace {

const uint8_t* bytes_of(const View* view) { return reinterpret_cast<const uint8_t*>(view->data); }
uint8_t* bytes_of(View* view) { return reinterpret_cast<uint8_t*>(view->data); }
int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// ---- products and convolutions ----

struct BoundCodeConv {
  kernels::CodeConvArgs args;
  kernels::CodeConvCut cut;
};

Status conv_bind(StepContext& c, size_t* scratch) {
  const auto& p = c.as<CodeConvParameters>();
  auto& bound = *static_cast<BoundCodeConv*>(c.bound);
  const auto& kernels = kernels::choose_int8();
  if (p.lanes != kernels.lanes || p.group != kernels.group)
    return failed(StatusCode::bad_plan, p.lanes, kernels.lanes);  // packed for another instruction set
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  bound.args = {};
  kernels::ConvShape& shape = bound.args.shape;
  shape.in_channels = p.in_channels;
  shape.out_channels = p.out_channels;
  shape.groups = p.groups;
  if (p.is_product != 0) {
    if (x.dims[x.rank - 1] != p.in_channels || y.dims[y.rank - 1] != p.out_channels)
      return failed(StatusCode::shape_mismatch);
    int64_t rows = 1;
    for (int i = 0; i + 1 < x.rank; ++i) rows *= x.dims[i];
    shape.in[1] = shape.out[1] = rows;
  } else {
    shape.batch = x.dims[0];
    const int spatial = x.rank - 2, shift = 3 - spatial;
    for (int i = 0; i < spatial; ++i) {
      shape.in[shift + i] = x.dims[1 + i];
      shape.out[shift + i] = y.dims[1 + i];
    }
    for (int i = 0; i < 3; ++i) {
      shape.filter[i] = p.filter[i];
      shape.stride[i] = p.stride[i];
      shape.dilation[i] = p.dilation[i];
      shape.pad_before[i] = i < shift ? 0 : c.sizes[p.pad_before[i]];
    }
  }
  if (p.adds != 0 && c.inputs[3 + p.epilogue.by_channel]->size() != y.size())
    return failed(StatusCode::shape_mismatch);
  bound.args.x_stride = x.dims[x.rank - 1];
  bound.args.y_stride = y.dims[y.rank - 1];
  bound.args.x_flip = p.x_flip;
  bound.args.x_zero = p.x_zero;
  kernels::CodeEpilogue& e = bound.args.epilogue;
  e.scale = p.epilogue.scale;
  e.limit = p.epilogue.limit;
  e.zero_point = p.epilogue.zero_point;
  e.low = p.epilogue.low;
  e.high = p.epilogue.high;
  e.flip = p.epilogue.flip;
  e.raw = p.epilogue.raw != 0;
  e.narrow = p.epilogue.narrow != 0;
  bound.cut = kernels::cut_code_conv(bound.args, kernels);
  *scratch = bound.cut.workspace;
  return {};
}
StepParts conv_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundCodeConv*>(c.bound);
  const kernels::ConvShape& s = bound.args.shape;
  const int64_t taps = s.filter[0] * s.filter[1] * s.filter[2];
  return {bound.cut.tasks, cost_of_products(c.outputs[0]->size() * (s.in_channels / s.groups) * taps) / 2};
}
Status conv_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<CodeConvParameters>();
  kernels::CodeConvArgs args = static_cast<BoundCodeConv*>(c.bound)->args;
  args.x = bytes_of(c.inputs[0]);
  args.weights = reinterpret_cast<const int8_t*>(c.inputs[1]->data);
  args.depthwise_weights = reinterpret_cast<const int16_t*>(c.inputs[1]->data);
  if (p.depthwise_dots != 0) args.depthwise_dots = args.weights;
  args.start = reinterpret_cast<const int32_t*>(c.inputs[2]->data);
  args.factors = p.has_factor != 0 ? &p.factor : nullptr;
  if (p.epilogue.by_channel != 0) args.epilogue.scales = reinterpret_cast<const float*>(c.inputs[3]->data);
  args.y = c.outputs[0]->data;
  kernels::CodeBinary sum;
  if (p.adds != 0) {
    sum = code_binary_of(p.sum);
    args.sum = &sum;
    args.residual = bytes_of(c.inputs[3 + p.epilogue.by_channel]);
  }
  kernels::code_conv(args, begin, end, c.scratch);
  return {};
}

// ---- layouts ----

struct BoundCodeRepack {
  int64_t images, channels, stride, positions;
  uint8_t flip;
};
constexpr int64_t kRepackPositions = 64;  // of a task, and of what is transposed at once

Status repack_bind(StepContext& c, size_t*) {
  const auto& p = c.as<CodeRepackParameters>();
  auto& bound = *static_cast<BoundCodeRepack*>(c.bound);
  const View &last = p.to_last != 0 ? *c.outputs[0] : *c.inputs[0],
             &plain = p.to_last != 0 ? *c.inputs[0] : *c.outputs[0];
  bound.images = last.dims[0];
  bound.stride = last.dims[last.rank - 1];
  bound.channels = c.sizes[p.channels];
  if (plain.rank != last.rank || plain.dims[1] != bound.channels || bound.channels > bound.stride)
    return failed(StatusCode::shape_mismatch);
  bound.positions = 1;
  for (int axis = 1; axis + 1 < last.rank; ++axis) bound.positions *= last.dims[axis];
  bound.flip = plain.dtype == DataType::i8 ? 0x80 : 0;
  return {};
}
int64_t pieces_of(const BoundCodeRepack& b) {
  return (b.positions + kRepackPositions - 1) / kRepackPositions;
}
StepParts repack_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundCodeRepack*>(c.bound);
  return {bound.images * pieces_of(bound), cost_of_items(bound.images * bound.positions * bound.stride)};
}
// `count` positions from planes of `positions` items, or back.
void positions_to_last(const BoundCodeRepack& b, const uint8_t* x, uint8_t* y, int64_t count) {
  if (b.stride == 4) {
    const uint8_t *x0 = x, *x1 = x + (b.channels > 1 ? b.positions : 0),
                  *x2 = x + (b.channels > 2 ? 2 * b.positions : 0),
                  *x3 = x + (b.channels > 3 ? 3 * b.positions : 0);
    const uint32_t flip = b.flip * 0x01010101U;
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t four =
          (uint32_t{x0[i]} | uint32_t{x1[i]} << 8 | uint32_t{x2[i]} << 16 | uint32_t{x3[i]} << 24) ^ flip;
      memcpy(y + 4 * i, &four, 4);
    }
    return;
  }
  for (int64_t c = 0; c < b.stride; ++c) {
    const uint8_t* from = x + (c < b.channels ? c : 0) * b.positions;
    for (int64_t i = 0; i < count; ++i) y[i * b.stride + c] = from[i] ^ b.flip;
  }
}
void positions_from_last(const BoundCodeRepack& b, const uint8_t* x, uint8_t* y, int64_t count) {
  for (int64_t c = 0; c < b.channels; ++c) {
    uint8_t* to = y + c * b.positions;
    for (int64_t i = 0; i < count; ++i) to[i] = x[i * b.stride + c] ^ b.flip;
  }
}
Status repack_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& bound = *static_cast<BoundCodeRepack*>(c.bound);
  const int64_t pieces = pieces_of(bound);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t image = task / pieces, first = task % pieces * kRepackPositions;
    const int64_t count = smaller(kRepackPositions, bound.positions - first);
    const int64_t plain = image * bound.channels * bound.positions + first,
                  last = (image * bound.positions + first) * bound.stride;
    if (c.as<CodeRepackParameters>().to_last != 0) {
      positions_to_last(bound, bytes_of(c.inputs[0]) + plain, bytes_of(c.outputs[0]) + last, count);
    } else {
      positions_from_last(bound, bytes_of(c.inputs[0]) + last, bytes_of(c.outputs[0]) + plain, count);
    }
  }
  return {};
}

// ---- item by item ----

Status quantize_bind(StepContext& c, size_t*) {
  const bool fits = c.inputs[0]->dtype == DataType::f32 && item_size(c.outputs[0]->dtype) == 1;
  return fits ? Status{} : failed(StatusCode::bad_plan);
}
StepParts flat_output_parts(const StepContext& c) { return flat_parts(c.outputs[0]->size()); }
Status quantize_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<QuantizeParameters>();
  const FlatRange r = flat_range(c.outputs[0]->size(), begin, end);
  kernels::choose_int8().quantize(reinterpret_cast<const float*>(c.inputs[0]->data) + r.begin, p.scale,
                                  p.zero_point, p.is_signed != 0, p.flip, bytes_of(c.outputs[0]) + r.begin,
                                  r.count);
  return {};
}
Status dequantize_bind(StepContext& c, size_t*) {
  const bool fits = c.outputs[0]->dtype == DataType::f32 && item_size(c.inputs[0]->dtype) == 1;
  return fits ? Status{} : failed(StatusCode::bad_plan);
}
Status dequantize_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<QuantizeParameters>();
  const FlatRange r = flat_range(c.outputs[0]->size(), begin, end);
  kernels::choose_int8().dequantize(bytes_of(c.inputs[0]) + r.begin, p.scale, p.zero_point, p.flip,
                                    reinterpret_cast<float*>(c.outputs[0]->data) + r.begin, r.count);
  return {};
}

Status map_bind(StepContext& c, size_t*) {
  return c.inputs[1]->size() == 256 && c.inputs[0]->size() == c.outputs[0]->size()
             ? Status{}
             : failed(StatusCode::bad_plan);
}
Status map_run(const StepContext& c, int64_t begin, int64_t end) {
  const FlatRange r = flat_range(c.outputs[0]->size(), begin, end);
  const uint8_t *x = bytes_of(c.inputs[0]) + r.begin, *table = bytes_of(c.inputs[1]);
  uint8_t* y = bytes_of(c.outputs[0]) + r.begin;
  const auto& p = c.as<CodeMapParameters>();
  if (p.clamps != 0) {
    const uint8_t low = p.low, high = p.high;
    for (int64_t i = 0; i < r.count; ++i) {
      const uint8_t v = x[i] > low ? x[i] : low;
      y[i] = v < high ? v : high;
    }
    return {};
  }
  for (int64_t i = 0; i < r.count; ++i) y[i] = table[x[i]];
  return {};
}

Status binary_bind(StepContext& c, size_t*) {
  const auto& p = c.as<CodeBinaryParameters>();
  const View &x = *c.inputs[0], &y = *c.inputs[1], &z = *c.outputs[0];
  if (x.size() != z.size()) return failed(StatusCode::shape_mismatch);
  if (p.is_gate == 0) return y.size() == z.size() ? Status{} : failed(StatusCode::shape_mismatch);
  return y.size() == z.dims[0] * z.dims[z.rank - 1] ? Status{} : failed(StatusCode::shape_mismatch);
}
// Of a gate: tasks are positions of all images.
StepParts binary_parts(const StepContext& c) {
  const View& z = *c.outputs[0];
  if (c.as<CodeBinaryParameters>().is_gate == 0) return flat_parts(z.size());
  const int64_t channels = z.dims[z.rank - 1];
  return {channels == 0 ? 0 : z.size() / channels, cost_of_items(z.size())};
}
Status binary_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<CodeBinaryParameters>();
  const kernels::CodeBinary b = code_binary_of(p);
  const uint8_t *x = bytes_of(c.inputs[0]), *y = bytes_of(c.inputs[1]);
  uint8_t* z = bytes_of(c.outputs[0]);
  const auto& kernels = kernels::choose_int8();
  if (p.is_gate == 0) {
    const FlatRange r = flat_range(c.outputs[0]->size(), begin, end);
    kernels.binary(b, x + r.begin, y + r.begin, z + r.begin, r.count);
    return {};
  }
  const View& out = *c.outputs[0];
  const int64_t channels = out.dims[out.rank - 1], positions = out.size() / (out.dims[0] * channels);
  for (int64_t i = begin; i < end; ++i)
    kernels.binary(b, x + i * channels, y + i / positions * channels, z + i * channels, channels);
  return {};
}

// ---- means and pools ----

// Doubles for the sums, then floats for the means.
size_t mean_scratch(int64_t channels) {
  return static_cast<size_t>(channels + 8) * (sizeof(double) + sizeof(float));
}
// The codes of sums divided by a count.
void finish_means(const CodePoolParameters& p, const double* sums, int64_t channels, double count,
                  float* means, uint8_t* y) {
  for (int64_t i = 0; i < channels; ++i) means[i] = static_cast<float>(sums[i] / count);
  kernels::choose_int8().quantize(means, p.scale, p.zero, p.is_signed != 0, 0, y, channels);
}

Status mean_bind(StepContext& c, size_t* scratch) {
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  if (x.rank < 2 || y.size() != x.dims[0] * x.dims[x.rank - 1]) return failed(StatusCode::shape_mismatch);
  *scratch = mean_scratch(x.dims[x.rank - 1]);
  return {};
}
StepParts mean_parts(const StepContext& c) {
  return {c.inputs[0]->dims[0], cost_of_items(c.inputs[0]->size() / 2)};
}
Status mean_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<CodePoolParameters>();
  const View& x = *c.inputs[0];
  const int64_t channels = x.dims[x.rank - 1];
  int64_t positions = 1;
  for (int axis = 1; axis + 1 < x.rank; ++axis) positions *= x.dims[axis];
  auto* sums = reinterpret_cast<double*>(c.scratch);
  auto* means = reinterpret_cast<float*>(sums + channels + 8);
  for (int64_t image = begin; image < end; ++image) {
    for (int64_t i = 0; i < channels; ++i) sums[i] = 0;
    kernels::choose_int8().sum_rows(bytes_of(c.inputs[0]) + image * positions * channels, positions, channels,
                                    channels, p.x_scale, p.x_zero, sums);
    finish_means(p, sums, channels, static_cast<double>(positions), means,
                 bytes_of(c.outputs[0]) + image * channels);
  }
  return {};
}

struct BoundCodePool {
  kernels::ConvShape shape;  // channels are bytes of a pixel
};
Status pool_bind(StepContext& c, size_t* scratch) {
  const PoolParameters& p = c.as<CodePoolParameters>().window;
  kernels::ConvShape& s = static_cast<BoundCodePool*>(c.bound)->shape;
  const View &x = *c.inputs[0], &y = *c.outputs[0];
  s = {};
  s.batch = x.dims[0];
  s.in_channels = x.dims[x.rank - 1];
  if (y.dims[y.rank - 1] != s.in_channels) return failed(StatusCode::shape_mismatch);
  const int spatial = x.rank - 2, shift = 3 - spatial;
  for (int i = 0; i < spatial; ++i) {
    s.in[shift + i] = x.dims[1 + i];
    s.out[shift + i] = y.dims[1 + i];
  }
  for (int i = 0; i < 3; ++i) {
    s.filter[i] = p.window[i];
    s.stride[i] = p.stride[i];
    s.dilation[i] = p.dilation[i];
    s.pad_before[i] = i < shift ? 0 : c.sizes[p.pad_before[i]];
  }
  *scratch = mean_scratch(s.in_channels);
  return {};
}
// Tasks are output rows.
StepParts pool_parts(const StepContext& c) {
  const kernels::ConvShape& s = static_cast<BoundCodePool*>(c.bound)->shape;
  return {s.batch * s.out[0] * s.out[1],
          cost_of_items(c.outputs[0]->size() * s.filter[0] * s.filter[1] * s.filter[2] / 8)};
}

// Taps [first, last) of an output position that lie inside along one axis.
struct Inside {
  int64_t first, last, start;
};
Inside inside_of(const kernels::ConvShape& s, int axis, int64_t at) {
  Inside r;
  r.start = at * s.stride[axis] - s.pad_before[axis];
  const int64_t d = s.dilation[axis];
  r.first = r.start >= 0 ? 0 : (-r.start + d - 1) / d;
  r.last = r.start >= s.in[axis] ? 0 : smaller(s.filter[axis], (s.in[axis] - 1 - r.start) / d + 1);
  if (r.last < r.first) r.last = r.first;
  return r;
}
void take_max(uint8_t* __restrict y, const uint8_t* __restrict x, int64_t count) {
  for (int64_t i = 0; i < count; ++i) y[i] = y[i] > x[i] ? y[i] : x[i];
}
Status pool_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<CodePoolParameters>();
  const kernels::ConvShape& s = static_cast<BoundCodePool*>(c.bound)->shape;
  const bool is_max = static_cast<kernels::PoolOp>(p.window.op) == kernels::PoolOp::max;
  const bool ignore = static_cast<kernels::PoolBorder>(p.window.border) == kernels::PoolBorder::ignore;
  const int64_t channels = s.in_channels, taps = s.filter[0] * s.filter[1] * s.filter[2];
  auto* sums = reinterpret_cast<double*>(c.scratch);
  auto* means = reinterpret_cast<float*>(sums + channels + 8);
  for (int64_t task = begin; task < end; ++task) {
    const int64_t h = task % s.out[1], d = task / s.out[1] % s.out[0], image = task / s.out[1] / s.out[0];
    const Inside z = inside_of(s, 0, d), v = inside_of(s, 1, h);
    const uint8_t* x = bytes_of(c.inputs[0]) + image * s.in[0] * s.in[1] * s.in[2] * channels;
    uint8_t* y = bytes_of(c.outputs[0]) + task * s.out[2] * channels;
    for (int64_t w = 0; w < s.out[2]; ++w, y += channels) {
      const Inside u = inside_of(s, 2, w);
      const int64_t met = (z.last - z.first) * (v.last - v.first) * (u.last - u.first);
      if (is_max) {
        memset(y, !ignore && met < taps ? p.x_zero : 0, static_cast<size_t>(channels));
      } else {
        for (int64_t i = 0; i < channels; ++i) sums[i] = 0;
      }
      for (int64_t a = z.first; a < z.last; ++a) {
        for (int64_t b = v.first; b < v.last; ++b) {
          const int64_t row = (z.start + a * s.dilation[0]) * s.in[1] + v.start + b * s.dilation[1];
          const uint8_t* from = x + (row * s.in[2] + u.start + u.first * s.dilation[2]) * channels;
          const int64_t step = s.dilation[2] * channels;
          if (is_max) {
            for (int64_t t = u.first; t < u.last; ++t, from += step) take_max(y, from, channels);
          } else {
            kernels::choose_int8().sum_rows(from, u.last - u.first, step, channels, p.x_scale, p.x_zero,
                                            sums);
          }
        }
      }
      if (!is_max) finish_means(p, sums, channels, static_cast<double>(ignore ? met : taps), means, y);
    }
  }
  return {};
}

// ---- softmax ----

struct BoundCodeSoftmax {
  int64_t outer, axis, inner;
};
Status softmax_bind(StepContext& c, size_t*) {
  const auto& p = c.as<CodeSoftmaxParameters>();
  auto& bound = *static_cast<BoundCodeSoftmax*>(c.bound);
  const View& x = *c.inputs[0];
  if (c.inputs[1]->size() != 256 || c.outputs[0]->size() != x.size()) return failed(StatusCode::bad_plan);
  bound = {1, 1, 1};
  for (int i = 0; i < x.rank; ++i) {
    const auto axis = static_cast<uint32_t>(i);
    (axis < p.first_axis                  ? bound.outer
     : axis < p.first_axis + p.axis_count ? bound.axis
                                          : bound.inner) *= x.dims[i];
  }
  return {};
}
StepParts softmax_parts(const StepContext& c) {
  const auto& bound = *static_cast<BoundCodeSoftmax*>(c.bound);
  return {bound.outer * bound.inner, cost_of_items(c.outputs[0]->size() * 4)};
}
// The exponential of each difference is in the table; sums in double, in order.
Status softmax_run(const StepContext& c, int64_t begin, int64_t end) {
  const auto& p = c.as<CodeSoftmaxParameters>();
  const auto& bound = *static_cast<BoundCodeSoftmax*>(c.bound);
  const auto* table = reinterpret_cast<const double*>(c.inputs[1]->data);
  const int x_flip = c.inputs[0]->dtype == DataType::i8 ? 0x80 : 0;
  const bool is_signed = c.outputs[0]->dtype == DataType::i8;
  for (int64_t task = begin; task < end; ++task) {
    const int64_t at = task / bound.inner * bound.axis * bound.inner + task % bound.inner;
    const uint8_t* x = bytes_of(c.inputs[0]) + at;
    uint8_t* y = bytes_of(c.outputs[0]) + at;
    int largest = 0;
    for (int64_t i = 0; i < bound.axis; ++i) {
      const int code = x[i * bound.inner] ^ x_flip;
      largest = code > largest ? code : largest;
    }
    double sum = 0;
    for (int64_t i = 0; i < bound.axis; ++i) sum += table[largest - (x[i * bound.inner] ^ x_flip)];
    for (int64_t i = 0; i < bound.axis; ++i) {
      const float share = static_cast<float>(table[largest - (x[i * bound.inner] ^ x_flip)] / sum);
      kernels::choose_int8().quantize(&share, p.scale, p.zero_point, is_signed, is_signed ? 0x80 : 0,
                                      y + i * bound.inner, 1);
    }
  }
  return {};
}

}  // namespace

const StepRow kCodeConvStep = {"code_conv", sizeof(BoundCodeConv), conv_bind, nullptr, conv_parts, conv_run};
const StepRow kCodeRepackStep = {"code_repack", sizeof(BoundCodeRepack), repack_bind, nullptr, repack_parts,
                                 repack_run};
const StepRow kQuantizeStep = {"quantize", 0, quantize_bind, nullptr, flat_output_parts, quantize_run};
const StepRow kDequantizeStep = {"dequantize",  0, dequantize_bind, nullptr, flat_output_parts,
                                 dequantize_run};
const StepRow kCodeMapStep = {"code_map", 0, map_bind, nullptr, flat_output_parts, map_run};
const StepRow kCodeBinaryStep = {"code_binary", 0, binary_bind, nullptr, binary_parts, binary_run};
const StepRow kCodeMeanStep = {"code_mean", 0, mean_bind, nullptr, mean_parts, mean_run};
const StepRow kCodePoolStep = {"code_pool", sizeof(BoundCodePool), pool_bind, nullptr, pool_parts, pool_run};
const StepRow kCodeSoftmaxStep = {
    "code_softmax", sizeof(BoundCodeSoftmax), softmax_bind, nullptr, softmax_parts, softmax_run};

}  // namespace nnefrun
