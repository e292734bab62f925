#define NNEFRUN_ISA generic
#include "kernels/vec/generic.h"
#include "kernels/rope/body.h"
