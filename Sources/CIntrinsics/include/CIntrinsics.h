#ifndef CINTRINSICS_H
#define CINTRINSICS_H
#include "Processor.h"
#include <stdint.h>
#endif
