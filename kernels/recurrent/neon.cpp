#define NNEFRUN_ISA neon
#include "kernels/vec/neon.h"
#include "kernels/recurrent/body.h"
