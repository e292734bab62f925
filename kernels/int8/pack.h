// Packed weights of the 8-bit products.
//
// Columns are cut into vectors of `lanes`, vectors into panels of at most `vectors`, as equal as can be. A
// panel holds, for each tap and each group of `group` items of the depth, its vectors one after the other,
// and in a vector `group` weights of each column. So a panel that begins at vector v begins at byte v * lanes
// * taps * depth, where the depth of a tap is packed_depth().
#pragma once

#include "kernels/int8/int8.h"

namespace nnefrun::kernels {

constexpr int64_t round_up_to(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Weights of a tap and a column, with the zeros behind the last channel that fill up the last group.
constexpr int64_t packed_depth(int64_t channels, int group) {
  return round_up_to(channels, group > 4 ? group : 4);
}

struct PanelCut {
  int64_t vectors = 0, panels = 0;
};
constexpr PanelCut cut_panels(int64_t columns, int lanes, int widest) {
  const int64_t vectors = (columns + lanes - 1) / lanes;
  return {vectors, (vectors + widest - 1) / widest};
}
// The first vector of a panel; of panel `panels`: one behind the last.
constexpr int64_t panel_start(const PanelCut& cut, int64_t panel) {
  const int64_t small = cut.vectors / cut.panels, large = cut.vectors % cut.panels;
  return panel * small + (panel < large ? panel : large);
}

// Where weights come from: item [column, channel, tap] at w[column * column_stride + channel * channel_stride
// + tap * tap_stride].
struct CodeWeights {
  const int8_t* w = nullptr;  // u8 weights: with `flip` 0x80, and a zero point that is 128 less
  int64_t columns = 0, channels = 0, taps = 1;
  int64_t column_stride = 0, channel_stride = 0, tap_stride = 0;
  uint8_t flip = 0;
};
// Bytes, and the packing.
size_t packed_codes_size(const CodeWeights& weights, const Int8Kernels& kernels = choose_int8());
void pack_codes(const CodeWeights& weights, int8_t* packed, const Int8Kernels& kernels = choose_int8());
// sums[column]: over all channels and taps. `columns` items.
void sum_codes(const CodeWeights& weights, int32_t* sums);

// Items of packed depthwise weights for `channels`, and the packing of w[channel * taps + tap] (16-bit
// numbers, zero points subtracted).
size_t packed_depthwise_codes_size(int64_t channels, int64_t taps,
                                   const Int8Kernels& kernels = choose_int8());
void pack_depthwise_codes(const int32_t* w, int64_t channels, int64_t taps, int16_t* packed,
                          const Int8Kernels& kernels = choose_int8());

// The same for rows with depthwise_dots: [blocks of 64 channels][taps / 4][4][16][4 taps] bytes. Channel c
// has its `start` and scale at depthwise_slot(c).
constexpr int64_t depthwise_slot(int64_t channel) {
  const int64_t in_block = channel % 64;
  return channel - in_block + in_block % 16 / 4 * 16 + in_block / 16 * 4 + in_block % 4;
}
size_t packed_depthwise_dots_size(int64_t channels, int64_t taps);
void pack_depthwise_dots(const int32_t* w, int64_t channels, int64_t taps, int8_t* packed);

}  // namespace nnefrun::kernels
