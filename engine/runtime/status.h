// Status: how a step or the runtime says that it failed, without exceptions and without memory.
#pragma once

#include <cstdint>

namespace nnefrun {

enum class StatusCode : uint8_t {
  ok = 0,
  out_of_memory,       // detail[0]: bytes wanted
  memory_limit,        // detail[0]: bytes wanted, detail[1]: the limit
  bad_plan,            // the plan's tables contradict each other
  unknown_step,        // a step kind that this build does not have; detail[0]: the kind
  negative_extent,     // detail[0]: the extent
  size_overflow,       // shape arithmetic leaves 64 bits
  broadcast_mismatch,  // detail: the two extents
  index_out_of_range,  // detail[0]: the index, detail[1]: the extent
  division_by_zero,
  shape_mismatch,  // a step met shapes that its operator does not allow at run time
  cancelled,
  host_failed,  // the host's evaluation hook failed; the host holds the message
};

struct Status {
  StatusCode code = StatusCode::ok;
  uint32_t step = UINT32_MAX;  // the step that failed; UINT32_MAX: none
  int64_t detail[2] = {0, 0};
  bool ok() const { return code == StatusCode::ok; }
};

inline Status failed(StatusCode code, int64_t a = 0, int64_t b = 0) {
  Status status;
  status.code = code;
  status.detail[0] = a;
  status.detail[1] = b;
  return status;
}

// One English sentence without numbers; static memory.
const char* describe(StatusCode code);

}  // namespace nnefrun
