#include "kernels/conv/conv.h"

#include <cassert>
#include <cstring>

#include "kernels/choose.h"
#include "kernels/conv/rows.h"
#include "kernels/matmul/block.h"

namespace nnefrun::kernels {

#define NNEFRUN_FLOAT_ISA(suffix) extern const ConvKernels conv_##suffix;
#include "kernels/float_isas.inc"

namespace {

const ConvKernels* const kRows[] = {
#define NNEFRUN_FLOAT_ISA(suffix) &conv_##suffix,
#include "kernels/float_isas.inc"
};
constexpr int kRowCount = static_cast<int>(sizeof(kRows) / sizeof(kRows[0]));

constexpr int64_t kSlack = 16;               // items that a vector may reach beyond a scratch
constexpr int64_t kDepthwiseScratch = 8192;  // items of staged rows that stay in the first cache
constexpr int kMaxColumns = 64;              // the widest nr

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
int64_t volume(const int64_t (&extents)[3]) { return extents[0] * extents[1] * extents[2]; }

bool all_are(const int64_t (&values)[3], int64_t expected) {
  return values[0] == expected && values[1] == expected && values[2] == expected;
}
bool equal(const int64_t (&a)[3], const int64_t (&b)[3]) {
  return a[0] == b[0] && a[1] == b[1] && a[2] == b[2];
}

int64_t depth_of_product(const ConvShape& s) { return s.in_channels / s.groups * volume(s.filter); }

// The input itself is the right operand: 1x1 filters, or filters that cover the whole input at one position.
bool is_plain_product(const ConvShape& s) {
  if (!all_are(s.pad_before, 0)) return false;
  if (all_are(s.filter, 1) && all_are(s.stride, 1) && equal(s.in, s.out)) return true;
  return all_are(s.out, 1) && equal(s.filter, s.in) && all_are(s.dilation, 1);
}
int64_t plain_columns(const ConvShape& s) { return all_are(s.filter, 1) ? volume(s.in) : 1; }

// A rectangle of output positions within one output plane: whole rows, or a part of one row.
struct Patch {
  int64_t row, rows, column, columns;
};

// How staged rows are laid out for a patch. See rows.h.
struct Staging {
  int64_t phases;  // for each row
  int64_t length;  // of one phase
  int64_t rows;
  int64_t row_items() const { return phases * length; }
  int64_t plane_items() const { return rows * row_items(); }
};
Staging staging_of(const ConvShape& s, int64_t patch_rows, int64_t patch_columns) {
  Staging g;
  g.phases = s.filter[2] == 1 ? 1 : s.stride[2];
  g.length = patch_columns + (s.filter[2] - 1) * s.dilation[2] / s.stride[2];
  g.rows = (patch_rows - 1) * s.stride[1] + (s.filter[1] - 1) * s.dilation[1] + 1;
  return g;
}

int64_t patch_rows(const ConvShape& s, int64_t items) {
  return s.out[2] >= items ? 1 : smaller(s.out[1], items / (s.out[2] > 0 ? s.out[2] : 1));
}
int64_t depthwise_rows_at_once(const ConvShape& s) {
  const Staging one = staging_of(s, 1, s.out[2]);
  int64_t rows = 1;
  // grows while the scratch holds them; a row longer than the scratch is taken alone
  while (rows < s.out[1] && staging_of(s, rows + 1, s.out[2]).rows * one.row_items() <= kDepthwiseScratch)
    ++rows;
  return rows;
}
// Planes of the input (channel and depth of the filter) that one k block can touch.
int64_t planes_of_block(const ConvShape& s, int64_t k_block) {
  const int64_t taps = s.filter[1] * s.filter[2];
  return smaller((k_block + taps - 2) / taps + 1, s.in_channels / s.groups * s.filter[0]);
}
bool needs_staging(const ConvShape& s) {
  if (s.stride[2] != 1 || !all_are(s.pad_before, 0)) return true;
  for (int axis = 0; axis < 3; ++axis) {
    const int64_t reach = (s.out[axis] - 1) * s.stride[axis] + (s.filter[axis] - 1) * s.dilation[axis] + 1;
    if (reach > s.in[axis]) return true;
  }
  return false;
}

// The floats of the parts of the workspace.
struct WorkspaceParts {
  int64_t staged, panels, bases;
};
WorkspaceParts workspace_parts(const ConvShape& s, const MatmulKernel& kernel) {
  WorkspaceParts parts = {};
  if (volume(s.out) == 0) return parts;
  if (conv_is_depthwise(s)) {
    const int64_t taps = s.filter[1] * s.filter[2];
    parts.staged = staging_of(s, depthwise_rows_at_once(s), s.out[2]).plane_items() + kSlack + 4 * kSlack;
    parts.bases = round_up(taps * 2, kSlack);
    return parts;
  }
  const int64_t k_block = matmul_k_block(kernel, depth_of_product(s));
  const int64_t columns = smaller(kernel.nc, s.out[2]);
  const int64_t rows = patch_rows(s, kernel.nc);
  if (needs_staging(s)) {
    parts.staged =
        round_up(staging_of(s, rows, columns).plane_items() * planes_of_block(s, k_block) + kSlack, kSlack);
  }
  parts.panels = round_up(round_up(rows * columns, kernel.nr) * k_block + kSlack, kSlack);
  parts.bases = round_up(k_block * static_cast<int64_t>(sizeof(const float*)) / 4 + kSlack, kSlack);
  return parts;
}

struct Convolution {
  const ConvArgs& args;
  const ConvShape& s;
  const MatmulKernel& kernel;
  const ConvKernels& rows;
  float* staged;
  float* panels;
  float* bases;

  bool has_epilogue() const {
    const Epilogue& e = args.epilogue;
    return e.scale != 1.0F || e.bias_axis != BiasAxis::none || e.residual != nullptr ||
           e.activation != Activation::none;
  }
  // The epilogue of one batch item, with the residual moved to it.
  Epilogue epilogue_of(int64_t batch) const {
    Epilogue e = args.epilogue;
    e.residual_row_stride = volume(s.out);
    if (e.residual != nullptr) e.residual += batch * s.out_channels * volume(s.out);
    return e;
  }
  const float* plane(int64_t batch, int64_t channel, int64_t depth) const {
    if (depth < 0 || depth >= s.in[0]) return nullptr;
    return args.x + ((batch * s.in_channels + channel) * s.in[0] + depth) * s.in[1] * s.in[2];
  }

  void stage_plane(const float* from, const Patch& patch, const Staging& g, float* to) const {
    StagePlane p;
    p.x = from;
    p.height = s.in[1];
    p.width = s.in[2];
    p.first_row = patch.row * s.stride[1] - s.pad_before[1];
    p.first_column = patch.column * s.stride[2] - s.pad_before[2];
    p.rows = g.rows;
    p.row_step =
        s.filter[1] == 1 ? s.stride[1] : 1;  // rows between the taps of a sparse stride are read by nobody
    p.stride = s.stride[2];
    p.phases = g.phases;
    p.length = g.length;
    p.out = to;
    rows.stage(p);
  }
  // Offset of a tap from the staged item of the first output position.
  int64_t tap_offset(const Staging& g, int64_t ky, int64_t kx) const {
    const int64_t shift = kx * s.dilation[2];
    return ky * s.dilation[1] * g.row_items() + shift % s.stride[2] * g.length + shift / s.stride[2];
  }

  void plain(int64_t batch, int64_t group, int64_t begin, int64_t end, const float* weights) const {
    const int64_t channels = s.in_channels / s.groups, per_group = s.out_channels / s.groups;
    const Epilogue epilogue = epilogue_of(batch);
    MatmulArgs m;
    m.m = per_group;
    m.n = plain_columns(s);
    m.k = depth_of_product(s);
    m.packed_a = weights;
    m.b = args.x + (batch * s.in_channels + group * channels) * volume(s.in);
    m.b_row_stride = m.n;
    m.c = args.y + (batch * s.out_channels + group * per_group) * volume(s.out);
    m.c_row_stride = m.n;
    m.accumulate = args.accumulate;
    m.epilogue = epilogue;
    if (m.epilogue.bias != nullptr) m.epilogue.bias += group * per_group;
    if (m.epilogue.residual != nullptr) m.epilogue.residual += group * per_group * m.n;
    m.row_begin = begin;
    m.row_end = end;
    matmul_f32(m, panels, kernel);
  }

  // Gathers the panels of one k block for a patch.
  void gather_block(int64_t batch, int64_t group, int64_t out_depth, const Patch& patch, int64_t depth,
                    int64_t count) const {
    const int64_t taps = s.filter[1] * s.filter[2];
    const int64_t first_channel = group * (s.in_channels / s.groups);
    const bool stage = needs_staging(s);
    const Staging g = stage ? staging_of(s, patch.rows, patch.columns) : Staging{1, s.in[2], s.in[1]};
    const int64_t first_plane = depth / taps, last_plane = (depth + count - 1) / taps;
    const float** base = reinterpret_cast<const float**>(bases);
    int64_t p = 0;
    for (int64_t q = first_plane; q <= last_plane; ++q) {
      const int64_t channel = first_channel + q / s.filter[0];
      const int64_t in_depth = out_depth * s.stride[0] - s.pad_before[0] + q % s.filter[0] * s.dilation[0];
      const float* from = plane(batch, channel, in_depth);
      if (stage) {
        float* to = staged + (q - first_plane) * g.plane_items();
        stage_plane(from, patch, g, to);
        from = to;
      } else {
        from += patch.row * s.stride[1] * s.in[2] + patch.column;
      }
      for (int64_t t = q * taps < depth ? depth - q * taps : 0; t < taps && p < count; ++t) {
        base[p++] = from + tap_offset(g, t / s.filter[2], t % s.filter[2]);
      }
    }
    GatherRun runs[kMaxColumns];
    GatherPanel panel;
    panel.bases = base;
    panel.depth = count;
    panel.runs = runs;
    panel.columns = kernel.nr;
    panel.may_overrun = stage;
    panel.panel = panels;
    const int64_t total = patch.rows * patch.columns;
    for (int64_t j = 0; j < total; j += kernel.nr, panel.panel += count * kernel.nr) {
      const int64_t stop = smaller(j + kernel.nr, total);
      panel.run_count = 0;
      for (int64_t at = j; at < stop;) {
        const int64_t row = at / patch.columns, column = at % patch.columns;
        GatherRun& run = runs[panel.run_count++];
        run.begin = static_cast<int32_t>(at - j);
        run.count = static_cast<int32_t>(smaller(patch.columns - column, stop - at));
        run.offset = row * s.stride[1] * g.row_items() + column;
        at += run.count;
      }
      rows.gather(panel);
    }
  }

  void gathered(int64_t batch, int64_t group, int64_t begin, int64_t end, const float* weights) const {
    const int64_t k = depth_of_product(s), k_block = matmul_k_block(kernel, k);
    const int64_t per_group = s.out_channels / s.groups, plane_items = s.out[1] * s.out[2];
    const Epilogue epilogue = epilogue_of(batch);
    const int64_t step_rows = patch_rows(s, kernel.nc), step_columns = smaller(kernel.nc, s.out[2]);
    MatmulBlock block;
    block.b_step = kernel.nr;
    block.c_row_stride = volume(s.out);
    for (int64_t out_depth = 0; out_depth < s.out[0]; ++out_depth) {
      for (int64_t row = 0; row < s.out[1]; row += step_rows) {
        for (int64_t column = 0; column < s.out[2]; column += step_columns) {
          const Patch patch = {row, smaller(step_rows, s.out[1] - row), column,
                               smaller(step_columns, s.out[2] - column)};
          block.n = patch.rows * patch.columns;
          block.column = out_depth * plane_items + row * s.out[2] + column;
          int64_t depth = 0;
          do {
            block.k = smaller(k_block, k - depth);
            if (block.k > 0) gather_block(batch, group, out_depth, patch, depth, block.k);
            block.b = panels;
            block.b_panel = block.k * kernel.nr;
            block.load_c = args.accumulate || depth > 0;
            block.epilogue = has_epilogue() && depth + block.k >= k ? &epilogue : nullptr;
            block.m = end - begin;
            block.a = weights + depth * round_up(per_group, kernel.mr) + begin * block.k;
            block.row = group * per_group + begin;
            block.c = args.y + (batch * s.out_channels + block.row) * volume(s.out) + block.column;
            kernel.block(block);
            depth += block.k;
          } while (depth < k);
        }
      }
    }
  }

  // What depthwise() takes from `bases`: where the taps are, in all channels and patches.
  void place_taps() const {
    const Staging g = staging_of(s, 1, s.out[2]);
    int64_t* offset = reinterpret_cast<int64_t*>(bases);
    for (int64_t y = 0; y < s.filter[1]; ++y) {
      for (int64_t x = 0; x < s.filter[2]; ++x) *offset++ = tap_offset(g, y, x);
    }
  }
  void depthwise(int64_t batch, int64_t channel) const {
    const int64_t per_group = s.out_channels / s.groups;
    const int64_t taps = s.filter[1] * s.filter[2], plane_items = s.out[1] * s.out[2];
    const int64_t step = depthwise_rows_at_once(s);
    const Epilogue epilogue = epilogue_of(batch);
    DepthwiseRows d;
    d.x = staged;
    d.taps = reinterpret_cast<const int64_t*>(bases);
    d.height = static_cast<int32_t>(s.filter[1]);
    d.width = static_cast<int32_t>(s.filter[2]);
    d.columns = s.out[2];
    d.rows_overlap = s.stride[1] == 1 && s.dilation[1] == 1;
    for (int64_t out_depth = 0; out_depth < s.out[0]; ++out_depth) {
      for (int64_t row = 0; row < s.out[1]; row += step) {
        const Patch patch = {row, smaller(step, s.out[1] - row), 0, s.out[2]};
        const Staging g = staging_of(s, patch.rows, patch.columns);
        d.row_step = s.stride[1] * g.row_items();
        d.input_row = g.row_items();
        d.rows = patch.rows;
        const int64_t column = out_depth * plane_items + row * s.out[2];
        d.y = args.y + (batch * s.out_channels + channel) * volume(s.out) + column;
        for (int64_t kz = 0; kz < s.filter[0]; ++kz) {
          const int64_t in_depth = out_depth * s.stride[0] - s.pad_before[0] + kz * s.dilation[0];
          stage_plane(plane(batch, channel / per_group, in_depth), patch, g, staged);
          d.weights = args.packed_weights + (channel * s.filter[0] + kz) * taps;
          d.load_y = args.accumulate || kz > 0;
          rows.depthwise(d);
        }
        if (has_epilogue()) kernel.epilogue_row(epilogue, d.y, channel, column, patch.rows * patch.columns);
      }
    }
  }
};

}  // namespace

const ConvKernels& choose_conv(IsaFeatures features) { return choose_row(kRows, kRowCount, features); }

const ConvKernels* const* conv_rows(int* count) {
  *count = kRowCount;
  return kRows;
}

bool conv_is_depthwise(const ConvShape& shape) {
  return shape.groups > 1 && shape.in_channels == shape.groups;
}

int64_t conv_channel_granule(const ConvShape& shape, const MatmulKernel& kernel) {
  if (conv_is_depthwise(shape)) return 1;
  return shape.groups > 1 ? shape.out_channels / shape.groups : kernel.mr;
}

size_t packed_conv_weights_size(const ConvShape& shape, const MatmulKernel& kernel) {
  if (conv_is_depthwise(shape)) return static_cast<size_t>(shape.out_channels * volume(shape.filter));
  const int64_t k = depth_of_product(shape);
  const int64_t one =
      round_up(static_cast<int64_t>(packed_a_size(shape.out_channels / shape.groups, k, kernel)), kSlack);
  return static_cast<size_t>(shape.groups * one);
}

void pack_conv_weights(const ConvShape& shape, const float* weights, float* packed,
                       const MatmulKernel& kernel) {
  if (conv_is_depthwise(shape)) {
    std::memcpy(packed, weights, packed_conv_weights_size(shape, kernel) * sizeof(float));
    return;
  }
  const int64_t per_group = shape.out_channels / shape.groups, k = depth_of_product(shape);
  const int64_t one = static_cast<int64_t>(packed_conv_weights_size(shape, kernel)) / shape.groups;
  for (int64_t g = 0; g < shape.groups; ++g) {
    const int64_t used = static_cast<int64_t>(packed_a_size(per_group, k, kernel));
    pack_a_f32(per_group, k, weights + g * per_group * k, k, 1, packed + g * one, kernel);
    for (int64_t i = used; i < one; ++i) packed[g * one + i] = 0.0F;
  }
}

size_t conv_workspace_size(const ConvShape& shape, const MatmulKernel& kernel) {
  if (is_plain_product(shape) && !conv_is_depthwise(shape)) {
    return matmul_workspace_size(shape.out_channels / shape.groups, plain_columns(shape),
                                 depth_of_product(shape), true, false, kernel);
  }
  const WorkspaceParts parts = workspace_parts(shape, kernel);
  return static_cast<size_t>(parts.staged + parts.panels + parts.bases) * sizeof(float);
}

void conv_f32(const ConvArgs& args, void* workspace, const MatmulKernel& kernel) {
  const ConvShape& s = args.shape;
  assert(s.groups >= 1 && s.in_channels % s.groups == 0 && s.out_channels % s.groups == 0);
  assert(kernel.nr <= kMaxColumns);
  assert(args.epilogue.bias_axis != BiasAxis::column);
  if (s.batch == 0 || s.out_channels == 0 || volume(s.out) == 0) return;
  const int64_t begin = args.channel_begin, end = args.channel_end < 0 ? s.out_channels : args.channel_end;
  assert(begin % conv_channel_granule(s, kernel) == 0);
  const bool depthwise = conv_is_depthwise(s), plain = is_plain_product(s) && !depthwise;
  const WorkspaceParts parts = plain ? WorkspaceParts{} : workspace_parts(s, kernel);
  float* space = static_cast<float*>(workspace);
  // pointers first: they want the alignment of the workspace, and the float parts only want whole vectors
  const Convolution conv = {args,
                            s,
                            kernel,
                            choose_conv(kernel.requires_isa),
                            space + parts.bases + parts.panels,
                            space + parts.bases,
                            space};
  if (depthwise && parts.bases > 0) conv.place_taps();
  const int64_t per_group = s.out_channels / s.groups;
  const int64_t group_items = static_cast<int64_t>(packed_conv_weights_size(s, kernel)) / s.groups;
  for (int64_t batch = 0; batch < s.batch; ++batch) {
    if (depthwise) {
      for (int64_t channel = begin; channel < end; ++channel) conv.depthwise(batch, channel);
      continue;
    }
    for (int64_t group = begin / per_group; group * per_group < end; ++group) {
      const int64_t first = begin > group * per_group ? begin - group * per_group : 0;
      const int64_t last = smaller(per_group, end - group * per_group);
      const float* weights = args.packed_weights + group * group_items;
      if (plain) {
        conv.plain(batch, group, first, last, weights);
      } else {
        conv.gathered(batch, group, first, last, weights);
      }
    }
  }
}

}  // namespace nnefrun::kernels
