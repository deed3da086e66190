/* One prompt at five preferences in one batch: from all of the first objective to all of the second, side by side.
 *
 *     gcc -std=c99 -Iinclude -o batch bindings/examples/batch.c -L.build/release -lbonesoup -Wl,-rpath,.build/release
 *     ./batch my-soup "Once upon a time"
 */
#include "bonesoup.h"
#include <stdio.h>
#include <string.h>

enum { TEXTS = 5, ROOM = 4096, MOST_OBJECTIVES = 64 };

typedef struct {
  double share; /* of the first objective */
  bsoup_session *session;
  char text[ROOM];
  size_t size;
} side;

static int fail(void) {
  fprintf(stderr, "%s\n", bsoup_last_error());
  return 1;
}

int main(int argc, char **argv) {
  static side sides[TEXTS];
  bsoup_session *running[TEXTS]; /* sessions that are not finished, and whose they are */
  side *owner[TEXTS];
  size_t count = 0, i;
  const char *prompt = argc > 2 ? argv[2] : "Once upon a time";
  bsoup_soup *soup = NULL;
  bsoup_soup_info info = {.struct_size = sizeof info};
  bsoup_generate_options how;
  if (argc < 2) {
    fprintf(stderr, "usage: batch SOUP [PROMPT]\n");
    return 2;
  }
  if (bsoup_soup_open(NULL, argv[1], NULL, &soup) || bsoup_soup_get_info(soup, &info))
    return fail();
  if (info.objective_count < 2 || info.objective_count > MOST_OBJECTIVES) {
    fprintf(stderr, "%s has no two objectives to choose between\n", argv[1]);
    return 1;
  }
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 100;

  for (i = 0; i < TEXTS; i++) {
    double preference[MOST_OBJECTIVES] = {0};
    bsoup_blend_options wish;
    bsoup_blend *blend = NULL;
    sides[i].share = 1 - (double)i / (TEXTS - 1);
    preference[0] = sides[i].share;
    preference[1] = 1 - sides[i].share;
    bsoup_blend_options_init(&wish, sizeof wish);
    wish.preference = preference;
    wish.preference_count = info.objective_count;
    if (bsoup_blend_create(soup, &wish, &blend) || bsoup_session_create(blend, NULL, &sides[i].session) ||
        bsoup_session_append_text(sides[i].session, prompt, strlen(prompt), BSOUP_TOKENIZE_SPECIAL, NULL, NULL) ||
        bsoup_session_begin(sides[i].session, &how))
      return fail();
    bsoup_blend_free(blend); /* the session keeps it */
    running[count] = sides[i].session;
    owner[count++] = &sides[i];
  }

  while (count > 0) {
    size_t left = 0;
    if (bsoup_decode(running, count, NULL))
      return fail();
    for (i = 0; i < count; i++) {
      bsoup_step step = {.struct_size = sizeof step};
      side *of = owner[i];
      if (bsoup_session_next(running[i], &step))
        return fail();
      if (step.text_size <= ROOM - of->size) {
        memcpy(of->text + of->size, step.text, step.text_size);
        of->size += step.text_size;
      }
      if (step.finish == BSOUP_FINISH_NONE) {
        running[left] = running[i];
        owner[left++] = of;
      }
    }
    count = left;
  }

  for (i = 0; i < TEXTS; i++) {
    printf("%3.0f %%: %.*s\n", 100 * sides[i].share, (int)sides[i].size, sides[i].text);
    bsoup_session_free(sides[i].session);
  }
  bsoup_soup_free(soup);
  return 0;
}
