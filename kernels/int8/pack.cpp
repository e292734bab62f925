#include "kernels/int8/pack.h"

namespace nnefrun::kernels {
namespace {

int8_t weight_at(const CodeWeights& s, int64_t column, int64_t channel, int64_t tap) {
  if (column >= s.columns || channel >= s.channels) return 0;
  const int8_t code = s.w[column * s.column_stride + channel * s.channel_stride + tap * s.tap_stride];
  return static_cast<int8_t>(static_cast<uint8_t>(code) ^ s.flip);
}

// Bytes that a row reads behind the last panel. AMX rows go through all taps in whole steps of kAmxBytes
// where they copy the left side.
int64_t slack_of(const CodeWeights& s, const Int8Kernels& kernels) {
  if (kernels.rows != kAmxRows) return kernels.slack;
  const int64_t depth = s.taps * packed_depth(s.channels, kernels.group);
  const int64_t vectors = cut_panels(s.columns, kernels.lanes, kernels.vectors).vectors;
  const int64_t widest = vectors < kernels.vectors ? vectors : kernels.vectors;
  return (round_up_to(depth, kAmxBytes) - depth) * widest * kernels.lanes;
}

}  // namespace

size_t packed_codes_size(const CodeWeights& s, const Int8Kernels& kernels) {
  const int64_t items =
      round_up_to(s.columns, kernels.lanes) * s.taps * packed_depth(s.channels, kernels.group);
  const int64_t slack = slack_of(s, kernels);
  return static_cast<size_t>(round_up_to(items + slack, slack > 0 ? 64 : 1));
}

void pack_codes(const CodeWeights& s, int8_t* packed, const Int8Kernels& kernels) {
  const int8_t* const end = packed + packed_codes_size(s, kernels);
  const PanelCut cut = cut_panels(s.columns, kernels.lanes, kernels.vectors);
  const int64_t group = kernels.group, lanes = kernels.lanes, depth = packed_depth(s.channels, kernels.group);
  for (int64_t panel = 0; panel < cut.panels; ++panel) {
    const int64_t first = panel_start(cut, panel) * lanes, last = panel_start(cut, panel + 1) * lanes;
    for (int64_t tap = 0; tap < s.taps; ++tap) {
      for (int64_t channel = 0; channel < depth; channel += group) {
        for (int64_t column = first; column < last; ++column) {
          for (int64_t i = 0; i < group; ++i) *packed++ = weight_at(s, column, channel + i, tap);
        }
      }
    }
  }
  while (packed < end) *packed++ = 0;
}

void sum_codes(const CodeWeights& s, int32_t* sums) {
  for (int64_t column = 0; column < s.columns; ++column) {
    uint32_t sum = 0;
    for (int64_t channel = 0; channel < s.channels; ++channel) {
      for (int64_t tap = 0; tap < s.taps; ++tap)
        sum += static_cast<uint32_t>(weight_at(s, column, channel, tap));
    }
    sums[column] = static_cast<int32_t>(sum);
  }
}

size_t packed_depthwise_codes_size(int64_t channels, int64_t taps, const Int8Kernels& kernels) {
  return static_cast<size_t>(round_up_to(channels, kernels.lanes) * taps);
}

void pack_depthwise_codes(const int32_t* w, int64_t channels, int64_t taps, int16_t* packed,
                          const Int8Kernels& kernels) {
  for (int64_t first = 0; first < channels; first += kernels.lanes) {
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = first; c < first + kernels.lanes; ++c)
        *packed++ = static_cast<int16_t>(c < channels ? w[c * taps + tap] : 0);
    }
  }
}

size_t packed_depthwise_dots_size(int64_t channels, int64_t taps) {
  return static_cast<size_t>(round_up_to(channels, 64) * round_up_to(taps, 4));
}

void pack_depthwise_dots(const int32_t* w, int64_t channels, int64_t taps, int8_t* packed) {
  const int64_t quads = round_up_to(taps, 4) / 4;
  for (size_t i = 0; i < packed_depthwise_dots_size(channels, taps); ++i) packed[i] = 0;
  for (int64_t c = 0; c < channels; ++c) {
    const int64_t slot = depthwise_slot(c) % 64;
    for (int64_t tap = 0; tap < taps; ++tap)
      packed[(c / 64 * quads + tap / 4) * 256 + slot * 4 + tap % 4] = static_cast<int8_t>(w[c * taps + tap]);
  }
}

}  // namespace nnefrun::kernels
