// Ranges of activations, from what was seen of them: how to choose the scale and zero point of 8-bit codes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/data_type.h"

namespace nnefrun {

enum class RangeMethod : uint8_t {
  min_max,     // everything that was seen
  percentile,  // all but a share of the values at both ends
  mse,         // the range with the least mean square error of the codes
};
std::optional<RangeMethod> range_method_from_name(std::string_view name);  // "minmax", "percentile", "mse"

// A histogram whose bins widen as larger values come.
class RangeObserver {
 public:
  // NaN and infinities are left out.
  void add(const float* values, int64_t count);
  bool empty() const { return count_ == 0; }
  double low() const { return low_; }
  double high() const { return high_; }
  // Codes of i8 (-128 to 127) whose range contains 0. `kept`: the share of values that a percentile keeps,
  // e.g. 0.9999. A range of nothing but 0 has the scale 1.
  AffineQuantization quantization(RangeMethod method, double kept = 0.9999) const;

 private:
  static constexpr int kBins = 4096;  // over [-limit_, limit_)
  void widen(double magnitude);
  double edge(int bin) const { return (bin - kBins / 2) * (2 * limit_ / kBins); }
  std::vector<double> bins_ = std::vector<double>(kBins, 0);
  double limit_ = 0, low_ = 0, high_ = 0;
  int64_t count_ = 0;
};

// Codes of i8 for [low, high], which is widened to contain 0.
AffineQuantization affine_of_range(double low, double high);

// How weights alone are stored.
enum class WeightScheme : uint8_t {
  q40,           // blocks of 32 with 4 bits
  q80,           // blocks of 32 with 8 bits
  int8,          // one scale for each output channel
  int4_group32,  // 4 bits, a scale for each 32 items; spelled out in the graph, as are the next
  int8_group32,  // 8 bits
  nf4_group32,   // 4 bits that stand for the 16 numbers of NF4
};
std::optional<WeightScheme> weight_scheme_from_name(std::string_view name);  // "q40", ..., "int4-group32"

// Symmetric codes of weights, one scale for each of `channels` rows of `count` items: codes in -127 to 127.
struct ChannelCodes {
  std::vector<int8_t> codes;
  std::vector<float> scales;
};
// `least`: scales are not smaller than these (one for each channel, or none).
ChannelCodes quantize_channels(const float* weights, int64_t channels, int64_t count,
                               const std::vector<float>& least = {});

// 10 log10 of signal over noise, in decibels; +infinity where there is no noise.
double signal_to_noise(double signal, double noise);

}  // namespace nnefrun
