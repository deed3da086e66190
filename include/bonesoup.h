#ifndef BONESOUP_H
#define BONESOUP_H
#endif
