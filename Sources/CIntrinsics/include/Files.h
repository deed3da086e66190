#ifndef CINTRINSICS_FILES_H
#define CINTRINSICS_FILES_H

/* System calls that Swift's Glibc module does not show. */

#include <stdint.h>
#if __has_include(<sys/syscall.h>)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* Has the kernel begin to write a range of a file to the disk, and does not wait. */
static inline void bsp_begin_sync(int descriptor, int64_t offset, int64_t count) {
#if defined(SYS_sync_file_range)
  const unsigned int write = 2; /* SYNC_FILE_RANGE_WRITE */
  syscall(SYS_sync_file_range, descriptor, offset, count, write);
#else
  (void)descriptor, (void)offset, (void)count;
#endif
}

#endif
