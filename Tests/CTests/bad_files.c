/* Damaged, hostile and unsupported files: each is a status whose message names the file, tensor or value. */
#include "check.h"
#include "files.h"
#include "model.h"

/* --- Making bad files: a row of the table has a function that damages a fresh copy of a folder. --- */

static char folder[1024]; /* the copy */

static const char *inside(const char *file) { return name("%s/%s", folder, file); }

/* Replaces the first `old` of a file; one that is not there is a fault of the test. */
static void replace(const char *file, const char *old, const char *new) {
  contents all = read_file(inside(file));
  char *at = memmem(all.data, all.size, old, strlen(old));
  FILE *stream = fopen(inside(file), "wb");
  if (!at || !stream)
    give_up("nothing to replace:", old);
  fwrite(all.data, 1, (size_t)(at - all.data), stream);
  fputs(new, stream);
  at += strlen(old);
  fwrite(at, 1, all.size - (size_t)(at - all.data), stream);
  fclose(stream);
  free(all.data);
}

/* Writes bytes at an offset. */
static void poke(const char *file, long offset, const void *bytes, size_t size) {
  FILE *stream = fopen(inside(file), "r+b");
  if (!stream || fseek(stream, offset, SEEK_SET) || fwrite(bytes, 1, size, stream) != size || fclose(stream))
    give_up("cannot poke", file);
}

static void cut(const char *file, long size) {
  if (truncate(inside(file), size))
    give_up("cannot cut", file);
}

#define WEIGHTS "model.safetensors"
#define NORM "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[32],\"data_offsets\":[98816,98944]}"

static void header_length(uint64_t length) { poke(WEIGHTS, 0, &length, 8); }

/* Replaces text in the header of the weights, which gets its new length. */
static void header(const char *old, const char *new) {
  uint64_t length;
  contents file = read_file(inside(WEIGHTS));
  memcpy(&length, file.data, 8);
  free(file.data);
  replace(WEIGHTS, old, new);
  header_length(length + strlen(new) - strlen(old));
}

static void append(const char *file, size_t zeros) {
  contents all = read_file(inside(file));
  all.data = realloc(all.data, all.size + zeros);
  if (!all.data)
    give_up("no memory for", file);
  memset(all.data + all.size, 0, zeros);
  write_file(inside(file), all.data, all.size + zeros);
  free(all.data);
}

/* --- Weights --- */

static void empty(void) { cut(WEIGHTS, 0); }
static void seven_bytes(void) { cut(WEIGHTS, 7); }
static void cut_in_header(void) { cut(WEIGHTS, 1000); }
static void cut_in_data(void) { cut(WEIGHTS, 100000); }
static void bytes_behind(void) { append(WEIGHTS, 4); }
static void length_2_63(void) { header_length(UINT64_C(1) << 63); }
static void length_all_ones(void) { header_length(UINT64_MAX); }
static void length_zero(void) { header_length(0); }
static void length_of_file(void) { header_length(100968 - 8 + 1); }
static void no_json(void) { poke(WEIGHTS, 8, "x", 1); }
static void broken_json(void) { header(",\"model.norm.weight\"", "\"model.norm.weight\""); }
static void no_utf8(void) { poke(WEIGHTS, 50, "\xFF", 1); }
static void offsets_backwards(void) { header("[98816,98944]", "[98944,98816]"); }
static void offsets_outside(void) { header("[98816,98944]", "[98816,98948]"); }
static void offsets_huge(void) { header("[98816,98944]", "[9223372036854775808,9223372036854775936]"); }
static void offsets_overlap(void) { header("[98816,98944]", "[98812,98940]"); }
static void offsets_negative(void) { header("[98816,98944]", "[-128,0]"); }
static void shape_against_bytes(void) {
  header("\"shape\":[32],\"data_offsets\":[98816", "\"shape\":[33],\"data_offsets\":[98816");
}
static void shape_overflows(void) {
  header("\"shape\":[32],\"data_offsets\":[98816",
         "\"shape\":[4294967296,4294967296,4294967296],\"data_offsets\":[98816");
}
static void shape_negative(void) {
  header("\"shape\":[32],\"data_offsets\":[98816", "\"shape\":[-32],\"data_offsets\":[98816");
}
static void unknown_type(void) {
  header("\"F32\",\"shape\":[32],\"data_offsets\":[98816", "\"F33\",\"shape\":[32],\"data_offsets\":[98816");
}
static void integer_type(void) {
  header("\"F32\",\"shape\":[32],\"data_offsets\":[98816", "\"I32\",\"shape\":[32],\"data_offsets\":[98816");
}
static void named_twice(void) { header("model.layers.1.input_layernorm.weight", "model.norm.weight"); }
static void a_tensor_less(void) {
  header("," NORM, "");
  cut(WEIGHTS, 100968 - 128 - (long)strlen("," NORM));
}
static void a_tensor_more(void) {
  header(NORM,
         NORM ",\"model.layers.0.sparkle.weight\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[98944,98952]}");
  append(WEIGHTS, 8);
}
static void a_layer_more(void) {
  header(
      NORM, NORM
      ",\"model.layers.2.input_layernorm.weight\":{\"dtype\":\"F32\",\"shape\":[32],\"data_offsets\":[98944,99072]}");
  append(WEIGHTS, 128);
}
static void shape_turned(void) { header("\"shape\":[288,32]", "\"shape\":[32,288]"); }
static void weights_are_a_folder(void) {
  remove(inside(WEIGHTS));
  mkdir(inside(WEIGHTS), 0700);
}
static void no_weights(void) { remove(inside(WEIGHTS)); }
static void not_a_number(void) { poke(WEIGHTS, 100968 - 128 + 4 * 5, "\0\0\xC0\x7F", 4); }
static void infinite(void) { poke(WEIGHTS, 8 + 2016 + 4 * 7, "\0\0\x80\xFF", 4); }

/* --- config.json --- */

static void no_config(void) { remove(inside("config.json")); }
static void config_cut(void) { cut("config.json", 300); }
static void config_empty(void) { cut("config.json", 0); }
static void config_is_a_list(void) { write_text(inside("config.json"), "[1, 2]"); }
static void config_deep(void) {
  static char deep[200001];
  memset(deep, '[', 200000);
  write_text(inside("config.json"), deep);
}
static void config_large(void) { append("config.json", 2 << 20); }
static void other_model(void) { replace("config.json", "\"llama\"", "\"gpt_bigcode\""); }
static void no_model_type(void) { replace("config.json", "\"model_type\"", "\"modell_type\""); }
static void other_rope(void) { replace("config.json", "\"llama3\"", "\"yarn\""); }
static void other_activation(void) { replace("config.json", "\"silu\"", "\"relu6\""); }
static void negative_width(void) { replace("config.json", "\"hidden_size\": 32", "\"hidden_size\": -32"); }
static void huge_width(void) { replace("config.json", "\"hidden_size\": 32", "\"hidden_size\": 4611686018427387904"); }
static void width_as_text(void) { replace("config.json", "\"hidden_size\": 32", "\"hidden_size\": \"32\""); }
static void no_heads(void) { replace("config.json", "\"num_attention_heads\": 4", "\"num_attention_heads\": 0"); }
static void uneven_heads(void) { replace("config.json", "\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"); }
static void odd_head_size(void) { replace("config.json", "\"head_dim\": 8", "\"head_dim\": 7"); }
static void many_layers(void) {
  replace("config.json", "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 2000000000");
}
static void other_vocabulary(void) { replace("config.json", "\"vocab_size\": 288", "\"vocab_size\": 289"); }
static void endless_theta(void) { replace("config.json", "500.0", "1e999"); }
static void negative_epsilon(void) { replace("config.json", "1e-05", "-1e-05"); }
static void quantised(void) {
  replace("config.json", "\"model_type\"", "\"quantization_config\": {\"quant_method\": \"gptq\"}, \"model_type\"");
}

/* --- tokenizer.json --- */

#define TOKENIZER "tokenizer.json"

static void tokenizer_cut(void) { cut(TOKENIZER, 5000); }
static void tokenizer_flipped(void) { poke(TOKENIZER, 2, "\x01", 1); }
static void other_pattern(void) { replace(TOKENIZER, "?\\\\p{L}+|", "?\\\\p{L}{2}|"); }
static void other_pretokenizer(void) { replace(TOKENIZER, "\"ByteLevel\"", "\"ByteLemon\""); }
static void other_tokenizer_model(void) { replace(TOKENIZER, "\"BPE\"", "\"WordPiece\""); }
static void other_normalizer(void) {
  replace(TOKENIZER, "\"normalizer\": null", "\"normalizer\": {\"type\": \"Shout\"}");
}
static void merge_of_nothing(void) { replace(TOKENIZER, "\"oup\"\n", "\"oop\"\n"); }
static void token_beyond(void) { replace(TOKENIZER, "\"id\": 287", "\"id\": 288"); }
static void token_negative(void) { replace(TOKENIZER, "\"id\": 287", "\"id\": -1"); }
static void token_twice(void) { replace(TOKENIZER, "\"od\": 283", "\"od\": 282"); }

/* --- Sharded weights, in models/llama2-sharded --- */

#define INDEX "model.safetensors.index.json"

static void shard_missing(void) { remove(inside("model-00002-of-00003.safetensors")); }
static void shard_cut(void) { cut("model-00002-of-00003.safetensors", 20000); }
static void shard_wrong(void) {
  replace(INDEX, "\"lm_head.weight\": \"model-00003", "\"lm_head.weight\": \"model-00001");
}
static void index_broken(void) { cut(INDEX, 100); }

/* --- An adapter, in models/llama3/adapters/plain: the base is opened first --- */

#define ADAPTER "adapter_config.json"

static void adapter_dora(void) { replace(ADAPTER, "\"use_dora\": false", "\"use_dora\": true"); }
static void adapter_kind(void) { replace(ADAPTER, "\"LORA\"", "\"IA3\""); }
static void adapter_rank(void) { replace(ADAPTER, "\"r\": 4", "\"r\": 5"); }
static void adapter_no_rank(void) { replace(ADAPTER, "\"r\": 4", "\"r\": 0"); }
static void adapter_saved(void) { replace(ADAPTER, "\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]"); }
static void adapter_bias(void) { replace(ADAPTER, "\"bias\": \"none\"", "\"bias\": \"all\""); }
static void adapter_alpha(void) { replace(ADAPTER, "\"lora_alpha\": ", "\"lora_alpha\": -1e400, \"other\": "); }
static void adapter_layer(void) {
  replace("adapter_model.safetensors", "layers.1.mlp.down", "layers.7.mlp.down");
  replace("adapter_model.safetensors", "layers.1.mlp.down", "layers.7.mlp.down");
}
static void adapter_half(void) {
  replace("adapter_model.safetensors", "layers.1.mlp.down_proj.lora_A", "layers.1.mlp.down_proj.lora_C");
}
static void adapter_shape(void) { replace("adapter_model.safetensors", "[4,48]", "[48,4]"); }
static void adapter_cut(void) { cut("adapter_model.safetensors", 10000); }
static void adapter_gone(void) { remove(inside("adapter_model.safetensors")); }

/* A set of statuses, where the header leaves a choice. */
#define S(status) (1u << BSOUP_##status)

static const struct row {
  const char *what;
  const char *source; /* the folder that is copied */
  void (*damage)(void);
  uint32_t statuses;
  const char *says; /* in the message */
  uint32_t verify;
} rows[] = {
    {"weights: empty", "models/llama3", empty, S(MALFORMED), WEIGHTS, 0},
    {"weights: 7 bytes", "models/llama3", seven_bytes, S(MALFORMED), WEIGHTS, 0},
    {"weights: cut in the header", "models/llama3", cut_in_header, S(MALFORMED), "cut short", 0},
    {"weights: cut in the data", "models/llama3", cut_in_data, S(MALFORMED), "cut short", 0},
    {"weights: bytes behind the last tensor", "models/llama3", bytes_behind, S(MALFORMED), WEIGHTS, 0},
    {"weights: header length 2^63", "models/llama3", length_2_63, S(MALFORMED), "9223372036854775808", 0},
    {"weights: header length 2^64 - 1", "models/llama3", length_all_ones, S(MALFORMED), "18446744073709551615", 0},
    {"weights: header length 0", "models/llama3", length_zero, S(MALFORMED), WEIGHTS, 0},
    {"weights: header longer than the file", "models/llama3", length_of_file, S(MALFORMED), WEIGHTS, 0},
    {"weights: header is no JSON", "models/llama3", no_json, S(MALFORMED), WEIGHTS, 0},
    {"weights: header is broken JSON", "models/llama3", broken_json, S(MALFORMED), WEIGHTS, 0},
    {"weights: header is no UTF-8", "models/llama3", no_utf8, S(MALFORMED), WEIGHTS, 0},
    {"weights: offsets backwards", "models/llama3", offsets_backwards, S(MALFORMED), "model.norm.weight", 0},
    {"weights: offsets out of range", "models/llama3", offsets_outside, S(MALFORMED), "model.norm.weight", 0},
    {"weights: offsets of 2^63", "models/llama3", offsets_huge, S(MALFORMED), "model.norm.weight", 0},
    {"weights: offsets overlap", "models/llama3", offsets_overlap, S(MALFORMED), "model.norm.weight", 0},
    {"weights: offsets negative", "models/llama3", offsets_negative, S(MALFORMED), "model.norm.weight", 0},
    {"weights: shape x type is not the bytes", "models/llama3", shape_against_bytes, S(MALFORMED), "33", 0},
    {"weights: shape overflows", "models/llama3", shape_overflows, S(MALFORMED), "model.norm.weight", 0},
    {"weights: shape negative", "models/llama3", shape_negative, S(MALFORMED), "model.norm.weight", 0},
    {"weights: unknown type", "models/llama3", unknown_type, S(MALFORMED) | S(UNSUPPORTED), "F33", 0},
    {"weights: unsupported type", "models/llama3", integer_type, S(UNSUPPORTED), "model.norm.weight", 0},
    {"weights: a name twice", "models/llama3", named_twice, S(MALFORMED), "model.norm.weight", 0},
    {"weights: a tensor less", "models/llama3", a_tensor_less, S(NOT_FOUND), "model.norm.weight", 0},
    {"weights: a tensor more", "models/llama3", a_tensor_more, S(UNSUPPORTED), "sparkle", 0},
    {"weights: a layer more", "models/llama3", a_layer_more, S(UNSUPPORTED) | S(MISMATCH), "layers.2", 0},
    {"weights: a shape turned round", "models/llama3", shape_turned, S(MISMATCH), "embed_tokens", 0},
    {"weights: a folder", "models/llama3", weights_are_a_folder, S(IO) | S(NOT_FOUND), WEIGHTS, 0},
    {"weights: none", "models/llama3", no_weights, S(NOT_FOUND), WEIGHTS, 0},
    {"weights: NaN", "models/llama3", not_a_number, S(MALFORMED), "model.norm.weight", BSOUP_VERIFY_FINITE},
    {"weights: infinite", "models/llama3", infinite, S(MALFORMED), "model.embed_tokens.weight", BSOUP_VERIFY_FINITE},
    {"weights: NaN, not looked for", "models/llama3", not_a_number, S(OK), NULL, 0},

    {"config: none", "models/llama3", no_config, S(NOT_FOUND), "config.json", 0},
    {"config: cut", "models/llama3", config_cut, S(MALFORMED), "config.json", 0},
    {"config: empty", "models/llama3", config_empty, S(MALFORMED), "config.json", 0},
    {"config: a list", "models/llama3", config_is_a_list, S(MALFORMED), "config.json", 0},
    {"config: 200,000 brackets", "models/llama3", config_deep, S(MALFORMED) | S(UNSUPPORTED), "config.json", 0},
    {"config: over 1 MiB", "models/llama3", config_large, S(MALFORMED) | S(UNSUPPORTED), "config.json", 0},
    {"config: another model_type", "models/llama3", other_model, S(UNSUPPORTED), "gpt_bigcode", 0},
    {"config: supported ones are listed", "models/llama3", other_model, S(UNSUPPORTED), "qwen3", 0},
    {"config: no model_type", "models/llama3", no_model_type, S(MALFORMED) | S(UNSUPPORTED), "model_type", 0},
    {"config: another rope", "models/llama3", other_rope, S(UNSUPPORTED), "yarn", 0},
    {"config: another activation", "models/llama3", other_activation, S(UNSUPPORTED), "relu6", 0},
    {"config: negative width", "models/llama3", negative_width, S(MALFORMED), "hidden_size", 0},
    {"config: huge width", "models/llama3", huge_width, S(MALFORMED) | S(UNSUPPORTED), "hidden_size", 0},
    {"config: width as text", "models/llama3", width_as_text, S(MALFORMED), "hidden_size", 0},
    {"config: no heads", "models/llama3", no_heads, S(MALFORMED), "num_attention_heads", 0},
    {"config: heads that do not divide", "models/llama3", uneven_heads, S(MALFORMED), "num_key_value_heads is 3", 0},
    {"config: odd head size", "models/llama3", odd_head_size, S(MALFORMED) | S(UNSUPPORTED), "7", 0},
    {"config: 2,000,000,000 layers", "models/llama3", many_layers, S(MALFORMED) | S(UNSUPPORTED), "num_hidden_layers",
     0},
    {"config: another vocabulary", "models/llama3", other_vocabulary, S(MISMATCH), "289", 0},
    {"config: number too large", "models/llama3", endless_theta, S(MALFORMED), "rope_theta", 0},
    {"config: negative epsilon", "models/llama3", negative_epsilon, S(MALFORMED), "rms_norm_eps", 0},
    {"config: quantised weights", "models/llama3", quantised, S(UNSUPPORTED), "quantization_config", 0},

    {"tokenizer: cut", "models/llama3", tokenizer_cut, S(MALFORMED), TOKENIZER, 0},
    {"tokenizer: a flipped byte", "models/llama3", tokenizer_flipped, S(MALFORMED), TOKENIZER, 0},
    {"tokenizer: another pattern", "models/llama3", other_pattern, S(UNSUPPORTED), "p{L}{2}", 0},
    {"tokenizer: another pre-tokenizer", "models/llama3", other_pretokenizer, S(UNSUPPORTED), "ByteLemon", 0},
    {"tokenizer: another model", "models/llama3", other_tokenizer_model, S(UNSUPPORTED), "WordPiece", 0},
    {"tokenizer: another normalizer", "models/llama3", other_normalizer, S(UNSUPPORTED), "Shout", 0},
    {"tokenizer: a merge of nothing", "models/llama3", merge_of_nothing, S(MALFORMED), TOKENIZER, 0},
    {"tokenizer: a token beyond the logits", "models/llama3", token_beyond, S(OK), NULL, 0}, /* until it is used */
    {"tokenizer: a negative token", "models/llama3", token_negative, S(MALFORMED), TOKENIZER, 0},
    {"tokenizer: a token number twice", "models/llama3", token_twice, S(MALFORMED), "282", 0},

    {"shards: one missing", "models/llama2-sharded", shard_missing, S(NOT_FOUND), "model-00002-of-00003", 0},
    {"shards: one cut", "models/llama2-sharded", shard_cut, S(MALFORMED), "model-00002-of-00003", 0},
    {"shards: a tensor in the wrong one", "models/llama2-sharded", shard_wrong,
     S(NOT_FOUND) | S(MALFORMED) | S(MISMATCH), "lm_head.weight", 0},
    {"shards: index broken", "models/llama2-sharded", index_broken, S(MALFORMED), INDEX, 0},

    {"adapter: DoRA", "models/llama3/adapters/plain", adapter_dora, S(UNSUPPORTED), "use_dora", 0},
    {"adapter: another kind", "models/llama3/adapters/plain", adapter_kind, S(UNSUPPORTED), "IA3", 0},
    {"adapter: another rank", "models/llama3/adapters/plain", adapter_rank, S(MISMATCH) | S(MALFORMED), "lora_A", 0},
    {"adapter: rank 0", "models/llama3/adapters/plain", adapter_no_rank, S(MALFORMED), ADAPTER, 0},
    {"adapter: whole modules saved", "models/llama3/adapters/plain", adapter_saved, S(UNSUPPORTED), "modules_to_save",
     0},
    {"adapter: biases", "models/llama3/adapters/plain", adapter_bias, S(UNSUPPORTED), "bias", 0},
    {"adapter: endless alpha", "models/llama3/adapters/plain", adapter_alpha, S(MALFORMED), "lora_alpha", 0},
    {"adapter: a layer that the base lacks", "models/llama3/adapters/plain", adapter_layer, S(MISMATCH), "layers.7", 0},
    {"adapter: half a pair", "models/llama3/adapters/plain", adapter_half, S(UNSUPPORTED) | S(NOT_FOUND) | S(MALFORMED),
     "layers.1.mlp.down_proj", 0},
    {"adapter: another shape", "models/llama3/adapters/plain", adapter_shape, S(MISMATCH) | S(MALFORMED), "lora_A", 0},
    {"adapter: weights cut", "models/llama3/adapters/plain", adapter_cut, S(MALFORMED), "adapter_model.safetensors", 0},
    {"adapter: no weights", "models/llama3/adapters/plain", adapter_gone, S(NOT_FOUND), "adapter_model.safetensors", 0},
    {"backbone: another width", "models/smollm", NULL, S(MISMATCH), "smollm", 0},
    {"backbone: another architecture", "models/qwen2", NULL, S(MISMATCH), "qwen2", 0},
    {"backbone: another vocabulary", "models/llama2", NULL, S(MISMATCH), "llama2", 0},
};

static bsoup_soup *base; /* models/llama3, for backbones */

static bsoup_status open_row(const struct row *row) {
  bsoup_open_options options;
  bsoup_soup *soup = NULL;
  bsoup_status status;
  bsoup_open_options_init(&options, sizeof options);
  options.verify = row->verify;
  if (!row->damage)
    return bsoup_soup_add_backbone(base, folder, &options, NULL);
  if (strstr(row->source, "adapters"))
    return bsoup_soup_add_backbone(base, folder, &options, NULL);
  status = bsoup_soup_open(NULL, folder, &options, &soup);
  CHECK((soup != NULL) == (status == BSOUP_OK));
  bsoup_soup_free(soup);
  return status;
}

static void test_row(const struct row *row) {
  uint32_t load;
  bsoup_status status;
  snprintf(folder, sizeof folder, "%s", row->damage ? scratch("copy") : fixture(row->source));
  if (row->damage) {
    copy_folder(fixture(row->source), folder);
    row->damage();
  }
  for (load = BSOUP_LOAD_MAP; load <= BSOUP_LOAD_COPY; load++) {
    status = open_row(row);
    check_report(status >= 0 && status < 32 && (row->statuses >> status & 1), __FILE__, __LINE__, "got %s: %s",
                 bsoup_status_name(status), bsoup_last_error());
    if (row->says)
      check_report(strstr(bsoup_last_error(), row->says) != NULL, __FILE__, __LINE__, "lacks \"%s\": %s", row->says,
                   bsoup_last_error());
  }
  if (row->damage)
    remove_tree(folder);
}

int main(void) {
  size_t i;
  check_time_limit();
  base = open_soup(NULL, fixture("models/llama3"));
  for (i = 0; i < sizeof rows / sizeof *rows; i++) {
    check_begin(rows[i].what);
    test_row(&rows[i]);
    check_end();
  }
  bsoup_soup_free(base);
  return check_finish();
}
