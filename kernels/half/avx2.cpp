#define NNEFRUN_ISA avx2
#include "kernels/vec/avx2.h"

#include "kernels/half/body.h"
