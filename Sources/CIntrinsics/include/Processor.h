#ifndef CINTRINSICS_PROCESSOR_H
#define CINTRINSICS_PROCESSOR_H

/* What a thread does with its processor. */

/* Tells the processor that this is a spinning loop. */
static inline void bsp_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb" ::: "memory");
#endif
}

/* Round to nearest, denormals kept, no exceptions trapped, whatever the creating thread had set. */
static inline void bsp_default_floating_point(void) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr(0x1F80);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" ::"r"(0ul));
#endif
}

/* The thread's floating-point control, to put back what a host had set. */
static inline unsigned long bsp_floating_point(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
  unsigned long control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
#endif
}

static inline void bsp_set_floating_point(unsigned long control) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned int)control);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" ::"r"(control));
#endif
}

/* GNU functions that the Glibc module does not show. 0 is success. */
int bsp_sched_getaffinity(int thread, unsigned long bytes, void *mask) __asm__("sched_getaffinity");
int bsp_sched_setaffinity(int thread, unsigned long bytes, const void *mask) __asm__("sched_setaffinity");
int bsp_pthread_setname(unsigned long thread, const char *name) __asm__("pthread_setname_np");

#endif
