#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"

#include "kernels/half/body.h"
