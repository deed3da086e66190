/*
 * Checks for the C test programs. Each program is its own main() and ends with the line "N passed, N failed, N skipped".
 * A test is a function `static void name(void)` that RUN(name) runs; it fails where any check in it fails.
 * A program includes this header before all others.
 */
#ifndef CHECK_H
#define CHECK_H

#define _GNU_SOURCE
#include "bonesoup.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
  const char *test; /* that runs now */
  int passed, failed, skipped;
  int bad; /* checks of this test that failed; counted atomically, as tests have threads */
} check;

static inline int check_report(int good, const char *file, int line, const char *format, ...) {
  va_list values;
  if (good)
    return 1;
  __atomic_add_fetch(&check.bad, 1, __ATOMIC_RELAXED);
  printf("%s:%d: in %s: ", file, line, check.test ? check.test : "main");
  va_start(values, format);
  vprintf(format, values);
  va_end(values);
  printf("\n");
  fflush(stdout);
  return 0;
}

static inline int check_status(bsoup_status expected, bsoup_status got, const char *says, const char *file, int line,
                               const char *call) {
  const char *message = bsoup_last_error();
  if (expected != got)
    return check_report(0, file, line, "%s: expected %s, got %s\n    last error: %s", call, bsoup_status_name(expected),
                        bsoup_status_name(got), message);
  return check_report(got == BSOUP_OK || (message[0] != 0 && (!says || strstr(message, says) != NULL)), file, line,
                      "%s: %s as expected, but the message lacks \"%s\": %s", call, bsoup_status_name(got),
                      says ? says : "a text", message);
}

static inline void check_begin(const char *name) {
  check.test = name;
  check.bad = 0;
}

static inline void check_end(void) {
  if (check.bad)
    printf("FAILED %s\n", check.test);
  if (check.bad)
    check.failed++;
  else
    check.passed++;
  fflush(stdout);
}

/* The last line, and what main() returns. */
static inline int check_finish(void) {
  printf("%d passed, %d failed, %d skipped\n", check.passed, check.failed, check.skipped);
  return check.failed != 0;
}

#define CHECK(condition) check_report((condition) != 0, __FILE__, __LINE__, "%s", #condition)
/* Two numbers of type double that must differ by `within` at most. */
#define CHECK_NEAR(value, expected, within) check_near((value), (expected), (within), __FILE__, __LINE__, #value)
/* A call that must succeed, and one that must fail with this status and a message (that holds `says`). */
#define OK(call) check_status(BSOUP_OK, (call), NULL, __FILE__, __LINE__, #call)
#define FAILS(status, call) check_status((status), (call), NULL, __FILE__, __LINE__, #call)
#define FAILS_SAYING(status, says, call) check_status((status), (call), (says), __FILE__, __LINE__, #call)
/* As CHECK and OK; on failure the test function returns. */
#define NEED(condition)                                                                                                \
  do {                                                                                                                 \
    if (!CHECK(condition))                                                                                             \
      return;                                                                                                          \
  } while (0)
#define NEED_OK(call)                                                                                                  \
  do {                                                                                                                 \
    if (!OK(call))                                                                                                     \
      return;                                                                                                          \
  } while (0)
#define RUN(name)                                                                                                      \
  do {                                                                                                                 \
    check_begin(#name);                                                                                                \
    name();                                                                                                            \
    check_end();                                                                                                       \
  } while (0)

static inline int check_near(double value, double expected, double within, const char *file, int line,
                             const char *text) {
  double distance = value < expected ? expected - value : value - expected;
  return check_report(distance <= within, file, line, "%s is %.9g, expected %.9g", text, value, expected);
}

/* Ends a program that hangs, so that the run goes on. */
static inline void check_time_limit(void) { alarm(600); }

#endif
