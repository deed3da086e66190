/* Measures what a change of the preference of a running live session costs; it checks only that it works. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <time.h>

enum { CHANGES = 2001 };

static double microseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int by_size(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static void measure(const char *path) {
  static double times[CHANGES];
  bsoup_soup *soup = open_soup(NULL, path);
  bsoup_blend *blend = default_blend(soup);
  bsoup_session *session = new_session(blend);
  bsoup_soup_info info = {.struct_size = sizeof info};
  const int32_t token = 5;
  int i;
  NEED_OK(bsoup_soup_get_info(soup, &info));
  NEED(info.live && info.objective_count >= 2 && info.objective_count <= 8);
  OK(bsoup_session_append(session, &token, 1));
  for (i = 0; i < CHANGES; i++) {
    double preference[8] = {0}, begin;
    bsoup_blend_options options;
    bsoup_blend *next = NULL;
    preference[0] = (double)i / CHANGES;
    preference[1] = 1 - preference[0];
    begin = microseconds();
    bsoup_blend_options_init(&options, sizeof options);
    options.preference = preference;
    options.preference_count = info.objective_count;
    if (bsoup_blend_create(soup, &options, &next) || bsoup_session_set_blend(session, next, BSOUP_CONTINUE))
      NEED(!bsoup_last_error());
    bsoup_blend_free(blend);
    times[i] = microseconds() - begin;
    blend = next;
    if (i % 100 == 0) {
      OK(bsoup_session_append(session, &token, 1));
      OK(decode_one(session));
    }
  }
  qsort(times, CHANGES, sizeof *times, by_size);
  printf("%s: another preference for a live session, without recomputing: median %.2f us, 99 %% below %.2f us\n", path,
         times[CHANGES / 2], times[CHANGES * 99 / 100]);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
}

static void a_small_soup(void) { measure(fixture("soups/llama3-lora")); }

int main(void) {
  check_time_limit();
  RUN(a_small_soup);
  return check_finish();
}
