// The parameter block of each step kind: plain data, written into plans. Fields named `*_size` or typed
// SizeIndex are indices of size expressions (StepContext::sizes), everything else is a literal. Persistent
// layout: change a struct only together with the plan's version.
#pragma once

#include <cstdint>

namespace nnefrun {

using SizeIndex = uint32_t;

// copy: inputs {source}, outputs {destination}; several copies may fill one destination (concat).
// destination[dst_offset + i * dst_strides] = source[src_offset + i * src_strides] for all i in dims. Strides
// in items.
struct CopyParameters {
  uint32_t rank = 0;
  SizeIndex dims[8] = {};
  SizeIndex src_strides[8] = {}, dst_strides[8] = {};
  SizeIndex src_offset = 0, dst_offset = 0;
};

// pad: fills the destination with the item in `value`, then copies.
struct PadParameters {
  CopyParameters copy;
  uint64_t value = 0;  // the item's bytes, little-endian
};

// unary: y = op(x), f32. op is a kernels::UnaryOp.
struct UnaryParameters {
  uint8_t op = 0;
  float a = 0, b = 0;
};

// binary: z = op(x, y), f32 operands aligned at the leading axis. op is a kernels::BinaryOp, or a
// kernels::CompareOp (the result is then boolean).
struct BinaryParameters {
  uint8_t op = 0;
  uint8_t compare = 0;
};

// What follows a product: kernels::Epilogue without its pointers.
struct EpilogueParameters {
  uint8_t activation = 0;
  uint8_t has_bias = 0;  // the operand after the product's own: one value for each output channel (column)
  uint8_t has_residual = 0;  // the operand after that: shape of the result
  float a = 0, b = 0;
};

// matmul: c[..., m, n] = a[..., m, k] * b[..., k, n], batch axes broadcast. inputs {a, b, bias?, residual?}.
// A packed operand is a constant in the layout of the kernel row `packed_kernel` and has no batch axes.
struct MatmulParameters {
  EpilogueParameters epilogue;
  uint8_t transpose_a = 0, transpose_b = 0;
  uint8_t packed_a = 0, packed_b = 0;  // packed_b: 2 by panels
  uint8_t bias_on_rows = 0;
  int32_t packed_mr = 0, packed_nr = 0;
  SizeIndex m = 0, n = 0, k = 0;
};

// quantize_q80: inputs {x}, f32 [..., k]; output u8 [rows, k / 32 * 40]: blocks of ActivationQ80.

// matmul_q40: c[..., n] = x[..., k] * W[n, k]. inputs {x, packed W (kernels/q40/q40.h), bias?, residual?}.
// `fast`: x is what quantize_q80 made.
struct MatmulQ40Parameters {
  EpilogueParameters epilogue;
  uint8_t fast = 0;
  uint8_t panel = 32;  // columns of a panel of the packed weights
  SizeIndex n = 0, k = 0;
};

// matmul_half: c[..., n] = x[..., k] * W[n, k]. inputs {x, W in f16, bias?, residual?}.
struct MatmulHalfParameters {
  EpilogueParameters epilogue;
  SizeIndex n = 0, k = 0;
};

// gather_q40: rows of the packed W as f32: inputs {packed W, indices (i64)}; output [indices..., k].
struct GatherQ40Parameters {
  uint8_t wrap = 0;    // negative indices count from the end
  uint8_t panel = 32;  // columns of a panel of the packed weights
  SizeIndex rows = 0, k = 0;
};

// matmul_groups: c[..., n] = x[..., k] * W[n, k]. inputs {x, codes, bias?, residual?, scales, book,
// offsets?}, packed as kernels/groups/groups.h says; the types of scales and offsets are those of their
// values.
struct MatmulGroupsParameters {
  EpilogueParameters epilogue;
  uint8_t form = 0;  // GroupForm
  uint8_t has_offsets = 0;
  int64_t group = 8;
  SizeIndex n = 0, k = 0;
};

// gather_groups: rows of the packed W as f32: inputs {codes, indices (i64), scales, book, offsets?}; output
// [indices..., k].
struct GatherGroupsParameters {
  uint8_t wrap = 0;  // negative indices count from the end
  uint8_t form = 0;  // GroupForm
  uint8_t has_offsets = 0;
  int64_t group = 8;
  SizeIndex rows = 0, k = 0;
};

// conv: inputs {x, packed filter, bias?, residual?}; plain layout, at most three spatial axes.
struct ConvParameters {
  EpilogueParameters epilogue;
  int64_t groups = 1;
  int64_t filter[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  SizeIndex pad_before[3] = {};
  int32_t packed_mr = 0, packed_nr = 0;
};

// blocked_conv: inputs {x, packed filter, bias?, residual?}, channel-blocked but for a plain x; the bias is
// padded to whole blocks. method is a kernels::BlockedMethod; everything was packed for blocks of `block`
// channels.
struct BlockedConvParameters {
  EpilogueParameters epilogue;
  uint8_t method = 0;
  uint8_t x_is_plain = 0;
  uint32_t block = 0;
  int64_t groups = 1, in_channels = 0, out_channels = 0;
  int64_t filter[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  SizeIndex pad_before[3] = {};
};

// blocked_pair: a pointwise convolution and the depthwise one after it, see kernels::blocked_pair. inputs {x,
// packed pointwise filter, packed depthwise filter, bias of the first?, of the second?}.
struct BlockedPairParameters {
  EpilogueParameters first, second;
  uint32_t block = 0;
  int64_t in_channels = 0, channels = 0;  // of the pointwise, of the depthwise convolution
  int64_t filter[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  SizeIndex pad_before[3] = {};
};

// repack: [N, C, D...] <-> [N, ceil(C / block), D..., block], f32.
struct RepackParameters {
  uint32_t block = 0;
  uint8_t to_blocked = 0;
};

// blocked_sum: over all positions of each block, times a factor: 1, or (mean) one over their number.
struct BlockedSumParameters {
  uint8_t mean = 0;
};

// blocked_gate: z = x op y, y with one vector of channels for each image. op is a kernels::BlockedGate.
struct BlockedGateParameters {
  uint8_t op = 0;
};

// pool: op is a kernels::PoolOp; the first two axes are planes.
struct PoolParameters {
  uint8_t op = 0;
  uint8_t border = 0;  // kernels::PoolBorder
  int64_t window[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  SizeIndex pad_before[3] = {};
};

// reduce: over the adjacent axes [first_axis, first_axis + axis_count). kind 0: kernels::ReduceOp; 1: argmax;
// 2: argmin.
struct ReduceParameters {
  uint8_t kind = 0;
  uint8_t op = 0;
  uint8_t take_last = 0;
  uint32_t first_axis = 0, axis_count = 0;
};

// softmax and log-softmax over adjacent axes.
struct SoftmaxParameters {
  uint8_t log = 0;
  uint32_t first_axis = 0, axis_count = 0;
};

// normalize: over the axes from first_axis on. inputs {x, scale?, offset?}; rms: no mean is subtracted.
struct NormalizeParameters {
  uint8_t rms = 0;
  uint8_t has_scale = 0, has_offset = 0;
  uint32_t first_axis = 0;
  float epsilon = 0;
};

// gather: inputs {data, indices (i64)} along `axis`; wrap: negative indices count from the end.
struct GatherParameters {
  uint32_t axis = 0;
  uint8_t wrap = 0;
};

// gather_elements: inputs {data, indices (i64)}; negative indices count from the end of `axis`.
struct GatherElementsParameters {
  uint32_t axis = 0;
};

// gather_nd: inputs {data, positions (i64) [.., length]}; positions begin at axis `batch`.
struct GatherNdParameters {
  uint32_t batch = 0;
};

// deconv: inputs {x, packed filter, bias?}; plain layout, at most three spatial axes.
struct DeconvParameters {
  uint8_t has_bias = 0;
  int64_t groups = 1;
  int64_t filter[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  SizeIndex pad_before[3] = {};
  int32_t packed_mr = 0, packed_nr = 0;
};

// sizes: writes the values of size expressions as i64.
struct SizesParameters {
  uint32_t count = 0;
  SizeIndex values[16] = {};
};

// attention: inputs {q, k, v, mask?}, f32 (the mask may be boolean); the result is dense or transposed.
// Strides in items: [batch, head, row], and [batch, head, row, key] of the mask. Width and depth have
// stride 1.
struct AttentionParameters {
  uint8_t causal = 0;
  uint8_t has_scale = 0;  // else 1 / sqrt(width)
  float scale = 0;
  SizeIndex batch = 0, heads = 0, groups = 0, rows = 0, keys = 0, width = 0, depth = 0;
  SizeIndex q_strides[3] = {}, k_strides[3] = {}, v_strides[3] = {}, out_strides[3] = {};
  SizeIndex mask_strides[4] = {};
};

// integer: z = op(x, y) of i64, i32 or truth values, aligned at the leading axis. op is a kernels::IntegerOp.
struct IntegerParameters {
  uint8_t op = 0;
};

// range: start, start + stride, ... as i64, as many as the result holds; no inputs.
struct RangeParameters {
  SizeIndex start = 0;
  int64_t stride = 1;
};

// recurrent: inputs {x [time, rows, gates * hidden], recurrent weights, bias [gates * hidden], h [rows,
// hidden], c of an LSTM}, outputs {h of each step [time, rows, hidden], h, c of an LSTM}. The weights are
// packed as the right operand of a product [hidden, gates * hidden]; gru_before has two of them behind each
// other, those of the gates r and z and, `second` items on, those of the candidate.
enum class RecurrentCell : uint8_t { lstm = 0, gru = 1, gru_before = 2, rnn_tanh = 3, rnn_relu = 4 };
struct RecurrentParameters {
  uint8_t cell = 0;  // a RecurrentCell
  uint8_t reverse = 0;
  int32_t packed_nr = 0;
  int64_t hidden = 0;
  int64_t second = 0;
};

// loop: runs a body once for each chunk of the inputs that are cut. inputs: one for each input of the body;
// outputs: one for each entry of `outputs`. Chunks are counted in cells of their axis, negative ones from the
// end to the start.
inline constexpr uint32_t kMaxLoopInputs = 32, kMaxLoopOutputs = 16, kMaxLoopSymbols = 8;
enum class LoopInputKind : uint8_t { scan = 0, full = 1, state = 2 };
struct LoopInput {
  LoopInputKind kind = LoopInputKind::full;
  uint8_t axis = 0;
  uint16_t next = 0;  // of a state: the body's result that is its next value
  int64_t chunk = 0;
};
struct LoopOutput {
  uint16_t result = 0;  // of the body
  uint8_t is_full = 0;  // all chunks joined along the axis, else the last one
  uint8_t axis = 0;
  int64_t chunk = 0;
};
struct LoopParameters {
  uint32_t body = 0;  // into PlanView::bodies
  uint32_t input_count = 0, output_count = 0, symbol_count = 0;
  SizeIndex symbols[kMaxLoopSymbols] = {};  // values of the body's symbols, in its order
  LoopInput inputs[kMaxLoopInputs];
  LoopOutput outputs[kMaxLoopOutputs];
};

// resample: inputs {x, index (i32), weights? (f32), first? (i32)}, see kernels::ResampleAxis; `first` when
// taps is 0.
struct ResampleParameters {
  uint32_t axis = 0;
  uint8_t taps = 0;
  uint8_t has_weights = 0;
  float outside = 0;
  int64_t in = 0;  // the extent that the table was made for
};

// How accumulators become codes: kernels::CodeEpilogue without its pointers.
struct CodeEpilogueParameters {
  double scale = 1;
  int32_t limit = 0, zero_point = 0, low = 0, high = 255;
  uint8_t by_channel = 0;  // scales are an input
  uint8_t flip = 0, raw = 0, narrow = 0;
};

// code_binary: kernels::CodeBinary. The operands have the extents of the result, or the second one is a
// vector of channels for each image (is_gate; channels-last).
struct CodeBinaryParameters {
  uint8_t op = 0;
  uint8_t is_gate = 0;
  uint8_t is_signed = 0, x_flip = 0, y_flip = 0, flip = 0;
  int32_t x_zero = 0, y_zero = 0, zero = 0, low = 0, high = 255;
  float x_scale = 1, y_scale = 1, scale = 1, reciprocal = 0;
};

// code_conv: inputs {x, packed weights, start, scales?, residual?}. A convolution: x and result
// channels-last. A product (is_product): x [..., in_channels] and the result [..., out_channels] plain, all
// but the last axis are rows. lanes, group: the packed layout. `adds`: codes are then added to those of the
// residual, as `sum` says.
struct CodeConvParameters {
  CodeEpilogueParameters epilogue;
  CodeBinaryParameters sum;
  uint8_t adds = 0;
  uint8_t is_product = 0;
  uint8_t x_flip = 0, x_zero = 0;
  uint8_t has_factor = 0;
  uint8_t depthwise_dots = 0;  // weights are packed for dot products over taps
  int32_t factor = 0;          // times the sum of a window
  int32_t lanes = 0, group = 0;
  int64_t groups = 1, in_channels = 0, out_channels = 0;
  int64_t filter[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, dilation[3] = {1, 1, 1};
  SizeIndex pad_before[3] = {};
};

// code_repack: [N, C, D...] <-> [N, D..., C'] as u8.
struct CodeRepackParameters {
  uint8_t to_last = 0;
  SizeIndex channels = 0;
};

// quantize and dequantize: zero point as u8; flip 0x80 where the bytes are i8.
struct QuantizeParameters {
  float scale = 1;
  int32_t zero_point = 0;
  uint8_t is_signed = 0, flip = 0;
};

// code_map: inputs {x, table of 256 bytes}; y = table[x]. A table that only clamps u8 says so.
struct CodeMapParameters {
  uint8_t clamps = 0, low = 0, high = 255;
};

// code_mean: over all positions of each image; code_pool: windows over positions (PoolParameters; average
// pools only have scales). Zero points as u8.
struct CodePoolParameters {
  PoolParameters window;
  float x_scale = 1, scale = 1;
  int32_t x_zero = 0, zero = 0;
  uint8_t is_signed = 0;
};

// code_softmax: over adjacent axes, plain.
struct CodeSoftmaxParameters {
  uint32_t first_axis = 0, axis_count = 0;
  float x_scale = 1, scale = 1;
  int32_t zero_point = 0;
};

}  // namespace nnefrun
