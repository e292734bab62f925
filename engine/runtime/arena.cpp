#include "engine/runtime/arena.h"

#include <algorithm>

namespace nnefrun {
namespace {

size_t aligned(size_t size) { return (size + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

// Each buffer of `order` at the lowest offset that is free among those before it. `placed` holds `count`
// entries.
size_t place_in_order(ArenaBuffer* buffers, const uint32_t* order, uint32_t count, uint32_t* placed) {
  uint32_t placed_count = 0;  // by offset
  size_t total = 0;
  for (uint32_t k = 0; k < count; ++k) {
    ArenaBuffer& buffer = buffers[order[k]];
    const size_t size = aligned(buffer.size);
    size_t at = 0;
    for (uint32_t p = 0; p < placed_count; ++p) {
      const ArenaBuffer& other = buffers[placed[p]];
      if (other.first_step > buffer.last_step || buffer.first_step > other.last_step) continue;
      if (other.offset >= at + size)
        break;  // the gap before it is large enough, and the rest lies further on
      at = std::max(at, other.offset + aligned(other.size));
    }
    buffer.offset = at;
    total = std::max(total, at + size);
    uint32_t* where = std::lower_bound(placed, placed + placed_count, at,
                                       [&](uint32_t p, size_t offset) { return buffers[p].offset < offset; });
    std::copy_backward(where, placed + placed_count, placed + placed_count + 1);
    *where = order[k];
    ++placed_count;
  }
  return total;
}

// How much work a better order is worth: comparisons of two buffers.
constexpr uint64_t kSearchBudget = 1'000'000;
constexpr uint32_t kMostTries = 400;

}  // namespace

size_t place_buffers(ArenaBuffer* buffers, uint32_t count, uint32_t* scratch) {
  uint32_t* order = scratch;  // those that take room, largest first
  uint32_t* placed = scratch + count;
  uint32_t taken = 0;
  for (uint32_t i = 0; i < count; ++i) {
    buffers[i].offset = 0;
    if (buffers[i].size > 0) order[taken++] = i;
  }
  std::sort(order, order + taken, [&](uint32_t a, uint32_t b) {
    return buffers[a].size != buffers[b].size ? buffers[a].size > buffers[b].size : a < b;
  });
  size_t best = place_in_order(buffers, order, taken, placed);
  const uint64_t work = uint64_t{taken} * taken + 1;
  const auto tries = static_cast<uint32_t>(std::min<uint64_t>(kMostTries, kSearchBudget / work));
  if (taken < 2 || tries == 0) return best;
  const size_t least = largest_live_set(buffers, count);
  bool current = true;      // the offsets are those of `order`
  uint64_t random = taken;  // the same buffers are always placed the same way
  for (uint32_t t = 0; t < tries && best > least; ++t) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const auto i = static_cast<uint32_t>((random >> 33) % taken);
    const auto j = static_cast<uint32_t>((random >> 17) % taken);
    if (i == j) continue;
    std::swap(order[i], order[j]);
    const size_t total = place_in_order(buffers, order, taken, placed);
    current = total <= best;
    best = std::min(best, total);
    if (!current) std::swap(order[i], order[j]);
  }
  if (!current) place_in_order(buffers, order, taken, placed);
  return best;
}

size_t largest_live_set(const ArenaBuffer* buffers, uint32_t count) {
  // Only where a buffer begins can the sum reach a new maximum.
  size_t largest = 0;
  for (uint32_t i = 0; i < count; ++i) {
    size_t sum = 0;
    for (uint32_t j = 0; j < count; ++j) {
      if (buffers[j].first_step <= buffers[i].first_step && buffers[i].first_step <= buffers[j].last_step) {
        sum += aligned(buffers[j].size);
      }
    }
    largest = std::max(largest, sum);
  }
  return largest;
}

}  // namespace nnefrun
