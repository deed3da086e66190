/*
 * BoneSoup: controllable multi-objective text generation, embedded in your program.
 *
 * A *soup* is one base language model and a few *backbones*: fine-tunes of it, each trained on another mix of rewards.
 * You say how much each *objective* matters (the *preference*), the soup answers with how much of each backbone goes in
 * (the *coefficients*), and a *blend* is the model at that point. *Sessions* are running texts on a blend.
 *
 *     #include "bonesoup.h"
 *     #include <stdio.h>
 *
 *     static int32_t print(const char *text, size_t size, void *context) {
 *       (void)context;
 *       fwrite(text, 1, size, stdout);
 *       return 0;
 *     }
 *
 *     int main(void) {
 *       bsoup_soup *soup = NULL;
 *       bsoup_blend *blend = NULL;
 *       bsoup_named_value preference[] = {{"brief", 0.7}, {"happy", 0.3}};
 *       bsoup_blend_options wish;
 *       bsoup_generate_options how;
 *       bsoup_blend_options_init(&wish, sizeof wish);
 *       wish.named = preference;
 *       wish.named_count = 2;
 *       bsoup_generate_options_init(&how, sizeof how);
 *       how.on_text = print;
 *       if (bsoup_soup_open(NULL, "my-soup", NULL, &soup) || bsoup_blend_create(soup, &wish, &blend) ||
 *           bsoup_generate(blend, "Once upon a time", 16, &how, NULL))
 *         fprintf(stderr, "%s\n", bsoup_last_error());
 *       bsoup_blend_free(blend);
 *       bsoup_soup_free(soup);
 *     }
 *
 * Chapters: 1 conventions · 2 version and build · 3 errors · 4 engines and cancelling · 5 opening a soup ·
 * 6 building one call by call · 7 preferences and blends · 8 generating · 9 sessions · 10 batches · 11 inspecting ·
 * 12 merging files · 13 exporting and inspecting files
 *
 * The method is Bone Soup (Xie et al., ACL 2025, arXiv 2502.10762). Licence: Apache-2.0.
 */
#ifndef BONESOUP_H
#define BONESOUP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------------------------------
 * 1 Conventions. They hold for every function, unless its own text says otherwise.
 *
 * Results       A function that can fail returns a bsoup_status; 0 (BSOUP_OK) is success. Results come through
 *               out-parameters. After a failure a handle out-parameter is NULL, a count out-parameter 0, a struct
 *               out-parameter unchanged, and every object is as it was before the call.
 * Any status    Every function may also return BSOUP_STALE_HANDLE, BSOUP_INVALID_ARGUMENT, BSOUP_OUT_OF_MEMORY,
 *               BSOUP_FORKED and BSOUP_INTERNAL; only further ones are listed, without their prefix.
 * Handles       bsoup_soup * and the like are never dereferenced: a freed, forged or mistyped one is
 *               BSOUP_STALE_HANDLE, never a crash. Objects are reference counted inside: free handles in any order. A
 *               _free function takes NULL, ignores a handle that was freed before, and does nothing in a forked child.
 *               When the free that makes an object unreachable returns, no callback of it runs or will run and nothing
 *               borrowed for it is touched any more (from inside its own callback: when that returns).
 * Ownership     What you pass in is copied or only used during the call, unless "borrowed" is written beside it.
 *               Pointers that you get are borrowed from the handle named there, until it is freed or until what is
 *               written beside them; never free them.
 * Text          UTF-8. Text that has a size need not end in NUL; a name or a path is a C string. NULL with size 0 is "".
 * Options       A struct that you fill: call its _init with your sizeof, then change fields. NULL is the defaults.
 *               Structs grow only at their end and a new field's default is always 0, so a program built with an older
 *               header goes on working; where a newer one sets a field that this library does not know, the call is
 *               BSOUP_UNSUPPORTED. A reserved field that is not 0 is BSOUP_INVALID_ARGUMENT.
 * Infos         A struct that is filled for you: set struct_size to your sizeof before the call; it comes back as the
 *               number of bytes that this library knows, and the rest is zeroed.
 * Threads       Engines, soups, blends, cancel tokens and generations may be used from any number of threads at once. A
 *               session may be used by one at a time: a second one gets BSOUP_BUSY.
 * Callbacks     Run on the thread that made the call, with its own floating-point control, unless said otherwise. They
 *               may call any function; a session that is at work is BSOUP_BUSY to them. They must not throw or longjmp.
 * Long work     Whatever may take over 50 ms takes a cancel token, and answers it within 50 ms of work with
 *               BSOUP_CANCELLED; most also report progress.
 * Determinism   The same blend, tokens and seed give the same bits on one instruction-set level, whatever the number of
 *               threads, whatever else is in the batch, however the prompt was split.
 * Your process  No output, no exit, no abort, no signal handler, no locale, no change of the floating-point control. A
 *               mapped file that somebody cuts short raises SIGBUS, as for any reader of mapped files: BSOUP_LOAD_COPY
 *               avoids that. In a forked child of a process that had used the library every call is BSOUP_FORKED.
 *               dlclose() is harmless.
 * Since         Everything here is since 1.0 (ABI 1).
 */

/* ---------------------------------------------------------------------------------------------------------------------
 * 2 Version and build
 */

#define BSOUP_VERSION_MAJOR 1
#define BSOUP_VERSION_MINOR 0
#define BSOUP_VERSION_PATCH 0
/* Changes when a program built against an older header would no longer work. */
#define BSOUP_ABI_VERSION 1

/* The library's BSOUP_ABI_VERSION: compare it with the macro after loading the library dynamically. */
uint32_t bsoup_abi_version(void);

/* "1.0.0". Static. */
const char *bsoup_version(void);

/* One line on this build and machine: version, instruction-set level in use (baseline, avx2, avx512 or avx512bf16: the one
 * that is fastest on this machine, or what the environment variable BONESOUP_ISA names before first use, as far as the
 * machine has it), threads that an engine gets by default. Static. */
const char *bsoup_build_info(void);

/* ---------------------------------------------------------------------------------------------------------------------
 * 3 Errors
 */

typedef int32_t bsoup_status;

/* Numbers are pinned and never reused. */
enum {
  BSOUP_OK = 0,
  BSOUP_INVALID_ARGUMENT = 1, /* a value is out of its range or of the wrong form */
  BSOUP_OUT_OF_MEMORY = 2,    /* the system, your allocator or the engine's budget refused */
  BSOUP_NOT_FOUND = 3,        /* no file, tensor, objective or preset of that name */
  BSOUP_IO = 4,               /* the operating system or your read_at failed */
  BSOUP_MALFORMED = 5,        /* a file breaks its format */
  BSOUP_UNSUPPORTED = 6,      /* valid, and this version does not do it */
  BSOUP_MISMATCH = 7,         /* parts that do not belong together: shapes, vocabularies, fingerprints */
  BSOUP_CANCELLED = 8,        /* you cancelled, by token or from a callback */
  BSOUP_BUSY = 9,             /* another thread, or the call you are called back from, is using the object */
  BSOUP_CONTEXT_FULL = 10,    /* the session has no room for the tokens */
  BSOUP_STALE_HANDLE = 11,    /* a handle that was freed, never given out, or of another kind */
  BSOUP_GUARD_RAIL = 12,      /* the preference or its coefficients break a guard rail */
  BSOUP_UNSOLVABLE = 13,      /* no coefficients give this preference */
  BSOUP_NOT_READY = 14,       /* still being made, or nothing computed yet */
  BSOUP_CHECKSUM = 15,        /* a file differs from its checksum in soup.json */
  BSOUP_FORKED = 16,          /* in a forked child of the process that used the library */
  BSOUP_INTERNAL = 17         /* a fault of this library: please report it */
};

/* What went wrong in this thread's last failed call: which value, in which file and tensor, and what to do. Never NULL;
 * "" before any failure. Borrowed until this thread's next failing call. */
const char *bsoup_last_error(void);

/* The status's name, as "BSOUP_IO"; "unknown status" for any other number. Static. */
const char *bsoup_status_name(bsoup_status status);

/* ---------------------------------------------------------------------------------------------------------------------
 * 4 Engines and cancelling
 *
 * An engine is a thread pool, a memory budget and an instruction-set level that soups live in. Wherever an engine is
 * asked for, NULL is the process's default one (all CPUs of the affinity mask, no budget), which is never freed.
 */

typedef struct bsoup_engine bsoup_engine;
typedef struct bsoup_cancel bsoup_cancel;

/* Returns at least `bytes` bytes aligned to `alignment` (a power of two), or NULL. Any thread, in the library's
 * floating-point mode; must not call back in. */
typedef void *(*bsoup_allocate_fn)(size_t bytes, size_t alignment, void *context);
/* Takes back what bsoup_allocate_fn gave, with the same `bytes`. Any thread; must not call back in. */
typedef void (*bsoup_deallocate_fn)(void *pointer, size_t bytes, void *context);
/* Gets a line of text without a newline; `level` is 0 for information, 1 for a warning. Any thread. Without it nothing is
 * ever printed. */
typedef void (*bsoup_log_fn)(int32_t level, const char *line, void *context);
/* Gets the share done, 0 to 1, never falling within a call. Return 0 to go on; anything else cancels. */
typedef int32_t (*bsoup_progress_fn)(double share, void *context);

typedef struct bsoup_engine_options {
  uint32_t struct_size;
  uint32_t thread_count;      /* threads of one decode, the caller's included; 0: one per CPU of the affinity mask */
  uint64_t memory_budget;     /* bytes of large memory at once (weights that are rearranged or copied, KV, folds); 0: no
                                 limit. Weights are rearranged only as far as that leaves as much again */
  const uint32_t *cpus;       /* CPU numbers to pin the pool's threads to; NULL: not pinned */
  uint32_t cpu_count;         /* of `cpus` */
  uint32_t spin_microseconds; /* how long an idle thread spins before it parks; default 50 */
  bsoup_allocate_fn allocate; /* for the large memory; NULL: the system's. Both or neither. */
  bsoup_deallocate_fn deallocate;
  void *allocator_context; /* borrowed until the engine and all that was made in it are freed */
  bsoup_log_fn log;
  void *log_context; /* borrowed likewise */
} bsoup_engine_options;

void bsoup_engine_options_init(bsoup_engine_options *options, size_t struct_size);

bsoup_status bsoup_engine_create(const bsoup_engine_options *options, bsoup_engine **engine);
void bsoup_engine_free(bsoup_engine *engine);

/* Bytes of large memory in use now. */
bsoup_status bsoup_engine_memory(bsoup_engine *engine, uint64_t *bytes);

/* A flag that stops long work. At most 65,535 at once. */
bsoup_status bsoup_cancel_create(bsoup_cancel **cancel);
/* Raises the flag for good. Any thread, and signal handlers: one lock-free exchange. On a freed token it does nothing. */
void bsoup_cancel_request(bsoup_cancel *cancel);
/* Work that was given the token and still runs can no longer be cancelled by it. */
void bsoup_cancel_free(bsoup_cancel *cancel);

/* ---------------------------------------------------------------------------------------------------------------------
 * 5 Opening a soup
 */

typedef struct bsoup_soup bsoup_soup;

/* Formats of weights, and of keys and values (KV), which take F32, F16, BF16 and Q8_0. */
enum {
  BSOUP_FORMAT_DEFAULT = 0,
  BSOUP_FORMAT_F32 = 1,
  BSOUP_FORMAT_F16 = 2,
  BSOUP_FORMAT_BF16 = 3,
  BSOUP_FORMAT_Q8_0 = 4,  /* ggml's: blocks of 32 numbers of 8 bits with a scale: 8.5 bits a weight */
  BSOUP_FORMAT_Q4_0 = 5,  /* ggml's, of 4 bits: 4.5 bits a weight; embedding and head in q8_0 */
  BSOUP_FORMAT_Q8_128 = 6 /* blocks of 128 numbers of 8 bits: 8.125 bits a weight, faster than q8_0 where many
                             positions are computed together, and a little coarser */
};

enum {
  /* Files are memory-mapped. Weights that have the run-time format already (f32, f16, bf16) are used where they lie for the
   * first token, then rearranged into memory as they are computed with. */
  BSOUP_LOAD_MAP = 0,
  /* Files are read into memory, and stay there beside the weights in their run-time form: they may change or vanish
   * afterwards. */
  BSOUP_LOAD_COPY = 1
};

enum {
  BSOUP_VERIFY_CHECKSUMS = 1, /* compare every file that soup.json gives a checksum for */
  BSOUP_VERIFY_FINITE = 2     /* look for NaN and infinities in all weights; the error names file, tensor and index */
};

/* Reads `size` bytes at `offset` into `destination`. Returns 0, or anything else for failure. Any thread, several at
 * once, with the floating-point control of the thread that opens. */
typedef int32_t (*bsoup_read_at_fn)(void *context, uint64_t offset, void *destination, size_t size);

/* A file that lies in memory or behind a function. Names are relative paths with '/', as soup.json writes them. */
typedef struct bsoup_file {
  const char *name;
  uint64_t size;
  const void *data;         /* borrowed until the soup and all that was made from it are freed; NULL: use read_at */
  bsoup_read_at_fn read_at; /* called only during the open */
  void *context;            /* for read_at */
} bsoup_file;

typedef struct bsoup_open_options {
  uint32_t struct_size;
  uint32_t weights;        /* BSOUP_FORMAT_*: the run-time format; default: the base file's own */
  uint32_t load;           /* BSOUP_LOAD_* */
  uint32_t verify;         /* BSOUP_VERIFY_*, added */
  const bsoup_file *files; /* a table of files instead of the file system; `path` then names one of them, or a folder */
  uint32_t file_count;     /* at most 65,536 */
  uint32_t reserved;       /* 0 */
  bsoup_cancel *cancel;
  bsoup_progress_fn progress;
  void *progress_context;
} bsoup_open_options;

void bsoup_open_options_init(bsoup_open_options *options, size_t struct_size);

/* Opens a soup: a folder with a soup.json, a JSON file of any name, or a plain model folder (a soup without backbones).
 * Model folders are Hugging Face's (config.json, safetensors, tokenizer.json); a backbone may be a PEFT LoRA folder.
 * Also: NOT_FOUND, IO, MALFORMED, UNSUPPORTED (with the list of what is supported), MISMATCH, CANCELLED, CHECKSUM,
 * UNSOLVABLE (the matrix), GUARD_RAIL (an empty box). */
bsoup_status bsoup_soup_open(bsoup_engine *engine, const char *path, const bsoup_open_options *options,
                             bsoup_soup **soup);

/* Blends and sessions made from the soup stay usable. */
void bsoup_soup_free(bsoup_soup *soup);

/* ---------------------------------------------------------------------------------------------------------------------
 * 6 Building a soup call by call: load a base (bsoup_soup_open on its folder), then add to it. Each call takes effect for
 * blends made afterwards; blends that exist keep the soup as it was. Calls on one soup may come from any thread; each is
 * whole. Adding a backbone or an objective drops the matrix and the extrapolation: set them last.
 */

/* Adds a fine-tune of the base: a full checkpoint or a PEFT LoRA folder. *index (NULL: not wanted) becomes its number.
 * Of `options`, `weights` is ignored. Also: as bsoup_soup_open; MISMATCH where shapes, architecture or vocabulary
 * differ from the base's. At most 64 backbones. */
bsoup_status bsoup_soup_add_backbone(bsoup_soup *soup, const char *path, const bsoup_open_options *options,
                                     uint32_t *index);

typedef struct bsoup_objective_options {
  uint32_t struct_size;
  uint32_t has_default;    /* 1: default_weight counts */
  const char *name;        /* 1 to 64 bytes, unique in the soup */
  const char *label;       /* NULL: the name */
  const char *description; /* NULL: none */
  double default_weight;   /* its part of the preference when none is given; not negative */
  double minimum;          /* guard rail on its part; default 0 */
  double maximum;          /* default 1 */
  double step;             /* of a slider; default 0.01 */
} bsoup_objective_options;

void bsoup_objective_options_init(bsoup_objective_options *options, size_t struct_size);

/* Adds an objective, at most 64. *index (NULL: not wanted) becomes its number. Whether the limits of all objectives leave
 * a preference is looked at when a blend is made. */
bsoup_status bsoup_soup_add_objective(bsoup_soup *soup, const bsoup_objective_options *options, uint32_t *index);

/* Sets the backbone matrix B: `rows` = number of backbones, `columns` = number of objectives, row-major; row i is the
 * reward mix that backbone i was trained on. Also: MISMATCH, UNSOLVABLE (rank-deficient, or condition above 1e6). */
bsoup_status bsoup_soup_set_matrix(bsoup_soup *soup, const double *matrix, uint32_t rows, uint32_t columns);

/* Sets Bone Soup's rule: beta on the diagonal, (1 − beta)/(n − 1) beside it. beta = 1 is Rewarded Soup. Also: MISMATCH
 * unless backbones and objectives are equally many, UNSOLVABLE for beta = 1/n. */
bsoup_status bsoup_soup_set_bone_matrix(bsoup_soup *soup, double beta);

/* Sets one stretch factor k ≥ 1 per objective: λ(μ) = Σ μ_j·k_j·λ(vertex j) (arXiv 2404.16792). Also: MISMATCH without a
 * matrix, UNSOLVABLE where its rank is below the number of objectives. */
bsoup_status bsoup_soup_set_extrapolation(bsoup_soup *soup, const double *factors, uint32_t count);

enum {
  BSOUP_GUARD_REJECT = 0, /* a preference outside the objectives' limits is BSOUP_GUARD_RAIL */
  BSOUP_GUARD_CLAMP = 1   /* it is moved to the nearest one inside, and the blend's info says so */
};

/* Limits |coefficient| (0: no limit; a breach is always BSOUP_GUARD_RAIL) and says what to do with a preference outside
 * the objectives' limits. */
bsoup_status bsoup_soup_set_guard(bsoup_soup *soup, double max_abs_coefficient, uint32_t on_violation);

/* A value of a merge method's parameter. For each tensor and model the first one counts that is for them; those of one model
 * come before those of all, and the default is last. */
typedef struct bsoup_merge_parameter {
  const char *name;
  const char *filter;   /* only tensors whose names contain this; NULL: all */
  const double *values; /* one, or a gradient: from the first layer to the last, linear in between; tensors outside the
                           layers take the first */
  uint32_t value_count;
  int32_t model; /* −1: all; else the place of a model, in a soup of a backbone */
} bsoup_merge_parameter;

/* How folded blends are made where it is not by the plain sum: by a merge method of chapter 12 that is for soups. λ are its
 * weights, so that a negative λ turns the task vector round; what is summed is never divided by the sum of the weights;
 * backbones with λ = 0 are left out. With one λ of 1 the blend is near its backbone, and not it bit for bit. */
typedef struct bsoup_method_options {
  uint32_t struct_size;
  uint32_t parameter_count;
  const char *name;
  const bsoup_merge_parameter *parameters; /* without "weight" and "normalize" */
  uint64_t seed;                           /* of random methods */
} bsoup_method_options;

void bsoup_method_options_init(bsoup_method_options *options, size_t struct_size);

/* Sets how blends are made that do not say it themselves; NULL: by the plain sum ("linear"). The field "method" of soup.json
 * is {"name": …, "parameters": {…}, "seed": …}; a parameter is a number, a gradient, or a list of {"value", "filter",
 * "backbone"}. Also: NOT_FOUND (the method), UNSUPPORTED (it is for files). */
bsoup_status bsoup_soup_set_method(bsoup_soup *soup, const bsoup_method_options *method);

/* ---------------------------------------------------------------------------------------------------------------------
 * 7 Preferences and blends
 *
 * A preference μ gives each objective its part: not negative, summing to 1 (within 0.02: then it is renormalised, and
 * the info says so). The coefficients λ solve Bᵀλ = μ; a λ below 0 or above 1 is right. A blend never changes: for
 * another preference make another blend, and running sessions keep theirs until you set it.
 *
 *   folded: base + Σ λ·(backbone − base) is computed once into weights of its own, one pass over the weights.
 *   live:   the base's weights stay, LoRA backbones are added row by row. Making one costs microseconds; the first one
 *           after a bsoup_soup_add_backbone also stacks all adapters, one pass over them that may be cancelled.
 */

typedef struct bsoup_blend bsoup_blend;

enum {
  BSOUP_BLEND_AUTO = 0, /* live where every backbone is low-rank and the blend the plain sum, else folded */
  BSOUP_BLEND_FOLDED = 1,
  BSOUP_BLEND_LIVE = 2
};

typedef struct bsoup_named_value {
  const char *name; /* of an objective */
  double value;
} bsoup_named_value;

/* Give at most one of: named, preference, coefficients, preset. None, or an empty `named`: the soup's default preference
 * (equal parts where no objective has a default); for a soup without objectives all coefficients 0, which is the base. */
typedef struct bsoup_blend_options {
  uint32_t struct_size;
  uint32_t kind;                  /* BSOUP_BLEND_* */
  const bsoup_named_value *named; /* a preference by names; objectives that are absent count 0 */
  const double *preference;       /* a preference in the objectives' order */
  const double *coefficients;     /* λ itself, one per backbone; never renormalised */
  const char *preset;             /* the name of a preset in soup.json */
  const float *layer_multipliers; /* live only: [backbone][layer], times λ in that layer; NULL: all 1 */
  uint32_t named_count;
  uint32_t preference_count;
  uint32_t coefficient_count;
  uint32_t layer_multiplier_count;    /* backbones × layers; embedding and head take 1 */
  uint32_t weights;                   /* folded only: BSOUP_FORMAT_*; default: the soup's */
  uint32_t background;                /* 1: a fold goes on after the call returns; see bsoup_blend_wait */
  bsoup_cancel *cancel;               /* of a fold, also one in the background, and of the stacking */
  bsoup_progress_fn progress;         /* of a fold; in the background it runs on a thread of the library */
  void *progress_context;             /* borrowed until the fold has ended */
  const bsoup_method_options *method; /* how a fold is made; NULL: as the soup says. Since 1.0 */
} bsoup_blend_options;

void bsoup_blend_options_init(bsoup_blend_options *options, size_t struct_size);

/* Makes a blend. Also: NOT_FOUND (objective, preset), GUARD_RAIL, UNSOLVABLE, MISMATCH (numbers of values),
 * UNSUPPORTED (live with a full backbone), CANCELLED. */
bsoup_status bsoup_blend_create(bsoup_soup *soup, const bsoup_blend_options *options, bsoup_blend **blend);

/* Waits until a blend made in the background can be used, at most `milliseconds` (UINT32_MAX: for ever). Also: NOT_READY
 * (time is over), and what the fold failed with: from then on this, and whatever needs the blend's weights, returns that
 * same status. A session on a blend that is not ready is NOT_READY. */
bsoup_status bsoup_blend_wait(bsoup_blend *blend, uint32_t milliseconds);

/* Sessions on the blend keep it. A fold in the background that nobody can use any more is stopped, and its memory given
 * back, within 50 ms; from inside its own progress callback the free returns at once, and the memory is given back
 * shortly after the callback returns. */
void bsoup_blend_free(bsoup_blend *blend);

/* Bytes of large memory that bsoup_blend_create would take at its peak for the blend itself with these options: its weights,
 * and by a merge method also the largest tensor in f32 and the method's own work. Stacked adapters are
 * the soup's: the memory in its info counts them, stacked or not. */
bsoup_status bsoup_blend_memory(bsoup_soup *soup, const bsoup_blend_options *options, uint64_t *bytes);

enum {
  BSOUP_ADJUSTED_RENORMALIZED = 1, /* the parts did not sum to 1 and were divided by their sum */
  BSOUP_ADJUSTED_CLAMPED = 2       /* a guard rail moved the preference */
};

typedef struct bsoup_blend_info {
  uint32_t struct_size;     /* set it before the call */
  uint32_t kind;            /* FOLDED or LIVE */
  uint32_t weights;         /* BSOUP_FORMAT_* */
  uint32_t adjustments;     /* BSOUP_ADJUSTED_*, added */
  uint32_t objective_count; /* 0 for a blend made from coefficients */
  uint32_t backbone_count;
  double base_share;  /* 1 − Σλ over the full backbones */
  double condition;   /* condition number of B; 0 for a blend made from coefficients */
  double progress;    /* of the fold, 0 to 1; 1 is ready */
  uint64_t memory;    /* bytes of its own weights */
  bsoup_status state; /* BSOUP_OK: ready; BSOUP_NOT_READY: being folded; else what the fold failed with */
  uint32_t reserved;
  char fingerprint[72]; /* 64 hexadecimal digits: in this process, blends that have the same give the same bits */
} bsoup_blend_info;

bsoup_status bsoup_blend_get_info(bsoup_blend *blend, bsoup_blend_info *info);

/* What bsoup_blend_create would make of these options, and nothing is made: the preference after adjustments (room for
 * objective_count numbers), the coefficients (backbone_count); each may be NULL. The info's memory is what a blend would
 * take, its fingerprint empty. Also: as bsoup_blend_create. */
bsoup_status bsoup_soup_solve(bsoup_soup *soup, const bsoup_blend_options *options, double *preference,
                              double *coefficients, bsoup_blend_info *info);

/* The preference after adjustments: `count` must be objective_count. Also: MISMATCH (another count). */
bsoup_status bsoup_blend_preference(bsoup_blend *blend, double *preference, uint32_t count);
/* The coefficients: `count` must be backbone_count. Also: MISMATCH (another count). */
bsoup_status bsoup_blend_coefficients(bsoup_blend *blend, double *coefficients, uint32_t count);

/* ---------------------------------------------------------------------------------------------------------------------
 * 8 Generating
 */

typedef struct bsoup_generation bsoup_generation;

typedef struct bsoup_logit_bias {
  int32_t token;
  float bias; /* added to the token's logit; −infinity forbids it */
} bsoup_logit_bias;

/* Sees and may change the logits (`count` of them, natural-log scale) before sampling; `tokens` is the whole text so
 * far. Return 0 to go on; anything else ends the generation with BSOUP_CANCELLED. NaN, +infinity, or all −infinity
 * is BSOUP_INVALID_ARGUMENT. */
typedef int32_t (*bsoup_logits_fn)(float *logits, size_t count, const int32_t *tokens, size_t token_count,
                                   void *context);

/* Applied in this order: hook, logit bias, penalties, temperature, top-k, top-p, min-p. */
typedef struct bsoup_sampling_options {
  uint32_t struct_size;
  float temperature;        /* 0 (default): greedy, lowest token number among equals */
  uint32_t top_k;           /* 0: off */
  float top_p;              /* 1: off */
  float min_p;              /* 0: off */
  float repetition_penalty; /* 1: off; divides positive and multiplies negative logits of seen tokens (CTRL) */
  float presence_penalty;   /* 0: off; subtracted once from each seen token; -1000 to 1000, as the next */
  float frequency_penalty;  /* 0: off; subtracted per occurrence */
  int32_t penalty_window;   /* how many last tokens, the prompt's too, count as seen; −1 (default): all; 0: none */
  uint32_t top_logprobs;    /* alternatives to report per step, at most 100 */
  uint64_t seed;            /* of the session's Philox stream */
  const bsoup_logit_bias *logit_bias;
  uint32_t logit_bias_count;
  uint32_t reserved; /* 0 */
  bsoup_logits_fn hook;
  void *hook_context; /* borrowed until the generation finishes or is replaced, or its session is rewound or freed */
} bsoup_sampling_options;

void bsoup_sampling_options_init(bsoup_sampling_options *options, size_t struct_size);

/* Gets new text: whole UTF-8 characters, never the beginning of a stop string. Return 0 to go on; anything else ends
 * the generation with BSOUP_FINISH_CALLBACK. */
typedef int32_t (*bsoup_text_fn)(const char *text, size_t size, void *context);

enum {
  /* Add the tokens that the tokenizer puts around a text (BOS). In a session: only those before it, and only where the
   * session is empty. */
  BSOUP_TOKENIZE_SPECIAL = 1,
  /* Take the spelling of a special token in the text for that token. */
  BSOUP_TOKENIZE_PARSE_SPECIAL = 2
};

typedef struct bsoup_generate_options {
  uint32_t struct_size;
  uint32_t max_tokens;                    /* new tokens at most; default 256; 0: the prompt is computed, nothing more */
  const bsoup_sampling_options *sampling; /* NULL: greedy */
  const char *const *stop_strings;        /* each 1 to 256 bytes; the text ends before the first that appears */
  const int32_t *stop_tokens;             /* beside the model's own end tokens */
  uint32_t stop_string_count;             /* at most 16 */
  uint32_t stop_token_count;              /* at most 256 */
  uint32_t ignore_end;                    /* 1: the model's end tokens do not end the text */
  uint32_t tokenize;                      /* BSOUP_TOKENIZE_*, added; default SPECIAL */
  uint32_t context;                       /* bsoup_generate only: positions; 0: as many as the call can need */
  uint32_t kv_format;                     /* bsoup_generate only: BSOUP_FORMAT_* */
  bsoup_text_fn on_text;                  /* NULL: not streamed */
  void *text_context;
  bsoup_cancel *cancel;
  bsoup_progress_fn prefill_progress; /* share of the prompt that is computed */
  void *prefill_context;
  uint32_t response_only; /* 1: the base alone reads the prompt, and the blend writes the response; see chapter 9 */
  uint32_t reserved;      /* 0 */
} bsoup_generate_options;

void bsoup_generate_options_init(bsoup_generate_options *options, size_t struct_size);

enum {
  BSOUP_FINISH_NONE = 0,        /* goes on */
  BSOUP_FINISH_END = 1,         /* the model's end token */
  BSOUP_FINISH_STOP_TOKEN = 2,  /* one of stop_tokens */
  BSOUP_FINISH_STOP_STRING = 3, /* one of stop_strings */
  BSOUP_FINISH_LENGTH = 4,      /* max_tokens */
  BSOUP_FINISH_CONTEXT = 5,     /* the session's context is full */
  BSOUP_FINISH_CALLBACK = 6,    /* on_text returned non-zero */
  BSOUP_FINISH_CANCELLED = 7,   /* cancelled by token or hook: the text so far */
  BSOUP_FINISH_ERROR = 8        /* a failure on the way: the text so far */
};

/* Prompt in, text out, in a session of its own. *generation (NULL: not wanted): free it. It is also made when the call
 * fails after the prompt was computed, with the text so far. All sampled tokens count as tokens; the text ends before a
 * stop string or an end token. A prompt that has no room is CONTEXT_FULL, before anything is computed. Also: CANCELLED,
 * NOT_READY, and MISMATCH for a soup without a tokenizer. */
bsoup_status bsoup_generate(bsoup_blend *blend, const char *prompt, size_t prompt_size,
                            const bsoup_generate_options *options, bsoup_generation **generation);

void bsoup_generation_free(bsoup_generation *generation);

typedef struct bsoup_logprob {
  int32_t token;
  float logprob; /* natural log of the model's own probability, before bias, penalties and temperature */
} bsoup_logprob;

typedef struct bsoup_generation_info {
  uint32_t struct_size;      /* set it before the call */
  uint32_t finish;           /* BSOUP_FINISH_* */
  const char *text;          /* the new text, NUL after it; borrowed from the generation */
  size_t text_size;          /* without the NUL */
  const int32_t *tokens;     /* the new tokens, an end token included; borrowed */
  const float *logprobs;     /* one per token; borrowed */
  const bsoup_logprob *top;  /* top_count per token, most probable first; NULL without top_logprobs; borrowed */
  uint32_t token_count;      /* new tokens */
  uint32_t top_count;        /* alternatives per token */
  uint32_t prompt_tokens;    /* tokens of the prompt */
  uint32_t prefilled_tokens; /* tokens that were computed before the first new one */
  double prefill_seconds;    /* until the logits for the first new token */
  double decode_seconds;     /* the rest */
  char fingerprint[72];      /* of the session at the end of the call */
} bsoup_generation_info;

bsoup_status bsoup_generation_get_info(bsoup_generation *generation, bsoup_generation_info *info);

/* ---------------------------------------------------------------------------------------------------------------------
 * 9 Sessions
 *
 * A session is one running text: its tokens, their KV cache, a sampler, and the blend it uses. Tokens are appended, then
 * computed by bsoup_decode (chapter 10) or bsoup_session_generate. A session that is not empty has pending tokens or the
 * logits of its last one. "Calls that change a session" are append, rewind, set_blend, generate, begin, decode, next and
 * free, also when they fail.
 *
 * A *response-only* generation (response_only in its options, to bsoup_session_begin or bsoup_session_generate) lets the
 * base alone, the soup's own weights, compute all tokens before the last one of the prompt; from that token on, whose
 * logits give the first new one, the blend computes. So one computed prompt serves any number of preferences: fork the
 * session, and set the blend of each fork with BSOUP_RECOMPUTE, which keeps what the base has computed. It is another
 * model than the blend for the whole text, and backbones should be trained that way. The position where the blend comes
 * in stays, over rewinds to tokens before it too, until another response-only generation moves it or a rewind to 0 drops
 * it; tokens that were computed by another than is right now are pending again.
 */

typedef struct bsoup_session bsoup_session;

typedef struct bsoup_session_options {
  uint32_t struct_size;
  uint32_t context;   /* positions at most; 0: what the model was made for, but not above 4096; more
                         than the model was made for is INVALID_ARGUMENT.
                         Memory is taken 64 positions at a time */
  uint32_t kv_format; /* BSOUP_FORMAT_F32, F16, BF16 or Q8_0; default: f32 with f32 weights, else f16, which is closer than
                         BF16; BF16 is faster over long prompts where the processor multiplies it, and has room for
                         keys and values above 65504.
                         Q8_0 where the size of the model's heads is no multiple of 32 is UNSUPPORTED */
  uint32_t reserved;  /* 0 */
} bsoup_session_options;

void bsoup_session_options_init(bsoup_session_options *options, size_t struct_size);

/* Also: NOT_READY (a fold that is still going on). */
bsoup_status bsoup_session_create(bsoup_blend *blend, const bsoup_session_options *options, bsoup_session **session);
/* Frees the session; a call that is using it on another thread ends as usual. */
void bsoup_session_free(bsoup_session *session);

/* Bytes of large memory that a session with these options takes when its context is full, logits of its last position
 * included. What computes and samples is lent by the soup: memory for as many as work at once, whatever the number of
 * sessions. */
bsoup_status bsoup_session_memory(bsoup_blend *blend, const bsoup_session_options *options, uint64_t *bytes);

/* Appends tokens to the text; nothing is computed. Also: BUSY, CONTEXT_FULL. */
bsoup_status bsoup_session_append(bsoup_session *session, const int32_t *tokens, size_t count);
/* Appends text; `tokenize` is BSOUP_TOKENIZE_*, added. *count (NULL: not wanted) becomes the number of its tokens.
 * `cancel` may be NULL. Also: BUSY, CONTEXT_FULL, MISMATCH (no tokenizer), CANCELLED. */
bsoup_status bsoup_session_append_text(bsoup_session *session, const char *text, size_t size, uint32_t tokenize,
                                       bsoup_cancel *cancel, size_t *count);

/* Keeps the first `count` tokens and forgets the rest: what is appended then is as if they had never been. The last kept
 * token is pending again, a generation that was begun is ended. Also: BUSY; INVALID_ARGUMENT for a count above the number
 * of tokens. */
bsoup_status bsoup_session_rewind(bsoup_session *session, size_t count);

/* A copy with the same tokens, KV cache (shared up to here), logits and blend that goes its own way. A generation that was
 * begun is not copied: begin one on the fork, with another seed for another text. Also: BUSY. */
bsoup_status bsoup_session_fork(bsoup_session *session, bsoup_session **fork);

enum {
  /* The tokens so far are computed again, but for the base's in a response-only text: the bits of a fresh session. */
  BSOUP_RECOMPUTE = 0,
  /* The old blend's KV cache and logits are kept: microseconds. The session's fingerprint becomes a hash over the old one,
   * the position and the new blend's. */
  BSOUP_CONTINUE = 1
};

/* Changes the blend for the tokens computed from now on. It must come from the same soup handle as the session's. A rewind
 * to before the change leaves the older blend's KV in use, and the fingerprint says so; a rewind to 0 makes it pure. Also:
 * BUSY, NOT_READY, MISMATCH (another soup). */
bsoup_status bsoup_session_set_blend(bsoup_session *session, bsoup_blend *blend, uint32_t policy);

typedef struct bsoup_session_info {
  uint32_t struct_size;    /* set it before the call */
  uint32_t kv_format;      /* BSOUP_FORMAT_* */
  uint64_t token_count;    /* of the text */
  uint64_t computed_count; /* of these, with KV; the rest is computed by the next decode */
  uint64_t context;        /* positions at most */
  uint64_t memory;         /* bytes held: KV (shared ones included), tokens, logits */
  char fingerprint[72];    /* over the blend's and the KV format; see BSOUP_CONTINUE */
  uint64_t response_start; /* positions before it are the base's; 0: none */
} bsoup_session_info;

/* Also: BUSY. */
bsoup_status bsoup_session_get_info(bsoup_session *session, bsoup_session_info *info);

/* All its tokens. Borrowed until the next call that changes the session. Also: BUSY. */
bsoup_status bsoup_session_tokens(bsoup_session *session, const int32_t **tokens, size_t *count);

/* Appends the prompt (may be empty), generates until a stop, and keeps all in the session for the next turn: prompt and
 * every sampled token, an end token and a stop string's included (tokens are the truth, text is a view). The last one is
 * pending. On a failure or a cancel the session keeps what it has and can go on; *generation as in bsoup_generate. Also:
 * as bsoup_generate; BUSY; NOT_READY where there is no token to follow. */
bsoup_status bsoup_session_generate(bsoup_session *session, const char *prompt, size_t prompt_size,
                                    const bsoup_generate_options *options, bsoup_generation **generation);

/* ---------------------------------------------------------------------------------------------------------------------
 * 10 Batches: many sessions in one step, each with its own blend. The loop (bsoup_generate_batch has it in one call) is
 *
 *     bsoup_session_append_text(s[i], ...);  bsoup_session_begin(s[i], &how);           for each
 *     while (n > 0) {
 *       bsoup_decode(s, n, NULL);                                                       prefill and decode, mixed
 *       bsoup_session_next(s[i], &step);                                                for each: one token and its text
 *       (take those with step.finish out of s)
 *     }
 */

typedef struct bsoup_decode_options {
  uint32_t struct_size;
  uint32_t max_rows;      /* positions to compute at most in this call, shared fairly; 0: all that are pending */
  uint32_t all_logits;    /* 1: keep the logits of every position computed by this call, not of the last only */
  uint32_t reserved;      /* 0 */
  bsoup_status *statuses; /* what became of each session, `count` of them; NULL: not wanted. Where nothing is computed,
                             the sessions that were in order are NOT_READY */
  bsoup_cancel *cancel;
  bsoup_progress_fn progress;
  void *progress_context;
} bsoup_decode_options;

void bsoup_decode_options_init(bsoup_decode_options *options, size_t struct_size);

/* Computes the pending tokens of all these sessions together; they may be of different soups and engines, and must be
 * different sessions. One without pending tokens is left as it is. Where any session is stale, BUSY or NOT_READY, nothing
 * is computed. One that gets no memory is left out, and the others go on. Returns the first failure in order. A cancel
 * leaves each session with the positions that were computed whole: call again to go on. Also: BUSY, NOT_READY,
 * CANCELLED. */
bsoup_status bsoup_decode(bsoup_session *const *sessions, size_t count, const bsoup_decode_options *options);

/* The model's own logits after position `position` (0 is the first token; −1 the last computed), natural-log scale, one per
 * token of the vocabulary. Borrowed until the next call that changes the session. Also: BUSY, NOT_READY (not computed by
 * the last decode, or not kept: see all_logits). */
bsoup_status bsoup_session_logits(bsoup_session *session, int64_t position, const float **logits, size_t *count);

/* Begins a generation for bsoup_session_next: sampling, stops, limits (NULL: the defaults); with response_only the tokens
 * so far are its prompt. It ends when it finishes, with the next begin, rewind or bsoup_session_generate, or with the
 * session. Tokens appended between its steps are context, and no part of its text. Of the options `on_text`, `tokenize`,
 * `context`, `kv_format`, `cancel` and the prefill's progress do not matter here. Also: BUSY; NOT_READY (response_only,
 * and no tokens). */
bsoup_status bsoup_session_begin(bsoup_session *session, const bsoup_generate_options *options);

typedef struct bsoup_step {
  uint32_t struct_size;     /* set it before the call */
  int32_t token;            /* the new token, now pending in the session */
  float logprob;            /* as in bsoup_logprob */
  uint32_t finish;          /* BSOUP_FINISH_*: anything but NONE was the last step */
  const char *text;         /* new text that is certain; borrowed until the next call that changes the session */
  size_t text_size;         /* may be 0 */
  const bsoup_logprob *top; /* borrowed likewise */
  uint32_t top_count;
  uint32_t reserved;
} bsoup_step;

/* Samples one token from the logits of the session's last token and appends it. Without a bsoup_session_begin: greedy,
 * without limits. Where the context is full, or max_tokens is 0, the step finishes and its token is −1. Also: BUSY,
 * NOT_READY (bsoup_decode first), CANCELLED (the hook), INVALID_ARGUMENT (finished: begin another). */
bsoup_status bsoup_session_next(bsoup_session *session, bsoup_step *step);

/* The loop above in one call: carries the generation of each session (without a bsoup_session_begin: greedy, without limits)
 * to its end, for texts by the thousand. The same tokens as the loop's, faster where the model is small or the vocabulary
 * large. Sessions may be more than fit in one step: some run at a time, and memory is taken as they do.
 *
 * generations[i] (NULL: not wanted) becomes the new text of session i, as in bsoup_session_generate: free it. NULL stays
 * where no generation could begin. Where any session is stale, BUSY or NOT_READY, nothing is computed. One that fails ends
 * with the text so far, and the others go on. Returns the first failure in order. Of the options, max_rows and all_logits
 * must be 0; progress is the share of sessions that are done. A cancel ends all generations: begin others to go on. Also:
 * BUSY, NOT_READY, CANCELLED; CANCELLED or INVALID_ARGUMENT of a session as in bsoup_session_next. */
bsoup_status bsoup_generate_batch(bsoup_session *const *sessions, size_t count, const bsoup_decode_options *options,
                                  bsoup_generation **generations);

/* ---------------------------------------------------------------------------------------------------------------------
 * 11 Inspecting
 */

typedef struct bsoup_soup_info {
  uint32_t struct_size; /* set it before the call */
  uint32_t weights;     /* BSOUP_FORMAT_*: the run-time format */
  uint32_t objective_count;
  uint32_t backbone_count;
  uint32_t preset_count;
  uint32_t vocabulary; /* logits per position */
  uint32_t layers;
  uint32_t hidden; /* width of the residual stream */
  uint32_t heads;
  uint32_t kv_heads;
  uint32_t head_size;
  uint32_t context;       /* positions the model was made for */
  uint32_t has_tokenizer; /* 0: token numbers only */
  uint32_t live;          /* 1: every backbone is low-rank, so that BSOUP_BLEND_AUTO is live */
  uint64_t parameters;    /* of the base */
  uint64_t memory;        /* bytes of the base's and the adapters' weights in run-time form, mapped ones included */
  double condition;       /* of the backbone matrix; 0 without one */
  double max_abs_coefficient;
  uint32_t on_violation; /* BSOUP_GUARD_* */
  uint32_t reserved;
  const char *model_type; /* as in config.json; borrowed from the soup */
} bsoup_soup_info;

bsoup_status bsoup_soup_get_info(bsoup_soup *soup, bsoup_soup_info *info);

typedef struct bsoup_objective_info {
  uint32_t struct_size; /* set it before the call */
  uint32_t reserved;
  const char *name; /* these three borrowed from the soup */
  const char *label;
  const char *description; /* "" where none is given */
  double default_weight;   /* in the default preference */
  double minimum;
  double maximum;
  double step;
  double floor;     /* of the reward, for monitoring; NaN where none is given */
  double norm_mean; /* of the reward over the base's own samples; NaN where none is given */
  double norm_std;
  double extrapolation; /* stretch factor; 1: none */
} bsoup_objective_info;

/* Also: NOT_FOUND for an index past the last. */
bsoup_status bsoup_soup_objective(bsoup_soup *soup, uint32_t index, bsoup_objective_info *info);

typedef struct bsoup_backbone_info {
  uint32_t struct_size;  /* set it before the call */
  uint32_t low_rank;     /* 1: a LoRA adapter; 0: a full checkpoint */
  const char *path;      /* as given; borrowed from the soup */
  uint64_t parameters;   /* of its files */
  uint32_t rank;         /* the largest of an adapter */
  uint32_t module_count; /* adapted layers */
} bsoup_backbone_info;

/* Also: NOT_FOUND for an index past the last. */
bsoup_status bsoup_soup_backbone(bsoup_soup *soup, uint32_t index, bsoup_backbone_info *info);

/* B, row-major, backbones × objectives: `count` must be their product. Also: NOT_FOUND without a matrix, MISMATCH
 * (another count). */
bsoup_status bsoup_soup_matrix(bsoup_soup *soup, double *matrix, uint32_t count);

/* Preset `index`: *name is borrowed from the soup; `preference` takes objective_count numbers (NULL: not wanted).
 * Also: NOT_FOUND, MISMATCH (another count). */
bsoup_status bsoup_soup_preset(bsoup_soup *soup, uint32_t index, const char **name, double *preference, uint32_t count);

/* Where one slider moves, the others share the rest in their proportions (equally where all are 0): `preference`
 * (objective_count numbers) is changed in place so that objective `index` has `value`. Also: MISMATCH (another count). */
bsoup_status bsoup_soup_move_slider(bsoup_soup *soup, double *preference, uint32_t count, uint32_t index, double value);

/* Text to tokens. Writes at most `capacity` and sets *count to how many there are: where it is above `capacity`, call again
 * with room. `tokenize` is BSOUP_TOKENIZE_*, added; `cancel` may be NULL. Also: MISMATCH (no tokenizer), CANCELLED. */
bsoup_status bsoup_soup_tokenize(bsoup_soup *soup, const char *text, size_t size, uint32_t tokenize,
                                 bsoup_cancel *cancel, int32_t *tokens, size_t capacity, size_t *count);

enum {
  BSOUP_DETOKENIZE_SKIP_SPECIAL = 1 /* leave special tokens out */
};

/* Tokens to text, invalid UTF-8 replaced by U+FFFD. `detokenize` is BSOUP_DETOKENIZE_*. *size as *count above. Takes no
 * cancel: its time grows with tokens and text alone, some 30 ns per token and 6 ns per byte, so that 50 ms are about a
 * million tokens; a longer list is better given in parts. */
bsoup_status bsoup_soup_detokenize(bsoup_soup *soup, const int32_t *tokens, size_t token_count, uint32_t detokenize,
                                   char *text, size_t capacity, size_t *size);

/* The bytes that a token adds to a text, which need not be whole characters: at most `capacity` are written, *size as
 * *count above. *special (NULL: not wanted) becomes 1 for a special one. Also: NOT_FOUND, MISMATCH (no tokenizer). */
bsoup_status bsoup_soup_token(bsoup_soup *soup, int32_t token, char *bytes, size_t capacity, size_t *size,
                              uint32_t *special);

/* The model's end tokens, from config.json and generation_config.json. Borrowed from the soup. */
bsoup_status bsoup_soup_end_tokens(bsoup_soup *soup, const int32_t **tokens, size_t *count);

/* ---------------------------------------------------------------------------------------------------------------------
 * 12 Merging files
 *
 * Whole models become one by a merge method: Hugging Face folders, safetensors files and PEFT LoRA folders in, a Hugging
 * Face folder out, with config and tokenizer of the base (of the first model where there is none) and a card that has the
 * recipe. Tensor by tensor, block by block, in f32 (sums over a tensor in f64), in memory that can be asked beforehand.
 * Names and defaults of methods and parameters are mergekit's; iso_c, tsv and knots are from their papers (arXiv
 * 2502.04959, 2412.00081, 2410.19735). Random methods draw element e of a tensor for model i from Philox4x32-10 with the
 * seed as key and the counter (e / 4, upper half of h, i, lower half of h), word e % 4, h the 64-bit FNV-1a of the tensor's
 * name: the same on any machine, whatever the threads.
 */

enum {
  BSOUP_METHOD_BASE_UNUSED = 0, /* a base among the models is one of them */
  BSOUP_METHOD_BASE_OPTIONAL = 1,
  BSOUP_METHOD_BASE_REQUIRED = 2 /* it works on task vectors, model − base */
};

enum {
  BSOUP_NEGATIVE_IGNORED = 0, /* it has no weights */
  BSOUP_NEGATIVE_SIGNED = 1,  /* the sign goes into the task vector: that is trimmed, elected, decomposed and summed */
  BSOUP_NEGATIVE_FACTOR = 2   /* the weight is a plain factor of the model */
};

typedef struct bsoup_method_info {
  uint32_t struct_size; /* set it before the call */
  uint32_t base;        /* BSOUP_METHOD_BASE_* */
  uint32_t min_models;  /* beside the base */
  uint32_t max_models;
  uint32_t negative;  /* BSOUP_NEGATIVE_*: what a weight below 0 does */
  uint32_t for_soups; /* 1: a soup can be blended by it */
  uint32_t random;    /* 1: a seed decides */
  uint32_t parameter_count;
  const char *name; /* static, as all texts here */
  const char *summary;
} bsoup_method_info;

/* Method `index` of the library, in its own order. Also: NOT_FOUND past the last. */
bsoup_status bsoup_method_get_info(uint32_t index, bsoup_method_info *info);

typedef struct bsoup_parameter_info {
  uint32_t struct_size; /* set it before the call */
  uint32_t is_flag;     /* 1: 0 or 1 */
  uint32_t per_model;   /* 1: each model has its own */
  uint32_t is_required; /* 1: it has no default */
  const char *name;
  const char *summary;
  double default_value; /* NaN where it is required */
  double minimum;
  double maximum;
} bsoup_parameter_info;

/* Parameter `index` of a method. Also: NOT_FOUND past the last. */
bsoup_status bsoup_method_parameter(uint32_t method, uint32_t index, bsoup_parameter_info *info);

/* Elements of one tensor, in f32. Pointers are valid during the call. */
typedef struct bsoup_merge_block {
  uint32_t struct_size;
  uint32_t model_count;
  const char *tensor;         /* at most 200 bytes of its name */
  const float *base;          /* NULL without one */
  const float *const *models; /* model_count times `count` */
  const double *weights;      /* the parameter "weight" of each model; 1 where none is given */
  uint64_t offset;            /* of the first element in the tensor, row by row */
  uint64_t count;
  float *result; /* takes `count` numbers */
} bsoup_merge_block;

/* Merges one block. Returns 0 to go on; anything else ends the merge with BSOUP_CANCELLED. Any thread, several at once, in
 * the library's floating-point mode. */
typedef int32_t (*bsoup_merge_block_fn)(const bsoup_merge_block *block, void *context);

typedef struct bsoup_merge_progress {
  uint32_t struct_size;
  uint32_t reserved;
  double share;            /* done, 0 to 1 */
  double seconds;          /* since the start */
  double seconds_left;     /* at the rate so far; NaN before there is one */
  double bytes_per_second; /* written */
} bsoup_merge_progress;

/* Return 0 to go on; anything else cancels. */
typedef int32_t (*bsoup_merge_progress_fn)(const bsoup_merge_progress *progress, void *context);

/* Layers of one model that go into a merge of slices. The result's layers are those of slice 0, then of slice 1, and so on;
 * each layer of a slice is merged of one layer of each of its models, a base among them if the method needs one. What is before
 * the layers is merged of slice 0's models, what is behind them of the last one's. A gradient goes through a slice. */
typedef struct bsoup_merge_layers {
  uint32_t slice;       /* the first model's is 0, every other's that of the model before it or the next */
  uint32_t first_layer; /* of the model, from 0 */
  uint32_t layer_count; /* the same for all models of a slice */
  uint32_t reserved;    /* 0 */
} bsoup_merge_layers;

typedef struct bsoup_merge_options {
  uint32_t struct_size;
  uint32_t format;    /* BSOUP_FORMAT_* of the result; default: each tensor as in the base (or the first model) */
  const char *method; /* with `merge_block`: what the card calls it */
  const char *base;   /* path; NULL: none */
  const char *const *models; /* paths; the base among them stands for itself */
  const bsoup_merge_parameter *parameters;
  uint32_t model_count;
  uint32_t parameter_count;
  uint64_t seed;       /* of random methods */
  uint64_t shard_size; /* bytes of tensors in one file; 0: 5,000,000,000 */
  uint32_t skip_sync;  /* 1: do not wait until all is on the disk; a loss of power may then leave a damaged folder */
  uint32_t hash_files; /* 1: the card has the SHA-256 of every source file, which are read once more for it */
  bsoup_merge_block_fn merge_block; /* a method of your own; NULL: the one by name */
  void *block_context;
  bsoup_cancel *cancel;
  bsoup_merge_progress_fn progress;
  void *progress_context;
  const bsoup_merge_layers *layers; /* one for each model, a model as often among them as it gives layers; NULL: whole
                                       models. A parameter of a model, also one that all models share, is then of its
                                       slice's layers; config.json gets the new number of layers */
} bsoup_merge_options;

void bsoup_merge_options_init(bsoup_merge_options *options, size_t struct_size);

/* Merges models into the folder `path`, which does not exist or is empty, in a folder that does. It is absent or whole at
 * any moment (see chapter 13). A source that changes or is cut short meanwhile is IO. Also: NOT_FOUND (a file, the method),
 * IO (a full disk, seen before anything is computed), MALFORMED, UNSUPPORTED, MISMATCH (other tensors or shapes), BUSY
 * (another merge to the same path), CANCELLED. */
bsoup_status bsoup_merge_files(bsoup_engine *engine, const char *path, const bsoup_merge_options *options);

typedef struct bsoup_merge_info {
  uint32_t struct_size; /* set it before the call */
  uint32_t tensor_count;
  uint64_t peak_memory; /* bytes of large memory at once that the merge takes with this engine's threads */
  uint64_t output_size; /* bytes of tensors that it writes */
  char fingerprint[72]; /* of method, parameters, seed, format, and the names and sizes of the source files */
} bsoup_merge_info;

/* What bsoup_merge_files would do, and nothing is written: all files are opened and compared, all parameters checked. */
bsoup_status bsoup_merge_plan(bsoup_engine *engine, const bsoup_merge_options *options, bsoup_merge_info *info);

/* ---------------------------------------------------------------------------------------------------------------------
 * 13 Exporting and inspecting files
 *
 * What other engines serve: a blend as a Hugging Face folder (transformers, vLLM, llama.cpp by its converter), or, of LoRA
 * backbones, as one PEFT adapter of the base. All is computed from the soup's files, tensor by tensor, in little memory.
 * A path that is written to must not exist, or be an empty folder, in a folder that does. Files are written to
 * ".NAME.partial" beside it, which is renamed at the end: whatever happens, the path is absent or whole, and what an
 * interrupted run left is removed by the next one. Room on the disk is looked at before; a full disk is IO.
 */

enum {
  BSOUP_EXPORT_FOLDER = 0, /* a Hugging Face folder; config, tokenizer and chat template are the base's */
  BSOUP_EXPORT_ADAPTER = 1 /* a PEFT LoRA folder: every module at one rank that vLLM takes, scale 1 */
};

typedef struct bsoup_export_options {
  uint32_t struct_size;
  uint32_t kind;       /* BSOUP_EXPORT_* */
  uint32_t format;     /* BSOUP_FORMAT_*; default: a folder as the base's files, tensor by tensor, an adapter as the
                          adapters' files where these agree, else f32 */
  uint32_t rank;       /* adapter only. 0: exact, the backbones' ranks add up. Else recompressed by SVD to this rank */
  uint64_t shard_size; /* folder only: bytes of tensors in one file; 0: 5,000,000,000 */
  const char *base_name; /* what the adapter's config and the card call the base, as a hub's name; NULL: its path */
  uint32_t skip_hashes;  /* 1: the card (README.md) goes without the SHA-256 of the source files that are read whole */
  uint32_t reserved;     /* 0 */
  bsoup_cancel *cancel;
  bsoup_progress_fn progress;
  void *progress_context;
} bsoup_export_options;

void bsoup_export_options_init(bsoup_export_options *options, size_t struct_size);

/* What making matrices low-rank has lost, tensor by tensor. Any thread. */
typedef struct bsoup_factoring bsoup_factoring;

/* Writes a blend's weights, whether it is folded, live or not ready yet. A folder holds the sum that a fold computes,
 * once rounded, or what its method makes: with one coefficient of 1 and the rest 0 the bits of a full backbone. An
 * adapter holds Σ λᵢsᵢUᵢDᵢ, ranks side by side with λᵢsᵢ in U, padded with zeros to 8, 16, 32, 64, 128, 256, 320 or
 * 512; a blend that is the base becomes one of zeros. A tied model whose ends come to differ is written untied.
 * *factoring (NULL: not wanted): free it; NULL where nothing was recompressed. Also: UNSUPPORTED (an adapter of
 * another method than linear, or of a full backbone: bsoup_backbone_factor it, or export a folder; ranks above 512;
 * numbers that f16 does not hold; a soup from a table of files that is not kept), INVALID_ARGUMENT (the path is
 * taken), NOT_FOUND, IO, BUSY (another export to the same path), CANCELLED. */
bsoup_status bsoup_blend_export(bsoup_blend *blend, const char *path, const bsoup_export_options *options,
                                bsoup_factoring **factoring);

/* The same of a blend that is not made, so that nothing is folded in memory: `point` is read as by bsoup_blend_create, and
 * its `weights`, `background`, `cancel` and `progress` do not matter. Also: as bsoup_soup_solve. */
bsoup_status bsoup_soup_export(bsoup_soup *soup, const bsoup_blend_options *point, const char *path,
                               const bsoup_export_options *options, bsoup_factoring **factoring);

/* Bytes of tensors that it would write. Also: as above. */
bsoup_status bsoup_soup_export_size(bsoup_soup *soup, const bsoup_blend_options *point,
                                    const bsoup_export_options *options, uint64_t *bytes);

enum {
  BSOUP_VECTORS_REFUSE = 0, /* norms or biases that differ from the base's are UNSUPPORTED, and the error names one */
  BSOUP_VECTORS_DROP = 1    /* they are left as in the base, and reported as lost */
};

typedef struct bsoup_factor_options {
  uint32_t struct_size;
  uint32_t rank;    /* of every matrix, at most; 0: the smallest that keeps to max_error, found for each matrix */
  double max_error; /* with rank 0: ‖Δ − UD‖ / ‖Δ‖ of each matrix, Frobenius norms; default 0.1 */
  uint32_t format;  /* BSOUP_FORMAT_* of the file; default: f32 */
  uint32_t vectors; /* BSOUP_VECTORS_* */
  bsoup_cancel *cancel;
  bsoup_progress_fn progress;
  void *progress_context;
} bsoup_factor_options;

void bsoup_factor_options_init(bsoup_factor_options *options, size_t struct_size);

/* Writes full backbone `index` as a PEFT LoRA folder, so that it can be a low-rank backbone and live: the matrices of
 * Δ = backbone − base, embedding and head too, by randomised subspace iteration (arXiv 0909.4061), which comes within about
 * a per cent of the least error at that rank. All modules get the largest rank that one needs; with rank 0 that is not
 * rounded up. Also: NOT_FOUND (the backbone), UNSUPPORTED (norms and biases; an error below what the format can keep),
 * MALFORMED (NaN), INVALID_ARGUMENT (a low-rank backbone, no difference, the path), IO, BUSY, CANCELLED. */
bsoup_status bsoup_backbone_factor(bsoup_soup *soup, uint32_t index, const char *path,
                                   const bsoup_factor_options *options, bsoup_factoring **factoring);

void bsoup_factoring_free(bsoup_factoring *factoring);

typedef struct bsoup_factoring_info {
  uint32_t struct_size; /* set it before the call */
  uint32_t rank;        /* of every module in the file */
  uint32_t tensor_count;
  uint32_t reserved;
  double error; /* over all tensors: √(Σ ‖lost‖² / Σ ‖Δ‖²) */
} bsoup_factoring_info;

bsoup_status bsoup_factoring_get_info(bsoup_factoring *factoring, bsoup_factoring_info *info);

typedef struct bsoup_factored_tensor {
  uint32_t struct_size; /* set it before the call */
  uint32_t rank;        /* in use; 0 for one that is dropped */
  const char *name;     /* as in the base's files; borrowed from the factoring */
  uint64_t rows;        /* 1 for a vector */
  uint64_t columns;
  double norm;  /* ‖Δ‖, Frobenius */
  double error; /* ‖Δ − what the file holds‖ / ‖Δ‖, measured */
} bsoup_factored_tensor;

/* Also: NOT_FOUND for an index past the last. */
bsoup_status bsoup_factoring_tensor(bsoup_factoring *factoring, uint32_t index, bsoup_factored_tensor *info);

typedef struct bsoup_compare_options {
  uint32_t struct_size;
  uint32_t reserved; /* 0 */
  bsoup_cancel *cancel;
  bsoup_progress_fn progress;
  void *progress_context;
} bsoup_compare_options;

void bsoup_compare_options_init(bsoup_compare_options *options, size_t struct_size);

/* How the backbones change the base, and how much they agree, tensor by tensor. Any thread. */
typedef struct bsoup_comparison bsoup_comparison;

/* Reads all files of the soup once. Also: INVALID_ARGUMENT for a soup without backbones, CANCELLED. */
bsoup_status bsoup_soup_compare(bsoup_soup *soup, const bsoup_compare_options *options, bsoup_comparison **comparison);

void bsoup_comparison_free(bsoup_comparison *comparison);

typedef struct bsoup_comparison_info {
  uint32_t struct_size;    /* set it before the call */
  uint32_t tensor_count;   /* that index stands for all tensors together */
  uint32_t backbone_count; /* n below */
  uint32_t reserved;
} bsoup_comparison_info;

bsoup_status bsoup_comparison_get_info(bsoup_comparison *comparison, bsoup_comparison_info *info);

/* Δ is a backbone minus the base. What has no value, as the cosine with a Δ of 0, is NaN. Pointers are borrowed from the
 * comparison. */
typedef struct bsoup_compared_tensor {
  uint32_t struct_size; /* set it before the call */
  uint32_t reserved;
  const char *name; /* "" for all together */
  uint64_t rows;    /* 1 for a vector; 0 for all together, as the next */
  uint64_t columns;
  uint64_t elements;
  double base_norm;      /* Frobenius, as all norms */
  double conflict;       /* of the elements that two or more change, the share with unlike signs: what TIES resolves */
  double cancellation;   /* 1 − Σ|ΣΔ| / ΣΣ|Δ|: how much is lost where all are added */
  const double *norms;   /* n: ‖Δ‖ */
  const double *largest; /* n: max |Δ| */
  const double *changed; /* n: the share of elements with Δ ≠ 0 */
  const double *cosines; /* n × n: between two Δ */
  const double *agreements; /* n × n: of the elements that both change, the share with like signs */
} bsoup_compared_tensor;

/* Also: NOT_FOUND for an index above tensor_count. */
bsoup_status bsoup_comparison_tensor(bsoup_comparison *comparison, uint32_t index, bsoup_compared_tensor *info);

#ifdef __cplusplus
}
#endif

#endif
