// The attention of attention.h in plain loops and double precision: the oracle of its tests.
#pragma once

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/attention/attention.h"

namespace nnefrun::kernels {

struct AttentionRow {
  std::vector<double> values;  // depth
  double magnitude = 0;        // A of attention.h
};

inline AttentionRow attention_reference(const AttentionArgs& args, int64_t batch, int64_t head, int64_t row) {
  const AttentionShape& s = args.shape;
  const double infinity = std::numeric_limits<double>::infinity();
  const int64_t group = head / (s.heads / s.groups);
  const float* q = args.q + batch * s.q_strides[0] + head * s.q_strides[1] + row * s.q_strides[2];
  const float* k = args.k + batch * s.k_strides[0] + group * s.k_strides[1];
  const float* v = args.v + batch * s.v_strides[0] + group * s.v_strides[1];
  AttentionRow result;
  result.values.assign(static_cast<size_t>(s.depth), 0.0);
  std::vector<double> scores(static_cast<size_t>(s.keys));
  double largest = -infinity, sum = 0;
  bool any = false;
  for (int64_t j = 0; j < s.keys; ++j) {
    double dot = 0, magnitude = 0;
    for (int64_t p = 0; p < s.width; ++p) {
      const double term = static_cast<double>(q[p]) * k[j * s.k_strides[2] + p];
      dot += term;
      magnitude += std::fabs(term);
    }
    double added = 0;
    const int64_t at = batch * s.mask_strides[0] + head * s.mask_strides[1] + row * s.mask_strides[2] +
                       j * s.mask_strides[3];
    if (s.mask == AttentionMask::f32) added = static_cast<const float*>(args.mask)[at];
    if (s.mask == AttentionMask::boolean && static_cast<const uint8_t*>(args.mask)[at] == 0)
      added = -infinity;
    double score = dot * s.scale + added;
    if (s.causal && j > row + (s.keys - s.rows)) score = -infinity;
    if (std::isfinite(score)) {
      result.magnitude = std::max(result.magnitude, magnitude * std::fabs(s.scale) + std::fabs(added));
    }
    any = any || score != -infinity;
    largest = std::max(largest, score);  // a NaN does not count here
    scores[static_cast<size_t>(j)] = score;
  }
  if (!any) return result;
  for (double& score : scores) sum += score = std::exp(score - largest);
  for (int64_t j = 0; j < s.keys; ++j) {
    for (int64_t d = 0; d < s.depth; ++d) {
      result.values[static_cast<size_t>(d)] +=
          scores[static_cast<size_t>(j)] / sum * static_cast<double>(v[j * s.v_strides[2] + d]);
    }
  }
  return result;
}

}  // namespace nnefrun::kernels
