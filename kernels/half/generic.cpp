#define NNEFRUN_ISA generic
#include "kernels/vec/generic.h"

#include "kernels/half/body.h"
