// Hashes of several values, for tables in memory; not for files.
#pragma once

#include <cstddef>

namespace nnefrun {

// The hash of what `hash` stands for, followed by a value or by the hash of one.
inline size_t mixed(size_t hash, size_t value) {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ (hash >> 32);
}

}  // namespace nnefrun
