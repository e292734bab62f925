#include "quant/calibrate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nnefrun {

std::optional<RangeMethod> range_method_from_name(std::string_view name) {
  if (name == "minmax") return RangeMethod::min_max;
  if (name == "percentile") return RangeMethod::percentile;
  if (name == "mse") return RangeMethod::mse;
  return std::nullopt;
}

std::optional<WeightScheme> weight_scheme_from_name(std::string_view name) {
  if (name == "q40") return WeightScheme::q40;
  if (name == "q80") return WeightScheme::q80;
  if (name == "int8") return WeightScheme::int8;
  if (name == "int4-group32") return WeightScheme::int4_group32;
  if (name == "int8-group32") return WeightScheme::int8_group32;
  if (name == "nf4-group32") return WeightScheme::nf4_group32;
  return std::nullopt;
}

void RangeObserver::widen(double magnitude) {
  if (limit_ == 0) {
    limit_ = std::exp2(std::ceil(std::log2(std::max(magnitude, 1e-30))));
    if (limit_ <= magnitude) limit_ *= 2;
    return;
  }
  while (limit_ <= magnitude) {  // pairs of bins become one
    std::vector<double> wider(kBins, 0);
    for (int i = 0; i < kBins; ++i)
      wider[static_cast<size_t>(kBins / 4 + i / 2)] += bins_[static_cast<size_t>(i)];
    bins_ = std::move(wider);
    limit_ *= 2;
  }
}

void RangeObserver::add(const float* values, int64_t count) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) continue;
    low = std::min(low, static_cast<double>(values[i]));
    high = std::max(high, static_cast<double>(values[i]));
  }
  if (low > high) return;
  low_ = count_ == 0 ? low : std::min(low_, low);
  high_ = count_ == 0 ? high : std::max(high_, high);
  widen(std::max(std::abs(low), std::abs(high)));
  const double scale = kBins / 2 / limit_;
  for (int64_t i = 0; i < count; ++i) {
    if (!std::isfinite(values[i])) continue;
    const int bin = static_cast<int>(std::floor(static_cast<double>(values[i]) * scale)) + kBins / 2;
    bins_[static_cast<size_t>(std::clamp(bin, 0, kBins - 1))] += 1;
    ++count_;
  }
}

AffineQuantization affine_of_range(double low, double high) {
  low = std::min(low, 0.0);
  high = std::max(high, 0.0);
  if (!(high > low)) return {-128, 1.0F};
  const auto scale = static_cast<float>((high - low) / 255);
  if (!(scale > 1e-18F)) return {-128, 1.0F};
  const double zero = std::clamp(std::nearbyint(-low / static_cast<double>(scale)), 0.0, 255.0);
  return {static_cast<int32_t>(zero) - 128, scale};
}

AffineQuantization RangeObserver::quantization(RangeMethod method, double kept) const {
  if (method == RangeMethod::min_max || count_ == 0) return affine_of_range(low_, high_);
  if (method == RangeMethod::percentile) {
    const double cut = (1 - kept) / 2 * static_cast<double>(count_);
    double low = low_, high = high_, below = 0, above = 0;
    for (int i = 0; i < kBins; ++i) {
      below += bins_[static_cast<size_t>(i)];
      if (below > cut) {
        low = std::max(low_, edge(i));
        break;
      }
    }
    for (int i = kBins; i-- > 0;) {
      above += bins_[static_cast<size_t>(i)];
      if (above > cut) {
        high = std::min(high_, edge(i + 1));
        break;
      }
    }
    return affine_of_range(low, high);
  }
  // Each end cut back by steps of a hundredth of its length; rounding errors inside are uniform in a step.
  AffineQuantization best = affine_of_range(low_, high_);
  double least = std::numeric_limits<double>::infinity();
  for (int cut = 0; cut <= 70; ++cut) {
    const double share = 1 - cut / 100.0;
    const double low = std::min(low_, 0.0) * share, high = std::max(high_, 0.0) * share;
    const AffineQuantization q = affine_of_range(low, high);
    const double step = q.scale, inside = step * step / 12;
    double error = 0;
    for (int i = 0; i < kBins; ++i) {
      const double weight = bins_[static_cast<size_t>(i)];
      if (weight == 0) continue;
      const double value = (edge(i) + edge(i + 1)) / 2;
      const double beyond = value < low ? low - value : value > high ? value - high : 0;
      error += weight * (beyond * beyond + inside);
    }
    if (error < least) least = error, best = q;
  }
  return best;
}

ChannelCodes quantize_channels(const float* weights, int64_t channels, int64_t count,
                               const std::vector<float>& least) {
  ChannelCodes out;
  out.codes.resize(static_cast<size_t>(channels * count));
  for (int64_t c = 0; c < channels; ++c) {
    const float* row = weights + c * count;
    float largest = 0;
    for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(row[i]));
    float scale = largest / 127;
    if (!least.empty()) scale = std::max(scale, least[static_cast<size_t>(c)]);
    if (!(scale > 1e-18F)) scale = 1.0F;
    out.scales.push_back(scale);
    for (int64_t i = 0; i < count; ++i) {
      const float code = std::clamp(std::nearbyint(row[i] / scale), -127.0F, 127.0F);
      out.codes[static_cast<size_t>(c * count + i)] = static_cast<int8_t>(code);
    }
  }
  return out;
}

double signal_to_noise(double signal, double noise) {
  if (noise == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(signal / noise);
}

}  // namespace nnefrun
