#include "engine/runtime/arena.h"

#include <algorithm>

namespace nnefrun {
namespace {

size_t aligned(size_t size) { return (size + kArenaAlignment - 1) / kArenaAlignment * kArenaAlignment; }

}  // namespace

size_t place_buffers(ArenaBuffer* buffers, uint32_t count, uint32_t* scratch) {
  uint32_t* order = scratch;           // by size, largest first
  uint32_t* placed = scratch + count;  // those that have an offset, by offset
  for (uint32_t i = 0; i < count; ++i) order[i] = i;
  std::sort(order, order + count, [&](uint32_t a, uint32_t b) {
    return buffers[a].size != buffers[b].size ? buffers[a].size > buffers[b].size : a < b;
  });
  uint32_t placed_count = 0;
  size_t total = 0;
  for (uint32_t k = 0; k < count; ++k) {
    ArenaBuffer& buffer = buffers[order[k]];
    buffer.offset = 0;
    if (buffer.size == 0) continue;
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
