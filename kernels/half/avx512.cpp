#define NNEFRUN_ISA avx512
#include "kernels/vec/avx512.h"

#include "kernels/half/body.h"
