#ifndef CINTRINSICS_H
#define CINTRINSICS_H
#include <stdint.h>
#endif
