/* Exports, factoring and comparisons: whatever fails under them, and handles in any order. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* Names in this program's folder, "." and ".." left out. */
static int files_left(void) {
  DIR *folder = opendir(scratch(""));
  int count = -2;
  while (folder && readdir(folder))
    count++;
  if (folder)
    closedir(folder);
  return count;
}

static bsoup_export_options exporting(uint32_t kind) {
  bsoup_export_options options;
  bsoup_export_options_init(&options, sizeof options);
  options.kind = kind;
  return options;
}

/* --- Allocations that fail --- */

typedef struct {
  long calls, fail_at, blocks;
} heap;

static void *take(size_t bytes, size_t alignment, void *context) {
  heap *from = context;
  void *block = NULL;
  if (__atomic_fetch_add(&from->calls, 1, __ATOMIC_SEQ_CST) == from->fail_at ||
      posix_memalign(&block, alignment, bytes))
    return NULL;
  __atomic_add_fetch(&from->blocks, 1, __ATOMIC_SEQ_CST);
  return block;
}

static void give_back(void *pointer, size_t bytes, void *context) {
  (void)bytes;
  __atomic_sub_fetch(&((heap *)context)->blocks, 1, __ATOMIC_SEQ_CST);
  free(pointer);
}

enum { FOLDER, ADAPTER, RECOMPRESSED, FACTOR, COMPARE, WORKS };

/* One kind of work on a soup that is open; its handles are freed. */
static bsoup_status work(bsoup_soup *lora, bsoup_soup *full, int kind, const char *path) {
  static const double mixed[] = {0.5, -0.25, 0.75};
  bsoup_blend_options point;
  bsoup_export_options options = exporting(kind == FOLDER ? BSOUP_EXPORT_FOLDER : BSOUP_EXPORT_ADAPTER);
  bsoup_factor_options factor;
  bsoup_factoring *factoring = NULL;
  bsoup_comparison *comparison = NULL;
  bsoup_status status;
  bsoup_blend_options_init(&point, sizeof point);
  point.coefficients = mixed;
  point.coefficient_count = 3;
  options.rank = kind == RECOMPRESSED ? 2 : 0;
  bsoup_factor_options_init(&factor, sizeof factor);
  factor.max_error = 0.4;
  factor.vectors = BSOUP_VECTORS_DROP;
  if (kind == COMPARE)
    status = bsoup_soup_compare(lora, NULL, &comparison);
  else if (kind == FACTOR)
    status = bsoup_backbone_factor(full, 0, path, &factor, &factoring);
  else
    status = bsoup_soup_export(lora, &point, path, &options, &factoring);
  CHECK(status == BSOUP_OK || (!factoring && !comparison));
  CHECK(status != BSOUP_OK || (factoring != NULL) == (kind == RECOMPRESSED || kind == FACTOR));
  bsoup_factoring_free(factoring);
  bsoup_comparison_free(comparison);
  return status;
}

static void each_allocation_may_fail(void) {
  int kind;
  for (kind = 0; kind < WORKS; kind++) {
    heap memory = {0, -1, 0};
    bsoup_engine_options options;
    bsoup_engine *engine = NULL;
    bsoup_soup *lora = NULL, *full = NULL;
    bsoup_status status = BSOUP_OUT_OF_MEMORY;
    long n, before;
    bsoup_engine_options_init(&options, sizeof options);
    options.thread_count = 1;
    options.allocate = take;
    options.deallocate = give_back;
    options.allocator_context = &memory;
    NEED_OK(bsoup_engine_create(&options, &engine));
    NEED_OK(bsoup_soup_open(engine, fixture("soups/llama3-lora"), NULL, &lora));
    NEED_OK(bsoup_soup_open(engine, fixture("soups/llama3-full"), NULL, &full));
    before = memory.blocks;
    for (n = 0; n < 100000 && status != BSOUP_OK; n++) {
      memory.calls = 0;
      memory.fail_at = n;
      status = work(lora, full, kind, scratch("out"));
      CHECK(memory.blocks == before && (status == BSOUP_OK || status == BSOUP_OUT_OF_MEMORY));
      if (!CHECK(files_left() == (status == BSOUP_OK && kind != COMPARE)))
        break;
    }
    CHECK(status == BSOUP_OK && n > 5);
    remove_tree(scratch("out"));
    bsoup_soup_free(lora);
    bsoup_soup_free(full);
    bsoup_engine_free(engine);
    CHECK(memory.blocks == 0);
  }
}

/* --- Writing that fails --- */

/* Does it in a process of its own, whose files may have so many bytes; killed after so long where that is not 0. */
static int in_a_child(int kind, rlim_t limit, unsigned microseconds) {
  pid_t child = fork();
  int status;
  if (child == 0) {
    char bytes[24], number[8];
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)limit);
    snprintf(number, sizeof number, "%d", kind);
    execl("/proc/self/exe", "exports", "--work", number, scratch("out"), bytes, (char *)NULL);
    _exit(99);
  }
  if (microseconds) {
    usleep(microseconds);
    kill(child, SIGKILL);
  }
  waitpid(child, &status, 0);
  return status;
}

static int child_main(char **words) {
  struct rlimit limit;
  bsoup_soup *lora = open_soup(NULL, fixture("soups/llama3-lora"));
  bsoup_soup *full = open_soup(NULL, fixture("soups/llama3-full"));
  limit.rlim_cur = limit.rlim_max = (rlim_t)strtoull(words[2], NULL, 10);
  signal(SIGXFSZ, SIG_IGN);
  if (setrlimit(RLIMIT_FSIZE, &limit))
    return 98;
  return work(lora, full, atoi(words[0]), words[1]);
}

static void each_write_may_find_the_disk_full(void) {
  static const rlim_t limits[] = {0, 7, 100, 900, 2000, 5000};
  int kind, status;
  size_t i;
  for (kind = FOLDER; kind <= FACTOR; kind++) {
    for (i = 0; i < sizeof limits / sizeof *limits; i++) {
      status = in_a_child(kind, limits[i], 0);
      CHECK(WIFEXITED(status) && WEXITSTATUS(status) == BSOUP_IO && files_left() == 0);
    }
    status = in_a_child(kind, RLIM_INFINITY, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == BSOUP_OK && files_left() == 1);
    remove_tree(scratch("out"));
  }
}

static void a_killed_one_is_absent_or_whole(void) {
  unsigned moment;
  for (moment = 0; moment < 20; moment++) {
    struct stat there;
    int kind = (int)(moment % (FACTOR + 1));
    in_a_child(kind, RLIM_INFINITY, 1000 + moment * 1500);
    if (!stat(scratch("out"), &there)) {
      if (kind == FOLDER) {
        bsoup_soup *soup = open_soup(NULL, scratch("out"));
        bsoup_soup_free(soup);
      } else {
        bsoup_soup *soup = open_soup(NULL, fixture("models/llama3"));
        OK(bsoup_soup_add_backbone(soup, scratch("out"), NULL, NULL));
        bsoup_soup_free(soup);
      }
      remove_tree(scratch("out"));
    }
    CHECK(files_left() <= 1); /* a partial folder */
  }
  CHECK(WEXITSTATUS(in_a_child(FOLDER, RLIM_INFINITY, 0)) == BSOUP_OK && files_left() == 1); /* it is taken over */
  remove_tree(scratch("out"));
}

/* --- Handles and arguments --- */

static void handles_of_any_kind_and_order(void) {
  bsoup_soup *soup = open_soup(NULL, fixture("soups/llama3-full"));
  bsoup_blend *blend = default_blend(soup);
  bsoup_factor_options how;
  bsoup_factoring *factoring = NULL;
  bsoup_comparison *comparison = NULL;
  bsoup_factoring_info about = {sizeof about, 0, 0, 0, 0};
  bsoup_factored_tensor tensor = {sizeof tensor, 0, NULL, 0, 0, 0, 0};
  bsoup_comparison_info many = {sizeof many, 0, 0, 0};
  bsoup_compared_tensor compared;
  uint64_t bytes = 5;
  memset(&compared, 0, sizeof compared);
  compared.struct_size = sizeof compared;
  bsoup_factor_options_init(&how, sizeof how);
  how.rank = 2;
  how.vectors = BSOUP_VECTORS_DROP;
  OK(bsoup_backbone_factor(soup, 1, scratch("out"), &how, &factoring));
  OK(bsoup_soup_compare(soup, NULL, &comparison));
  bsoup_soup_free(soup); /* neither needs it any more */
  OK(bsoup_factoring_get_info(factoring, &about));
  CHECK(about.rank == 2 && about.tensor_count > 10 && about.error > 0 && about.error < 1);
  OK(bsoup_factoring_tensor(factoring, about.tensor_count - 1, &tensor));
  CHECK(tensor.rank == 2 && strstr(tensor.name, "model.layers.1.") && tensor.rows && tensor.columns);
  FAILS(BSOUP_NOT_FOUND, bsoup_factoring_tensor(factoring, about.tensor_count, &tensor));
  FAILS(BSOUP_NOT_FOUND, bsoup_factoring_tensor(factoring, UINT32_MAX, &tensor));
  OK(bsoup_comparison_get_info(comparison, &many));
  OK(bsoup_comparison_tensor(comparison, many.tensor_count, &compared));
  CHECK(!strcmp(compared.name, "") && compared.rows == 0 && compared.cosines[0] == 1 && many.backbone_count == 2);
  CHECK(compared.cosines[1] == compared.cosines[2] && compared.conflict > 0 && compared.conflict < 1);
  FAILS(BSOUP_NOT_FOUND, bsoup_comparison_tensor(comparison, many.tensor_count + 1, &compared));
  FAILS(BSOUP_STALE_HANDLE, bsoup_factoring_get_info((bsoup_factoring *)comparison, &about));
  FAILS(BSOUP_STALE_HANDLE, bsoup_comparison_get_info((bsoup_comparison *)factoring, &many));
  FAILS(BSOUP_STALE_HANDLE, bsoup_soup_export(soup, NULL, scratch("other"), NULL, NULL));
  FAILS(BSOUP_STALE_HANDLE, bsoup_soup_export_size(soup, NULL, NULL, &bytes));
  CHECK(bytes == 0);
  FAILS(BSOUP_STALE_HANDLE, bsoup_backbone_factor(soup, 0, scratch("other"), &how, NULL));
  FAILS(BSOUP_STALE_HANDLE, bsoup_soup_compare(soup, NULL, &comparison));
  CHECK(comparison == NULL);
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_export(blend, NULL, NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_export(blend, "\xff", NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_export(blend, "/", NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_blend_export(blend, "..", NULL, NULL));
  OK(bsoup_blend_export(blend, scratch("blend"), NULL, NULL)); /* its soup is freed */
  bsoup_blend_free(blend);
  bsoup_factoring_free(factoring);
  bsoup_factoring_free(factoring);
  bsoup_factoring_free(NULL);
  bsoup_comparison_free(NULL);
  FAILS(BSOUP_STALE_HANDLE, bsoup_factoring_get_info(factoring, &about));
  remove_tree(scratch("out"));
  remove_tree(scratch("blend"));
  CHECK(files_left() == 0);
}

/* --- Several at once --- */

static bsoup_soup *shared;

static void *export_one(void *number) {
  bsoup_export_options options = exporting((uint32_t)((size_t)number % 2));
  char path[sizeof scratch_path + 8];
  bsoup_status status;
  snprintf(path, sizeof path, "%s/%zu", scratch_path, (size_t)number);
  status = bsoup_soup_export(shared, NULL, path, &options, NULL);
  CHECK(status == BSOUP_OK);
  options.kind = BSOUP_EXPORT_FOLDER;
  snprintf(path, sizeof path, "%s/same", scratch_path);
  status = bsoup_soup_export(shared, NULL, path, &options, NULL);
  /* One writes it; the others come in between or too late. */
  CHECK(status == BSOUP_OK || status == BSOUP_BUSY || status == BSOUP_INVALID_ARGUMENT || status == BSOUP_IO ||
        status == BSOUP_NOT_FOUND);
  return NULL;
}

static void many_threads_export_at_once(void) {
  pthread_t threads[6];
  bsoup_soup *soup;
  size_t i;
  shared = open_soup(NULL, fixture("soups/llama3-lora"));
  for (i = 0; i < 6; i++)
    CHECK(!pthread_create(&threads[i], NULL, export_one, (void *)i));
  for (i = 0; i < 6; i++)
    pthread_join(threads[i], NULL);
  soup = open_soup(NULL, scratch("same"));
  bsoup_soup_free(soup);
  CHECK(files_left() == 7);
  for (i = 0; i < 6; i++)
    remove_tree(scratch(name("%d", (int)i)));
  remove_tree(scratch("same"));
  bsoup_soup_free(shared);
}

int main(int count, char **words) {
  check_time_limit();
  if (count == 5 && !strcmp(words[1], "--work"))
    return child_main(words + 2);
  scratch("");
  RUN(each_write_may_find_the_disk_full);
  RUN(a_killed_one_is_absent_or_whole);
  RUN(each_allocation_may_fail);
  RUN(handles_of_any_kind_and_order);
  RUN(many_threads_export_at_once);
  return check_finish();
}
