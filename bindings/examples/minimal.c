/* The smallest host: opens a soup, asks for brief and happy text, and prints it as it comes.
 *
 *     gcc -std=c99 -Iinclude -o minimal bindings/examples/minimal.c -L.build/release -lbonesoup -Wl,-rpath,.build/release
 *     ./minimal my-soup "Once upon a time"
 */
#include "bonesoup.h"
#include <stdio.h>
#include <string.h>

static int32_t print(const char *text, size_t size, void *context) {
  (void)context;
  fwrite(text, 1, size, stdout);
  fflush(stdout);
  return 0;
}

int main(int argc, char **argv) {
  const char *prompt = argc > 2 ? argv[2] : "Once upon a time";
  bsoup_soup *soup = NULL;
  bsoup_blend *blend = NULL;
  bsoup_named_value preference[] = {{"brief", 0.7}, {"happy", 0.3}};
  bsoup_blend_options wish;
  bsoup_generate_options how;
  int failed;
  if (argc < 2) {
    fprintf(stderr, "usage: minimal SOUP [PROMPT]\n");
    return 2;
  }
  bsoup_blend_options_init(&wish, sizeof wish);
  wish.named = preference;
  wish.named_count = 2;
  bsoup_generate_options_init(&how, sizeof how);
  how.on_text = print;
  failed = bsoup_soup_open(NULL, argv[1], NULL, &soup) || bsoup_blend_create(soup, &wish, &blend) ||
           bsoup_generate(blend, prompt, strlen(prompt), &how, NULL);
  if (failed)
    fprintf(stderr, "%s\n", bsoup_last_error());
  else
    printf("\n");
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  return failed;
}
