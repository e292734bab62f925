#include "engine/graph/constant_pool.h"

#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace nnefrun {
namespace {

constexpr size_t kSmall = 4096;
constexpr size_t kFirstSweep = 1024;

// Candidates are found by their size and some of their words, and compared whole.
struct Key {
  size_t bytes;
  uint64_t sample;
  friend auto operator<=>(const Key&, const Key&) = default;
};

Key key_of(const Tensor& tensor) {
  constexpr size_t kSamples = 64;
  const size_t words = tensor.byte_size() / sizeof(uint64_t), step = words / kSamples;
  uint64_t hash = static_cast<uint64_t>(tensor.dtype());
  for (size_t i = 0; i < kSamples; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, tensor.bytes() + i * step * sizeof word, sizeof word);
    hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 29;
  }
  return {tensor.byte_size(), hash};
}

struct Pool {
  std::mutex mutex;
  std::multimap<Key, std::weak_ptr<const Tensor>> entries;
  size_t sweep_at = kFirstSweep;

  void sweep() {
    if (entries.size() < sweep_at) return;
    for (auto it = entries.begin(); it != entries.end();) {
      it = it->second.expired() ? entries.erase(it) : std::next(it);
    }
    sweep_at = std::max(kFirstSweep, 2 * entries.size());
  }
};

Pool& pool() {
  static Pool the_pool;
  return the_pool;
}

Tensor over(const std::shared_ptr<const Tensor>& held) {
  return Tensor::wrap(held->dtype(), held->shape(), held, held->bytes());
}

}  // namespace

Tensor pooled_constant(Tensor constant) {
  if (constant.dtype() == DataType::string || constant.byte_size() < kSmall) return constant;
  const Key key = key_of(constant);
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto [first, last] = p.entries.equal_range(key);
  for (auto it = first; it != last; ++it) {
    const std::shared_ptr<const Tensor> known = it->second.lock();
    if (known && (known->bytes() == constant.bytes() || known->identical(constant))) {
      // The same bytes may carry another shape.
      if (known->shape() == constant.shape() && known->dtype() == constant.dtype()) return over(known);
    }
  }
  p.sweep();
  const auto held = std::make_shared<const Tensor>(std::move(constant));
  p.entries.emplace(key, held);
  return over(held);
}

Tensor taken_from_pool(Tensor constant) {
  if (constant.dtype() == DataType::string || constant.byte_size() < kSmall) return constant;
  const Key key = key_of(constant);
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto [first, last] = p.entries.equal_range(key);
  for (auto it = first; it != last; ++it) {
    std::shared_ptr<const Tensor> known = it->second.lock();
    if (!known || known->bytes() != constant.bytes() || known->dtype() != constant.dtype()) continue;
    // Counted: `constant`, and `known` here. Whoever wants another one has to come through the lock.
    if (known.use_count() != 2) return constant;
    p.entries.erase(it);
    return known->reshaped(constant.shape());  // which may have been given another shape since
  }
  return constant;
}

}  // namespace nnefrun
