/*
 * Random values for random_calls.c: usual and hostile numbers, texts, handles and structs, the objects that are alive, and
 * callbacks that call back in.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "check.h"
#include "files.h"
#include <math.h>

enum { SOUP, BLEND, SESSION, GENERATION, CANCEL, KINDS, SLOTS = 6, STALE = 64 };

static uint64_t state; /* of the random numbers */
static bsoup_engine *engine;
static void *slots[KINDS][SLOTS], *stale[STALE];
static const char *texts[] = {"Once upon a time",  "",        "The dog \xF0\x9F\x90\xB6 ran.",
                              "\xFF\xC0 bad \x80", "<|end|>", "a"};

/* SplitMix64. */
static uint64_t bits(void) {
  uint64_t z = state += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

static uint32_t below(uint32_t limit) { return (uint32_t)(bits() % limit); }
static int one_in(uint32_t n) { return below(n) == 0; }

/* Mostly a usual number below `usual`, sometimes anything. */
static uint32_t number(uint32_t usual) {
  static const uint32_t odd[] = {0, 1, UINT32_MAX, 1u << 31, INT32_MAX, 65536, 4097};
  return !one_in(8) ? below(usual) : one_in(2) ? odd[below(7)] : (uint32_t)bits();
}

static double real(void) {
  static const double odd[] = {NAN, INFINITY, -INFINITY, -1, 0, 1, 1e308, -1e308, 1e-310, 0.33};
  return one_in(3) ? odd[below(10)] : below(1000) / 500.0 - 0.5;
}

/* A text, NULL now and then; `size` may be less than it has. */
static const char *text(size_t *size) {
  const char *chosen = texts[below(6)];
  *size = one_in(4) ? below((uint32_t)strlen(chosen) + 1) : strlen(chosen);
  return *size == 0 && one_in(2) ? NULL : chosen;
}

/* Room for a struct of any size that the library believes; the rest of it is 0 or not. */
static void *oversized(size_t *size) {
  static uint64_t room[8][(1 << 16) / 8];
  static unsigned next;
  void *chosen = room[next++ % 8];
  memset(chosen, one_in(20) ? 0xA5 : 0, sizeof room[0]);
  if (one_in(40))
    *size = below(1 << 16) + 8;
  return chosen;
}

/* A struct of options with its defaults, or wrong. */
#define OPTIONS(type, name)                                                                                            \
  size_t name##_size = sizeof(type##_options);                                                                         \
  type##_options *name = oversized(&name##_size);                                                                      \
  type##_options_init(name, name##_size);                                                                              \
  if (name##_size > sizeof *name && one_in(2))                                                                         \
    ((char *)name)[sizeof *name] = 1; /* a field of a later version */                                                 \
  if (one_in(60))                                                                                                      \
  name->struct_size = number(200)
#define INFO(type, name)                                                                                               \
  size_t name##_size = sizeof(type);                                                                                   \
  type *name = oversized(&name##_size);                                                                                \
  name->struct_size = one_in(60) ? number(100) : (uint32_t)name##_size;                                                \
  if (one_in(80))                                                                                                      \
  name = NULL

/* A handle: mostly a good one, or none, a freed, a forged or another kind's. */
static void *pick(int kind) {
  switch (below(40)) {
  case 0:
    return NULL;
  case 1:
    return stale[below(STALE)];
  case 2:
    return (void *)(uintptr_t)bits();
  case 3:
    return slots[below(KINDS)][below(SLOTS)];
  default: {
    unsigned tries, slot = below(SLOTS);
    for (tries = 0; tries < SLOTS && !slots[kind][(slot + tries) % SLOTS]; tries++)
      continue;
    return slots[kind][(slot + tries) % SLOTS];
  }
  }
}

static void let_go(int kind, void *handle) {
  if (kind == SOUP)
    bsoup_soup_free(handle);
  else if (kind == BLEND)
    bsoup_blend_free(handle);
  else if (kind == SESSION)
    bsoup_session_free(handle);
  else if (kind == GENERATION)
    bsoup_generation_free(handle);
  else
    bsoup_cancel_free(handle);
}

/* Puts a new object, NULL where there is none, into a slot; what was there is freed. */
static void keep(int kind, bsoup_status status, void *handle, int may_be_partial) {
  unsigned slot = below(SLOTS);
  if (!may_be_partial)
    CHECK((status == BSOUP_OK) == (handle != NULL));
  if (!handle)
    return;
  let_go(kind, slots[kind][slot]);
  stale[below(STALE)] = slots[kind][slot];
  slots[kind][slot] = handle;
}

/* Called back, a host may do anything. */
static int depth;
static void call_something(void);
static int32_t answer(void) {
  if (depth < 2 && one_in(6)) {
    depth++;
    call_something();
    depth--;
  }
  return one_in(30) ? (int32_t)bits() : 0;
}

static int32_t on_progress(double share, void *context) {
  (void)context;
  CHECK(share >= 0 && share <= 1);
  return answer();
}

static int32_t in_background(double share, void *context) {
  (void)context;
  return share > 1; /* on another thread, where the random numbers are not ours */
}

static int32_t on_text(const char *piece, size_t size, void *context) {
  (void)context;
  CHECK(piece != NULL && size > 0);
  return answer();
}

static int32_t hook(float *logits, size_t count, const int32_t *tokens, size_t token_count, void *context) {
  (void)tokens, (void)token_count, (void)context;
  if (one_in(20))
    logits[below((uint32_t)count)] = (float)real();
  return answer();
}

#endif
