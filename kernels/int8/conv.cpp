#include "kernels/int8/conv.h"

#include <string.h>

#include "kernels/int8/pack.h"

namespace nnefrun::kernels {
namespace {

constexpr int64_t kMostRows = kAmxBlockRows;        // pixels of one call, at most
constexpr int64_t kBlockRows = 128;                 // without AMX
constexpr int64_t kBlockBytes = int64_t{1} << 18;   // of the left side of one call, widened
constexpr int64_t kRegionBytes = int64_t{1} << 17;  // of a padded copy
constexpr int64_t kSmallRegion = int64_t{1} << 15;  // not worth cutting
constexpr int64_t kEnoughTasks = 8;

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
int64_t ceil_of(int64_t n, int64_t unit) { return (n + unit - 1) / unit; }

// How a convolution is cut. Tasks are bands of output rows of one depth of one image, or blocks of pixels
// where pixels need no padding; each in `parts` parts of the columns.
struct Cut {
  ConvShape s;  // a single spatial axis is the second one
  int64_t group_in, group_out, depth;
  bool depthwise, copies;
  int64_t taps;
  int64_t copy_channels;  // bytes of a pixel of the copy
  int64_t band;           // output rows of a task
  int64_t bands;          // tasks of a depth
  int64_t region[3];      // extents of the copy
  int64_t phases;         // input rows of the copy that are `phases` apart lie beside each other
  int64_t block;          // pixels of a call
  int64_t panels, parts;
  size_t region_bytes, workspace;
  // The place of an input row in the copy.
  int64_t row_place(int64_t y) const { return y % phases * (region[1] / phases) + y / phases; }
  int64_t row_tasks() const { return s.batch * s.out[0] * bands; }
};

bool reads_outside(const ConvShape& s) {
  for (int i = 0; i < 3; ++i) {
    const int64_t last = (s.out[i] - 1) * s.stride[i] + (s.filter[i] - 1) * s.dilation[i] - s.pad_before[i];
    if (s.pad_before[i] > 0 || last >= s.in[i]) return true;
  }
  return false;
}

Cut cut_of(const CodeConvArgs& args, const Int8Kernels& kernels) {
  Cut c;
  c.s = args.shape;
  ConvShape& s = c.s;
  if (s.in[1] == 1 && s.out[1] == 1 && s.filter[1] == 1 && s.pad_before[1] == 0) {
    s.in[1] = s.in[2], s.out[1] = s.out[2], s.filter[1] = s.filter[2], s.stride[1] = s.stride[2];
    s.dilation[1] = s.dilation[2], s.pad_before[1] = s.pad_before[2];
    s.in[2] = s.out[2] = s.filter[2] = s.stride[2] = s.dilation[2] = 1;
    s.pad_before[2] = 0;
  }
  c.depthwise = is_depthwise_codes(s);
  c.group_in = s.in_channels / s.groups;
  c.group_out = s.out_channels / s.groups;
  c.depth = c.depthwise ? round_up_to(s.in_channels, 4) : round_up_to(c.group_in, 4);
  c.taps = s.filter[0] * s.filter[1] * s.filter[2];
  const bool whole_groups = c.depthwise || s.groups == 1 || c.group_in % 4 == 0;
  c.copies = args.x_flip != 0 || reads_outside(s) || !whole_groups || args.x_stride < c.depth;
  c.copy_channels = c.depthwise ? c.depth : s.groups * c.depth;
  const int64_t filter_rows = (s.filter[1] - 1) * s.dilation[1] + 1;
  c.region[0] = (s.filter[0] - 1) * s.dilation[0] + 1;
  // Whole steps: so the pixels of all output rows lie on one grid.
  c.region[2] =
      round_up_to((s.out[2] - 1) * s.stride[2] + (s.filter[2] - 1) * s.dilation[2] + 1, s.stride[2]);
  const int64_t bytes = kernels.widens ? 2 : 1;
  const bool tiles = kernels.rows == kAmxRows && !c.depthwise;  // they read in place and copy in blocks
  c.block = tiles         ? kAmxBlockRows
            : c.depthwise ? kBlockRows
                          : smaller(kBlockRows, kBlockBytes / larger(1, c.taps * c.depth * bytes));
  c.block = larger(1, c.block / kernels.rows) * kernels.rows;
  if (c.copies) {
    const int64_t line = c.region[0] * c.region[2] * c.copy_channels;  // bytes of an input row
    const int64_t fitting = (kRegionBytes / larger(1, line) - filter_rows) / s.stride[1] + 1;
    const int64_t whole = ((s.out[1] - 1) * s.stride[1] + filter_rows) * line;
    c.band = whole <= (tiles ? kRegionBytes : kSmallRegion)
                 ? s.out[1]
                 : smaller(larger(1, fitting), ceil_of(s.out[1], 4));
  } else {
    c.band = ceil_of(c.block, larger(1, s.out[2]));
  }
  c.band = larger(1, smaller(c.band, s.out[1]));
  c.bands = ceil_of(s.out[1], c.band);
  c.phases = c.copies ? s.stride[1] : 1;
  c.region[1] = round_up_to((c.band - 1) * s.stride[1] + filter_rows, c.phases);
  c.region_bytes =
      c.copies
          ? static_cast<size_t>(round_up_to(c.region[0] * c.region[1] * c.region[2] * c.copy_channels, 64))
          : 0;
  c.panels = cut_panels(c.group_out, kernels.lanes, kernels.vectors).panels;
  c.parts = 1;
  if (!c.depthwise && s.groups == 1 && c.row_tasks() < kEnoughTasks)
    c.parts = larger(1, smaller(c.panels, ceil_of(kEnoughTasks, larger(1, c.row_tasks()))));
  c.workspace = c.region_bytes + (c.depthwise ? 0 : product_workspace(c.block, c.taps, c.depth, kernels));
  return c;
}

void copy_flipped(const uint8_t* from, uint8_t* to, int64_t count, uint8_t flip) {
  if (flip == 0) {
    memcpy(to, from, static_cast<size_t>(count));
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
  }
}

// One pixel's channels as the products want them: groups rounded up to multiples of 4.
void copy_pixel(const Cut& c, const CodeConvArgs& a, const uint8_t* from, uint8_t* to) {
  if (c.depthwise || c.s.groups == 1) {
    copy_flipped(from, to, c.s.in_channels, a.x_flip);
    for (int64_t i = c.s.in_channels; i < c.copy_channels; ++i) to[i] = a.x_zero;
    return;
  }
  for (int64_t g = 0; g < c.s.groups; ++g) {
    copy_flipped(from + g * c.group_in, to + g * c.depth, c.group_in, a.x_flip);
    for (int64_t i = c.group_in; i < c.depth; ++i) to[g * c.depth + i] = a.x_zero;
  }
}

// The input that output rows from `first` on need, with its padding. `x` is the image.
void copy_region(const Cut& c, const CodeConvArgs& a, const uint8_t* x, int64_t depth_at, int64_t first,
                 int64_t rows, uint8_t* to) {
  const ConvShape& s = c.s;
  const int64_t z0 = depth_at * s.stride[0] - s.pad_before[0], y0 = first * s.stride[1] - s.pad_before[1],
                x0 = -s.pad_before[2];
  const int64_t height = (rows - 1) * s.stride[1] + (s.filter[1] - 1) * s.dilation[1] + 1;
  const int64_t width = c.region[2], line = width * c.copy_channels;
  const bool same =
      a.x_flip == 0 && a.x_stride == c.copy_channels && (s.groups == 1 || c.depthwise || c.group_in % 4 == 0);
  const int64_t left = smaller(larger(0, -x0), width), right = larger(left, smaller(width, s.in[2] - x0));
  for (int64_t z = 0; z < c.region[0]; ++z) {
    for (int64_t y = 0; y < height; ++y) {
      uint8_t* row = to + (z * c.region[1] + c.row_place(y)) * line;
      const int64_t iz = z0 + z, iy = y0 + y;
      if (iz < 0 || iz >= s.in[0] || iy < 0 || iy >= s.in[1]) {
        memset(row, a.x_zero, static_cast<size_t>(line));
        continue;
      }
      const uint8_t* from = x + ((iz * s.in[1] + iy) * s.in[2] + x0) * a.x_stride;
      memset(row, a.x_zero, static_cast<size_t>(left * c.copy_channels));
      if (same) {
        memcpy(row + left * c.copy_channels, from + left * a.x_stride,
               static_cast<size_t>((right - left) * c.copy_channels));
      } else {
        for (int64_t i = left; i < right; ++i)
          copy_pixel(c, a, from + i * a.x_stride, row + i * c.copy_channels);
      }
      memset(row + right * c.copy_channels, a.x_zero, static_cast<size_t>((width - right) * c.copy_channels));
    }
  }
}

// Runs one band, for the panels [panel_begin, panel_end) of columns.
void run_band(const Cut& c, const CodeConvArgs& a, const Int8Kernels& kernels, int64_t task,
              int64_t panel_begin, int64_t panel_end, uint8_t* workspace, int64_t* taps) {
  const ConvShape& s = c.s;
  const int64_t band = task % c.bands, depth_at = task / c.bands % s.out[0],
                image = task / c.bands / s.out[0];
  const int64_t first = band * c.band, rows = smaller(c.band, s.out[1] - first);
  const int64_t in_pixels = s.in[0] * s.in[1] * s.in[2], out_pixels = s.out[0] * s.out[1] * s.out[2];
  const uint8_t* x = a.x + image * in_pixels * a.x_stride;
  int64_t pixel, line, plane;  // strides of the left side, in bytes
  int64_t at;                  // of the first tap of the first row
  if (c.copies) {
    copy_region(c, a, x, depth_at, first, rows, workspace);
    x = workspace;
    pixel = c.copy_channels, line = c.region[2] * pixel, plane = c.region[1] * line;
    at = 0;
  } else {
    pixel = a.x_stride, line = s.in[2] * pixel, plane = s.in[1] * line;
    at = (depth_at * s.stride[0] - s.pad_before[0]) * plane + (first * s.stride[1] - s.pad_before[1]) * line -
         s.pad_before[2] * pixel;
  }
  for (int64_t z = 0, t = 0; z < s.filter[0]; ++z) {
    for (int64_t y = 0; y < s.filter[1]; ++y) {
      for (int64_t w = 0; w < s.filter[2]; ++w, ++t)
        taps[t] =
            z * s.dilation[0] * plane + c.row_place(y * s.dilation[1]) * line + w * s.dilation[2] * pixel;
    }
  }
  const int64_t row_step = s.stride[1] / c.phases * line;
  // Taps beside each other are one that is deeper, where weights have nothing between them.
  const bool joined = !c.depthwise && s.dilation[2] == 1 && pixel == c.depth &&
                      c.depth % kernels.group == 0 && (a.factors == nullptr || c.group_in == c.depth);
  const int64_t joined_taps = joined ? s.filter[2] : 1;
  for (int64_t t = 0; t < c.taps; t += joined_taps) taps[t / joined_taps] = taps[t];
  int64_t offsets[kMostRows];
  int32_t sums[kMostRows];
  const int64_t y_at = (image * out_pixels + (depth_at * s.out[1] + first) * s.out[2]) * a.y_stride;
  const size_t item = a.epilogue.raw ? sizeof(int32_t) : 1;
  const int64_t pixels = rows * s.out[2];
  int64_t row = 0, column = 0;
  for (int64_t done = 0; done < pixels; done += c.block) {
    const int64_t count = smaller(c.block, pixels - done);
    for (int64_t i = 0; i < count; ++i) {
      offsets[i] = at + row * row_step + column * s.stride[2] * pixel;
      if (++column == s.out[2]) column = 0, ++row;
    }
    uint8_t* y = static_cast<uint8_t*>(a.y) + static_cast<size_t>(y_at + done * a.y_stride) * item;
    if (c.depthwise) {
      CodeDepthwise d;
      d.x = x;
      d.rows = offsets;
      d.row_count = count;
      d.taps = taps;
      d.tap_count = c.taps;
      d.channels = smaller(a.y_stride, c.depth);
      d.weights = a.depthwise_weights;
      d.dot_weights = a.depthwise_dots;
      d.start = a.start;
      d.epilogue = a.epilogue;
      d.y = y;
      d.y_stride = a.y_stride;
      kernels.depthwise(d);
      continue;
    }
    CodeProduct p;
    p.rows = offsets;
    p.row_count = count;
    p.taps = taps;
    p.tap_count = c.taps / joined_taps;
    p.depth = c.depth * joined_taps;
    p.columns = c.group_out;
    p.panel_begin = panel_begin;
    p.panel_end = panel_end;
    p.epilogue = a.epilogue;
    p.y_stride = a.y_stride;
    p.workspace = workspace + c.region_bytes;
    const int64_t width = round_up_to(c.group_out, kernels.lanes);
    const size_t group_size = packed_group_size(s, kernels);
    for (int64_t g = 0; g < s.groups; ++g) {
      p.x = x + g * (c.copies ? c.depth : c.group_in);
      p.weights = a.weights + static_cast<size_t>(g) * group_size;
      p.start = a.start + g * width;
      if (a.epilogue.scales != nullptr) p.epilogue.scales = a.epilogue.scales + g * width;
      p.y = y + static_cast<size_t>(g * c.group_out) * item;
      if (a.sum != nullptr) {
        p.sum = a.sum;
        p.residual = a.residual + (static_cast<uint8_t*>(p.y) - static_cast<uint8_t*>(a.y));
      }
      if (a.factors != nullptr) {
        kernels.row_sums(p, c.group_in * joined_taps, sums);
        for (int64_t i = 0; i < count; ++i)
          sums[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) * static_cast<uint32_t>(*a.factors));
        p.row_terms = sums;
      }
      kernels.product(p);
    }
  }
}

}  // namespace

bool is_depthwise_codes(const ConvShape& s) {
  return s.groups > 1 && s.groups == s.in_channels && s.groups == s.out_channels;
}

bool takes_depthwise_dots(const ConvShape& s, const Int8Kernels& kernels) {
  constexpr int64_t kWorthBlocks = 48;  // channels that fill a good part of 64
  return kernels.depthwise_dots && is_depthwise_codes(s) && s.out_channels >= kWorthBlocks;
}

int64_t code_channels(const ConvShape& s, const Int8Kernels& kernels) {
  if (is_depthwise_codes(s)) return round_up_to(s.out_channels, kernels.depthwise_dots ? 64 : kernels.lanes);
  return s.groups * round_up_to(s.out_channels / s.groups, kernels.lanes);
}

size_t packed_group_size(const ConvShape& s, const Int8Kernels& kernels) {
  CodeWeights w;
  w.columns = s.out_channels / s.groups;
  w.channels = s.in_channels / s.groups;
  w.taps = s.filter[0] * s.filter[1] * s.filter[2];
  return packed_codes_size(w, kernels);
}

CodeConvCut cut_code_conv(const CodeConvArgs& args, const Int8Kernels& kernels) {
  const ConvShape& s = args.shape;
  if (s.batch * s.out[0] * s.out[1] * s.out[2] == 0 || s.out_channels == 0) return {};
  const Cut c = cut_of(args, kernels);
  return {c.row_tasks() * c.parts, c.workspace + static_cast<size_t>(round_up_to(c.taps * 8, 64))};
}

void code_conv(const CodeConvArgs& args, int64_t begin, int64_t end, void* workspace,
               const Int8Kernels& kernels) {
  const Cut c = cut_of(args, kernels);
  auto* taps = static_cast<int64_t*>(workspace);
  uint8_t* rest = static_cast<uint8_t*>(workspace) + round_up_to(c.taps * 8, 64);
  while (begin < end) {
    const int64_t task = begin / c.parts, part = begin % c.parts;
    const int64_t parts = smaller(c.parts - part, end - begin);
    run_band(c, args, kernels, task, part * c.panels / c.parts, (part + parts) * c.panels / c.parts, rest,
             taps);
    begin += parts;
  }
}

}  // namespace nnefrun::kernels
