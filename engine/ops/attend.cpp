#include "engine/ops/attend.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nnefrun {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

void softmax_row(double* row, int64_t count) {
  double largest = kMinusInfinity;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, row[i]);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += row[i] = std::exp(row[i] - largest);
  for (int64_t i = 0; i < count; ++i) row[i] /= sum;
}

std::vector<double> attend(const AttentionSizes& s, const std::vector<double>& q,
                           const std::vector<double>& k, const std::vector<double>& v, double scale,
                           bool causal, const AttentionMask& mask) {
  std::vector<double> out(static_cast<size_t>(s.batch * s.heads * s.rows * s.depth), 0.0);
  std::vector<double> scores(static_cast<size_t>(s.keys));
  for (int64_t bh = 0; bh < s.batch * s.heads; ++bh) {
    const int64_t b = bh / s.heads, h = bh % s.heads, group = b * s.groups + h / (s.heads / s.groups);
    const double* key = k.data() + group * s.keys * s.width;
    const double* value = v.data() + group * s.keys * s.depth;
    for (int64_t row = 0; row < s.rows; ++row) {
      const double* query = q.data() + (bh * s.rows + row) * s.width;
      const int64_t masked = b * mask.strides[0] + h * mask.strides[1] + row * mask.strides[2];
      bool any = false;
      for (int64_t j = 0; j < s.keys; ++j) {
        double dot = 0;
        for (int64_t i = 0; i < s.width; ++i) dot += query[i] * key[j * s.width + i];
        double score = dot * scale + mask.items[static_cast<size_t>(masked + j * mask.strides[3])];
        if (causal && j > row + (s.keys - s.rows)) score = kMinusInfinity;
        any = any || score != kMinusInfinity;
        scores[static_cast<size_t>(j)] = score;
      }
      if (!any) continue;
      softmax_row(scores.data(), s.keys);
      double* result = out.data() + (bh * s.rows + row) * s.depth;
      for (int64_t j = 0; j < s.keys; ++j) {
        const double weight = scores[static_cast<size_t>(j)];
        if (weight == 0) continue;
        for (int64_t i = 0; i < s.depth; ++i) result[i] += weight * value[j * s.depth + i];
      }
    }
  }
  return out;
}

}  // namespace nnefrun
