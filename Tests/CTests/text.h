/* What the tests of generated text share: UTF-8, a collector for on_text, a hook that dictates the tokens. */
#ifndef TEXT_H
#define TEXT_H

#include "model.h"
#include <math.h>

/* Strict UTF-8 of whole characters: no overlong forms, no surrogates, at most U+10FFFF. */
static inline int is_utf8(const char *text, size_t size) {
  const unsigned char *byte = (const unsigned char *)text, *end = byte + size;
  while (byte < end) {
    int more = *byte < 0x80 ? 0 : *byte < 0xC2 ? -1 : *byte < 0xE0 ? 1 : *byte < 0xF0 ? 2 : *byte < 0xF5 ? 3 : -1;
    int lead = *byte++;
    if (more < 0 || end - byte < more)
      return 0;
    if (more && ((lead == 0xE0 && *byte < 0xA0) || (lead == 0xED && *byte > 0x9F) || (lead == 0xF0 && *byte < 0x90) ||
                 (lead == 0xF4 && *byte > 0x8F)))
      return 0;
    for (; more; more--)
      if ((*byte++ & 0xC0) != 0x80)
        return 0;
  }
  return 1;
}

typedef struct {
  char text[4096];
  size_t size;
  int pieces, broken; /* pieces that are empty or no UTF-8 */
  int stop_after;     /* the piece that is answered with "stop"; 0: none */
} collector;

static inline int32_t collect(const char *text, size_t size, void *context) {
  collector *to = context;
  to->pieces++;
  to->broken += size == 0 || !is_utf8(text, size) || to->size + size > sizeof to->text;
  if (to->size + size <= sizeof to->text)
    memcpy(to->text + to->size, text, size);
  to->size += size;
  return to->pieces == to->stop_after;
}

static inline int collected(const collector *all, const char *text, size_t size) {
  return !all->broken && all->size == size && !memcmp(all->text, text, size);
}

/* A hook that forbids all tokens but the next of a list; after the list the model goes on by itself. */
typedef struct {
  const int32_t *tokens;
  size_t count, at;
} script;

static inline int32_t dictate(float *logits, size_t count, const int32_t *tokens, size_t token_count, void *context) {
  script *lines = context;
  size_t i;
  (void)tokens, (void)token_count;
  if (lines->at == lines->count)
    return 0;
  for (i = 0; i < count; i++)
    if ((int32_t)i != lines->tokens[lines->at])
      logits[i] = -INFINITY;
  lines->at++;
  return 0;
}

#endif
