// The innermost loops of the ISA file at hand: those that NNEFRUN_MATMUL_LOOPS names, a struct like
// PlainLoops (loops.h), where it has loops of its own. To be included behind them.
#pragma once

#include "kernels/matmul/loops.h"

namespace nnefrun::kernels {
namespace {

#ifdef NNEFRUN_MATMUL_LOOPS
using Loops = NNEFRUN_MATMUL_LOOPS;
#else
using Loops = PlainLoops;
#endif

}  // namespace
}  // namespace nnefrun::kernels
