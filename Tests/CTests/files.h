/*
 * Files for the tests: the fixtures, and folders of patched copies of them that vanish when the program ends.
 * Whatever fails here ends the program: it is no test.
 */
#ifndef FILES_H
#define FILES_H

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

typedef struct {
  char *data; /* NUL after it; free() it */
  size_t size;
} contents;

static inline void give_up(const char *what, const char *which) {
  printf("%s %s\n", what, which);
  exit(1);
}

/* Names put together as by printf; of a ring of 16, so not to be kept. */
static inline const char *name(const char *format, ...) {
  static char ring[16][2048];
  static unsigned next;
  char *text = ring[next++ % 16];
  va_list values;
  va_start(values, format);
  vsnprintf(text, sizeof ring[0], format, values);
  va_end(values);
  return text;
}

/* A path below Tests/Fixtures. */
static inline const char *fixture(const char *path) {
  const char *root = getenv("BONESOUP_FIXTURES");
  return name("%s/%s", root ? root : "Tests/Fixtures", path);
}

static inline contents read_file(const char *path) {
  contents file = {NULL, 0};
  FILE *stream = fopen(path, "rb");
  struct stat info;
  if (!stream || fstat(fileno(stream), &info))
    give_up("cannot read", path);
  file.size = (size_t)info.st_size;
  file.data = malloc(file.size + 1);
  if (!file.data || fread(file.data, 1, file.size, stream) != file.size)
    give_up("cannot read", path);
  file.data[file.size] = 0;
  fclose(stream);
  return file;
}

static inline void write_file(const char *path, const void *data, size_t size) {
  FILE *stream = fopen(path, "wb");
  if (!stream || fwrite(data, 1, size, stream) != size || fclose(stream))
    give_up("cannot write", path);
}

static inline void write_text(const char *path, const char *text) { write_file(path, text, strlen(text)); }

static inline int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where) {
  (void)info, (void)type, (void)where;
  return remove(path);
}

static inline void remove_tree(const char *path) { nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static char scratch_path[1024];
static inline void remove_scratch(void) { remove_tree(scratch_path); }

/* A path in this program's temporary folder. */
static inline const char *scratch(const char *path) {
  if (!scratch_path[0]) {
    const char *parent = getenv("TMPDIR");
    snprintf(scratch_path, sizeof scratch_path, "%s/bonesoup-test-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!mkdtemp(scratch_path))
      give_up("cannot make", scratch_path);
    atexit(remove_scratch);
  }
  return name("%s/%s", scratch_path, path);
}

/* Copies the files of a folder, not those in folders in it. */
static inline void copy_folder(const char *from, const char *to) {
  struct dirent *entry;
  DIR *folder = opendir(from);
  if (!folder || mkdir(to, 0700))
    give_up("cannot copy", from);
  while ((entry = readdir(folder))) {
    struct stat info;
    const char *path = name("%s/%s", from, entry->d_name);
    if (!stat(path, &info) && S_ISREG(info.st_mode)) {
      contents file = read_file(path);
      write_file(name("%s/%s", to, entry->d_name), file.data, file.size);
      free(file.data);
    }
  }
  closedir(folder);
}

/* The F32 tensor `tensor` of a safetensors file whose header is as compact as our fixtures'; free() it. */
static inline float *read_tensor(const char *path, const char *tensor, size_t *count) {
  contents file = read_file(path);
  uint64_t header, begin, end;
  float *values;
  char *found, *offsets;
  memcpy(&header, file.data, 8);
  found = strstr(file.data + 8, name("\"%s\":{", tensor));
  offsets = found ? strstr(found, "\"data_offsets\":[") : NULL;
  if (!offsets)
    give_up("no such tensor:", tensor);
  begin = strtoull(offsets + 16, &offsets, 10);
  end = strtoull(offsets + 1, NULL, 10);
  values = malloc(end - begin);
  if (!values || 8 + header + end > file.size)
    give_up("cannot read", path);
  memcpy(values, file.data + 8 + header + begin, end - begin);
  free(file.data);
  *count = (size_t)(end - begin) / sizeof *values;
  return values;
}

/* The same as numbers of tokens. */
static inline int32_t *read_tokens(const char *path, const char *tensor, size_t *count) {
  float *values = read_tensor(path, tensor, count);
  int32_t *tokens = malloc(*count * sizeof *tokens);
  size_t i;
  if (!tokens)
    give_up("no memory for", tensor);
  for (i = 0; i < *count; i++)
    tokens[i] = (int32_t)values[i];
  free(values);
  return tokens;
}

#endif
