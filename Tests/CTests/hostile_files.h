/*
 * Calls of random_calls.c that write files or compare them: merges, exports, factored backbones. What is written is removed,
 * or stays in the way of the next call.
 */
#ifndef HOSTILE_FILES_H
#define HOSTILE_FILES_H

#include "hostile.h"

/* A path to write to: mostly one of three, which may be taken; without its folder now and then, or none. */
static const char *target(void) {
  static const char *const names[] = {"a", "b", "c", "no/folder", ""};
  const char *path = scratch(names[one_in(10) ? below(5) : below(3)]);
  if (one_in(2))
    remove_tree(path);
  return one_in(40) ? NULL : path;
}

static void *engine_or_none(void) { return one_in(12) ? (one_in(2) ? NULL : pick(CANCEL)) : (void *)engine; }

static int32_t merge_block(const bsoup_merge_block *block, void *context) {
  uint64_t i;
  (void)context;
  for (i = 0; i < block->count; i++)
    block->result[i] = block->models[block->model_count - 1][i];
  return 0; /* on any thread, where the random numbers are not ours */
}

static int32_t on_merge_progress(const bsoup_merge_progress *progress, void *context) {
  (void)context;
  CHECK(progress->share >= 0 && progress->share <= 1);
  return answer();
}

/* Methods with what they need; for the last ones there is always something missing. */
static const struct {
  const char *name, *first, *second;
} methods[] = {{"linear", "weight", NULL},
               {"ties", "weight", "density"},
               {"dare_ties", "weight", "density"},
               {"della", "weight", "density"},
               {"breadcrumbs", "weight", "gamma"},
               {"slerp", "t", NULL},
               {"nuslerp", "weight", NULL},
               {"sce", "select_topk", NULL},
               {"passthrough", "scale", NULL},
               {"model_stock", NULL, NULL},
               {"task_arithmetic", "weight", NULL},
               {"iso_c", "weight", NULL},
               {"tsv", "weight", NULL},
               {"knots", "weight", "density"},
               {"stir", "weight", NULL},
               {"dare_linear", "heat", "density"},
               {NULL, NULL, NULL}};

/* The method's parameters, or any. */
static const bsoup_merge_parameter *parameters_of(uint32_t method, uint32_t *count) {
  static bsoup_merge_parameter parameters[6];
  static double values[6][3];
  uint32_t i, k, sound = !one_in(6);
  for (i = 0; i < 6; i++) {
    for (k = 0; k < 3; k++)
      values[i][k] = sound ? 0.5 : real();
    parameters[i].name = i == 0 ? methods[method].first : i == 1 ? methods[method].second : methods[below(17)].first;
    parameters[i].filter = !sound && one_in(3) ? "mlp" : NULL;
    parameters[i].values = one_in(60) ? NULL : values[i];
    parameters[i].value_count = sound ? 1 + below(3) : number(3);
    parameters[i].model = sound ? -1 : (int32_t)number(4) - 1;
  }
  *count = !sound ? below(7) : parameters[1].name ? 2 : parameters[0].name ? 1 : 0;
  return one_in(60) ? NULL : parameters;
}

static bsoup_status merge_something(void) {
  static const char *const folders[] = {"tune0", "tune1", "tune2", "base", "nowhere", "cases.json"};
  static bsoup_merge_layers layers[4];
  const char *models[4];
  uint32_t i, sound = !one_in(4), method = sound ? below(14) : below(17);
  OPTIONS(bsoup_merge, how);
  for (i = 0; i < 4; i++) {
    models[i] = one_in(50) ? NULL : fixture(name("merges/%s", folders[sound ? i % 3 : below(6)]));
    layers[i].slice = sound ? i / 2 : number(3);
    layers[i].first_layer = sound ? below(2) : number(3);
    layers[i].layer_count = sound ? 1 : number(3);
  }
  how->method = methods[method].name;
  how->base = one_in(8) ? NULL : fixture("merges/base");
  how->models = one_in(50) ? NULL : models;
  how->model_count = sound ? 1 + below(3) : one_in(2) ? below(5) : UINT32_MAX - below(2);
  how->parameters = parameters_of(method, &how->parameter_count);
  how->format = number(4);
  how->seed = bits();
  how->shard_size = one_in(3) ? number(2000) : 0;
  how->skip_sync = sound ? 1 : number(2);
  how->hash_files = one_in(4) ? number(2) : 0;
  how->merge_block = one_in(6) ? merge_block : NULL;
  how->cancel = one_in(6) ? pick(CANCEL) : NULL;
  how->progress = one_in(2) ? on_merge_progress : NULL;
  how->layers = one_in(8) ? layers : NULL;
  if (one_in(3)) {
    INFO(bsoup_merge_info, info);
    return bsoup_merge_plan(engine_or_none(), one_in(40) ? NULL : how, info);
  }
  return bsoup_merge_files(engine_or_none(), target(), one_in(40) ? NULL : how);
}

/* Looks at what is lost, and frees it. */
static void look_at_factoring(bsoup_status status, bsoup_factoring *factoring) {
  bsoup_factoring_info all;
  bsoup_factored_tensor tensor;
  CHECK(status == BSOUP_OK || !factoring);
  all.struct_size = sizeof all;
  tensor.struct_size = sizeof tensor;
  if (!factoring || bsoup_factoring_get_info(factoring, &all))
    return;
  CHECK(all.error >= 0);
  if (bsoup_factoring_tensor(factoring, below(all.tensor_count + 1), &tensor) == BSOUP_OK)
    CHECK(tensor.name[0] && tensor.rank <= all.rank);
  bsoup_factoring_free(factoring);
  if (one_in(8))
    bsoup_factoring_free(factoring);
}

static bsoup_status export_something(void) {
  static double values[4];
  bsoup_factoring *factoring = NULL;
  bsoup_status status;
  uint64_t bytes;
  uint32_t i;
  OPTIONS(bsoup_export, how);
  OPTIONS(bsoup_blend, point);
  how->kind = number(2);
  how->format = number(4);
  how->rank = one_in(3) ? number(20) : 0;
  how->shard_size = one_in(6) ? number(5000) : 0;
  how->base_name = one_in(3) ? texts[below(6)] : NULL;
  how->skip_hashes = number(2);
  how->cancel = one_in(6) ? pick(CANCEL) : NULL;
  how->progress = one_in(2) ? on_progress : NULL;
  for (i = 0; i < 4; i++)
    values[i] = one_in(4) ? real() : below(5) - 2.0;
  point->coefficients = values;
  point->coefficient_count = one_in(6) ? below(5) : 3;
  if (one_in(4))
    return bsoup_soup_export_size(pick(SOUP), point, how, one_in(20) ? NULL : &bytes);
  status = one_in(2) ? bsoup_blend_export(pick(BLEND), target(), one_in(20) ? NULL : how, one_in(3) ? NULL : &factoring)
                     : bsoup_soup_export(pick(SOUP), point, target(), how, one_in(3) ? NULL : &factoring);
  look_at_factoring(status, factoring);
  return status;
}

static bsoup_status factor_something(void) {
  bsoup_factoring *factoring = NULL;
  bsoup_soup *full = NULL;
  bsoup_status status;
  OPTIONS(bsoup_factor, how);
  how->rank = one_in(3) ? 0 : number(12);
  how->max_error = one_in(3) ? real() : 0.5;
  how->format = number(4);
  how->vectors = one_in(4) ? number(2) : BSOUP_VECTORS_DROP;
  how->cancel = one_in(6) ? pick(CANCEL) : NULL;
  how->progress = one_in(2) ? on_progress : NULL;
  if (one_in(2))
    bsoup_soup_open(engine, fixture("soups/llama3-full"), NULL, &full);
  status = bsoup_backbone_factor(full ? full : pick(SOUP), number(2), target(), one_in(20) ? NULL : how,
                                 one_in(3) ? NULL : &factoring);
  bsoup_soup_free(full);
  look_at_factoring(status, factoring);
  return status;
}

static bsoup_status compare_something(void) {
  bsoup_comparison *comparison = NULL;
  bsoup_comparison_info all;
  bsoup_compared_tensor tensor;
  bsoup_status status;
  OPTIONS(bsoup_compare, how);
  how->cancel = one_in(6) ? pick(CANCEL) : NULL;
  how->progress = one_in(2) ? on_progress : NULL;
  status = bsoup_soup_compare(pick(SOUP), one_in(20) ? NULL : how, one_in(30) ? NULL : &comparison);
  if (!comparison)
    return status;
  CHECK(status == BSOUP_OK);
  all.struct_size = sizeof all;
  tensor.struct_size = sizeof tensor;
  OK(bsoup_comparison_get_info(comparison, &all));
  OK(bsoup_comparison_tensor(comparison, below(all.tensor_count + 1), &tensor));
  CHECK(tensor.elements > 0 && tensor.norms[all.backbone_count - 1] >= 0);
  FAILS(BSOUP_NOT_FOUND, bsoup_comparison_tensor(comparison, all.tensor_count + 1 + below(9), &tensor));
  bsoup_comparison_free(comparison);
  return status;
}

static bsoup_status work_on_files(void) {
  switch (below(6)) {
  case 0:
    return export_something();
  case 1:
    return factor_something();
  case 2:
    return compare_something();
  default:
    return merge_something();
  }
}

#endif
