/* The examples of bindings/examples do what they say. */
#include "check.h"
#include "files.h"
#include "model.h"

#define main run_minimal
#include "../../bindings/examples/minimal.c"
#undef main
#define main run_batch
#include "../../bindings/examples/batch.c"
#undef main

/* What an example prints, for these arguments; free() it. Its exit status goes to *status. */
static contents printed(int (*example)(int, char **), const char *soup, const char *prompt, int *status) {
  char path[256], called[] = "example", first[256], second[256], *arguments[] = {called, first, second, NULL};
  int kept;
  snprintf(path, sizeof path, "%s", scratch("printed"));
  snprintf(first, sizeof first, "%s", soup);
  snprintf(second, sizeof second, "%s", prompt);
  fflush(stdout);
  kept = dup(1);
  if (kept < 0 || !freopen(path, "w", stdout))
    exit(1);
  *status = example(3, arguments);
  fflush(stdout);
  dup2(kept, 1);
  close(kept);
  return read_file(path);
}

static void minimal_prints_the_text(void) {
  static const double preference[] = {0.7, 0.3};
  bsoup_soup *soup = open_soup(NULL, fixture("soups/llama3-full"));
  bsoup_blend *blend = blend_of_preference(soup, BSOUP_BLEND_AUTO, preference, 2);
  bsoup_generation *generation = NULL;
  bsoup_generation_info info;
  int status = -1;
  contents text = printed(run_minimal, fixture("soups/llama3-full"), "The soup", &status);
  NEED_OK(bsoup_generate(blend, "The soup", 8, NULL, &generation));
  info = result_of(generation);
  CHECK(status == 0 && text.size == info.text_size + 1 && !memcmp(text.data, info.text, info.text_size));
  bsoup_generation_free(generation);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  free(text.data);
}

static void batch_prints_five_texts(void) {
  int status = -1;
  contents text = printed(run_batch, fixture("soups/llama3-lora"), "The soup", &status);
  CHECK(status == 0 && memmem(text.data, text.size, "100 %: ", 7) && memmem(text.data, text.size, "  0 %: ", 7));
  free(text.data);
}

int main(void) {
  check_time_limit();
  RUN(minimal_prints_the_text);
  RUN(batch_prints_five_texts);
  return check_finish();
}
