#include "engine/ops/support.h"
#include "quant/tensors.h"

namespace nnefrun {

Tensor dequantized(const Tensor& value) {
  return is_block_quantized(value.dtype()) ? dequantize_blocks(value) : value;
}

}  // namespace nnefrun
