// Offsets of buffers in one arena, from their sizes and lives: buffers that live at the same time do not
// overlap.
//
// Greedy by size (Pisarchyk, Lee: Efficient Memory Management for Deep Neural Net Inference, 2020): the
// largest buffer first, each at the lowest offset that is free among those that live at the same time. Where
// that leaves gaps and the buffers are few, exchanges in that order are tried and kept while they do not make
// it worse.
#pragma once

#include <cstddef>
#include <cstdint>

namespace nnefrun {

struct ArenaBuffer {
  size_t size = 0;          // bytes; 0 takes no room
  uint32_t first_step = 0;  // inclusive
  uint32_t last_step = 0;   // inclusive
  size_t offset = 0;        // result, a multiple of kArenaAlignment
};
inline constexpr size_t kArenaAlignment = 64;

// Fills the offsets. `scratch` holds 2 * count entries. Returns the bytes of the arena.
size_t place_buffers(ArenaBuffer* buffers, uint32_t count, uint32_t* scratch);

// The largest sum of sizes that live at one step: no arena can be smaller.
size_t largest_live_set(const ArenaBuffer* buffers, uint32_t count);

}  // namespace nnefrun
