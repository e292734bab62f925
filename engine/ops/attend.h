// softmax(q k' * scale + mask) v, the core that all attention rows share; in double.
#pragma once

#include <cstdint>
#include <vector>

namespace nnefrun {

struct AttentionSizes {
  int64_t batch = 1, heads = 1;
  int64_t groups = 1;  // heads of keys and values; REQUIRES: > 0 and a divisor of `heads`
  int64_t rows = 0, keys = 0, width = 0, depth = 0;
};
// Added to the scores; strides over [batch, head, row, key]. The default hides nothing.
struct AttentionMask {
  std::vector<double> items = {0};
  std::vector<int64_t> strides = {0, 0, 0, 0};
};

// q [batch, heads, rows, width], k [batch, groups, keys, width], v [batch, groups, keys, depth]; the result is
// [batch, heads, rows, depth]. With `causal` the last row sees all keys and each row before it one key less. A row that
// sees nothing (all scores are minus infinity) is 0.
std::vector<double> attend(const AttentionSizes& sizes, const std::vector<double>& q, const std::vector<double>& k,
                           const std::vector<double>& v, double scale, bool causal, const AttentionMask& mask = {});

// exp(x - max) / sum in place; a row of minus infinities becomes NaN.
void softmax_row(double* row, int64_t count);

}  // namespace nnefrun
