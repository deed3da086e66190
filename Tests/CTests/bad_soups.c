/* soup.json files and preferences that are wrong: each is a status whose message names the key or the value. */
#include "check.h"
#include "files.h"
#include "model.h"
#include <math.h>

/* A set of statuses, where the header leaves a choice. */
#define S(status) (1u << BSOUP_##status)

static void check_one_of(uint32_t statuses, const char *says, bsoup_status status) {
  check_report(status >= 0 && status < 32 && (statuses >> status & 1), __FILE__, __LINE__, "got %s: %s",
               bsoup_status_name(status), bsoup_last_error());
  if (says)
    check_report(strstr(bsoup_last_error(), says) != NULL, __FILE__, __LINE__, "lacks \"%s\": %s", says,
                 bsoup_last_error());
}

/* --- soup.json: rows replace one text of this one by another. --- */

#define OBJECTIVES "[{\"name\":\"brief\",\"min\":0.0,\"max\":1.0,\"step\":0.05},{\"name\":\"happy\"}]"
#define BACKBONES "[{\"path\":\"soups/llama3-full/backbones/0\"},{\"path\":\"soups/llama3-full/backbones/1\"}]"
#define MATRIX "[[0.3,0.7],[0.7,0.3]]"
#define PRESETS "[{\"name\":\"Even\",\"preference\":{\"brief\":0.5,\"happy\":0.5}}]"

static const char soup_json[] = "{\"bonesoup\":1,\"base\":\"models/llama3\",\"objectives\":" OBJECTIVES
                                ",\"backbones\":" BACKBONES ",\"matrix\":" MATRIX ",\"extrapolation\":[1.0,1.5],"
                                "\"method\":{\"name\":\"linear\"},"
                                "\"guard\":{\"max_abs_coefficient\":3.0,\"on_violation\":\"reject\"},"
                                "\"presets\":" PRESETS ",\"front\":\"front.json\",\"metadata\":{\"a\":[{}]},"
                                "\"checksums\":{}}";

static const struct {
  const char *what, *old, *new;
  uint32_t statuses;
  const char *says;
} files[] = {
    {"as it should be", "", "", S(OK), NULL},
    {"unknown key", "\"guard\"", "\"guards\"", S(MALFORMED) | S(UNSUPPORTED), "guards"},
    {"unknown key of an objective", "\"step\"", "\"stride\"", S(MALFORMED) | S(UNSUPPORTED), "stride"},
    {"unknown key of the guard", "\"on_violation\"", "\"on_violance\"", S(MALFORMED) | S(UNSUPPORTED), "on_violance"},
    {"unknown key of a backbone", "{\"path\":\"soups/llama3-full/backbones/0\"}",
     "{\"path\":\"soups/llama3-full/backbones/0\",\"weight\":1}", S(MALFORMED) | S(UNSUPPORTED), "weight"},
    {"a key twice", "\"front\":\"front.json\"", "\"base\":\"models/llama3\"", S(MALFORMED), "base"},
    {"version 2", "\"bonesoup\":1", "\"bonesoup\":2", S(UNSUPPORTED), "2"},
    {"version as text", "\"bonesoup\":1", "\"bonesoup\":\"1\"", S(MALFORMED), "bonesoup"},
    {"no version", "\"bonesoup\":1,", "", S(MALFORMED), "bonesoup"},
    {"no base", "\"base\":\"models/llama3\",", "", S(MALFORMED), "base"},
    {"no objectives", "\"objectives\":" OBJECTIVES ",", "", S(MALFORMED), "objectives"},
    {"no backbones", "\"backbones\":" BACKBONES ",", "", S(MALFORMED), "backbones"},
    {"no matrix", "\"matrix\":" MATRIX ",", "", S(MALFORMED), "matrix"},
    {"base that is not there", "models/llama3", "models/llama4", S(NOT_FOUND), "llama4"},
    {"backbone that is not there", "backbones/1", "backbones/7", S(NOT_FOUND), "backbones/7"},
    {"backbone of another shape", "soups/llama3-full/backbones/1", "models/smollm", S(MISMATCH), "smollm"},
    {"two objectives of a name", "{\"name\":\"happy\"}]", "{\"name\":\"brief\"}]", S(MALFORMED), "brief"},
    {"objective without a name", "{\"name\":\"happy\"}]", "{}]", S(MALFORMED), "name"},
    {"objective with an empty name", "{\"name\":\"happy\"}]", "{\"name\":\"\"}]", S(MALFORMED), "name"},
    {"minimum above maximum", "\"min\":0.0", "\"min\":2.0", S(MALFORMED) | S(GUARD_RAIL), "brief"},
    {"a preset outside the limits", "\"name\":\"brief\",\"min\":0.0,\"max\":1.0", "\"name\":\"brief\",\"max\":0.3",
     S(GUARD_RAIL), "presets[0]"},
    {"an empty box", "{\"name\":\"brief\",\"min\":0.0,\"max\":1.0,\"step\":0.05},{\"name\":\"happy\"}",
     "{\"name\":\"brief\",\"max\":0.3},{\"name\":\"happy\",\"max\":0.3}", S(GUARD_RAIL), NULL},
    {"negative default", "\"min\":0.0", "\"default\":-0.4", S(MALFORMED), "default"},
    {"singular matrix", MATRIX, "[[0.5,0.5],[0.5,0.5]]", S(UNSOLVABLE), NULL},
    {"matrix with a row less", MATRIX, "[[0.3,0.7]]", S(MISMATCH) | S(MALFORMED), "matrix"},
    {"matrix with uneven rows", MATRIX, "[[0.3,0.7],[0.7]]", S(MISMATCH) | S(MALFORMED), "matrix"},
    {"matrix of text", MATRIX, "[[0.3,\"0.7\"],[0.7,0.3]]", S(MALFORMED), "matrix"},
    {"matrix with a number too large", MATRIX, "[[0.3,1e999],[0.7,0.3]]", S(MALFORMED), "matrix"},
    {"unknown rule", MATRIX, "{\"rule\":\"bones\"}", S(MALFORMED) | S(UNSUPPORTED), "bones"},
    {"bone without beta", MATRIX, "{\"rule\":\"bone\"}", S(MALFORMED), "beta"},
    {"beta of 1/n", MATRIX, "{\"rule\":\"bone\",\"beta\":0.5}", S(UNSOLVABLE), "beta"},
    {"identity with a beta", MATRIX, "{\"rule\":\"identity\",\"beta\":0.5}", S(MALFORMED), "beta"},
    {"stretch below 1", "[1.0,1.5]", "[1.0,0.5]", S(MALFORMED), "extrapolation"},
    {"stretches too many", "[1.0,1.5]", "[1.0,1.5,1.0]", S(MALFORMED) | S(MISMATCH), "extrapolation"},
    {"unknown method", "\"linear\"", "\"soup_of_stones\"", S(UNSUPPORTED) | S(MALFORMED), "soup_of_stones"},
    {"method for files only", "\"linear\"", "\"slerp\"", S(UNSUPPORTED), "slerp"},
    {"negative limit", "3.0", "-3.0", S(MALFORMED), "max_abs_coefficient"},
    {"unknown answer to a breach", "\"reject\"", "\"shrug\"", S(MALFORMED), "on_violation"},
    {"preset of an unknown objective", "\"happy\":0.5", "\"sad\":0.5", S(MALFORMED) | S(NOT_FOUND), "sad"},
    {"preset that does not sum to 1", "\"happy\":0.5", "\"happy\":0.9", S(MALFORMED), "1.4"},
    {"checksum of nothing", "\"checksums\":{}", "\"checksums\":{\"no/file\":\"sha256:00\"}", S(MALFORMED), "no/file"},
    {"broken JSON", "\"presets\"", "presets", S(MALFORMED), "soup.json"},
    {"something behind it", "\"checksums\":{}}", "\"checksums\":{}}}", S(MALFORMED), "soup.json"},
};

static void test_file(size_t row) {
  char text[2048];
  const char *at = strstr(soup_json, files[row].old);
  bsoup_soup *soup = NULL;
  bsoup_status status;
  if (!at)
    give_up("nothing to replace:", files[row].old);
  snprintf(text, sizeof text, "%.*s%s%s", (int)(at - soup_json), soup_json, files[row].new,
           at + strlen(files[row].old));
  write_text(scratch("soup.json"), text);
  status = bsoup_soup_open(NULL, scratch(""), NULL, &soup);
  check_one_of(files[row].statuses, files[row].says, status);
  CHECK((soup != NULL) == (status == BSOUP_OK));
  bsoup_soup_free(soup);
}

static void checksums_are_compared_on_request(void) {
  static const char json[] = "{\"bonesoup\":1,\"base\":\"models/llama3\",\"objectives\":[{\"name\":\"brief\"}],"
                             "\"backbones\":[{\"path\":\"models/llama3/adapters/plain\"}],\"matrix\":[[1]],"
                             "\"checksums\":{\"zero\":\"sha256:"
                             "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9\"}}";
  bsoup_open_options options;
  bsoup_soup *soup = NULL;
  bsoup_open_options_init(&options, sizeof options);
  options.verify = BSOUP_VERIFY_CHECKSUMS;
  write_text(scratch("soup.json"), json);
  write_text(scratch("zero"), "0"); /* whose checksum that is, by sha256sum */
  OK(bsoup_soup_open(NULL, scratch(""), &options, &soup));
  bsoup_soup_free(soup);
  write_text(scratch("zero"), "1");
  FAILS_SAYING(BSOUP_CHECKSUM, "zero", bsoup_soup_open(NULL, scratch(""), &options, &soup));
  CHECK(soup == NULL);
  remove(scratch("zero"));
  FAILS_SAYING(BSOUP_NOT_FOUND, "zero", bsoup_soup_open(NULL, scratch(""), &options, &soup));
  options.verify = 0;
  OK(bsoup_soup_open(NULL, scratch(""), &options, &soup));
  bsoup_soup_free(soup);
}

/* --- Paths --- */

static void paths_that_lead_nowhere(void) {
  static const char *const paths[] = {"", "no-such-folder", "/dev/null", "/proc/self/mem"};
  static char long_path[100001];
  bsoup_soup *soup;
  size_t i;
  for (i = 0; i < sizeof paths / sizeof *paths; i++) {
    soup = (bsoup_soup *)1;
    CHECK(bsoup_soup_open(NULL, paths[i], NULL, &soup) != BSOUP_OK && soup == NULL && *bsoup_last_error());
  }
  memset(long_path, 'x', sizeof long_path - 1);
  CHECK(bsoup_soup_open(NULL, long_path, NULL, &soup) != BSOUP_OK && strlen(bsoup_last_error()) < 2000);
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_open(NULL, NULL, NULL, &soup));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_open(NULL, fixture("models/llama3"), NULL, NULL));
  NEED(!symlink("loop", scratch("loop")));
  CHECK(bsoup_soup_open(NULL, scratch("loop"), NULL, &soup) != BSOUP_OK && strstr(bsoup_last_error(), "loop"));
  NEED(!mkdir(scratch("bare"), 0700));
  FAILS_SAYING(BSOUP_NOT_FOUND, "config.json", bsoup_soup_open(NULL, scratch("bare"), NULL, &soup));
}

/* --- Preferences, coefficients, multipliers --- */

static const struct {
  const char *what;
  double values[3];
  uint32_t count; /* the soup has three objectives */
  uint32_t statuses;
  const char *says;
} preferences[] = {
    {"negative", {-0.2, 0.6, 0.6}, 3, S(INVALID_ARGUMENT), "-0.2"},
    {"NaN", {NAN, 0.5, 0.5}, 3, S(INVALID_ARGUMENT), "brief"},
    {"infinite", {INFINITY, 0, 0}, 3, S(INVALID_ARGUMENT), "brief"},
    {"sum of 0", {0, 0, 0}, 3, S(INVALID_ARGUMENT), "sum"},
    {"sum of 3", {1, 1, 1}, 3, S(INVALID_ARGUMENT), "3"},
    {"sum of 1.03", {0.5, 0.5, 0.03}, 3, S(INVALID_ARGUMENT), "1.03"},
    {"a value less", {0.5, 0.5, 0}, 2, S(MISMATCH), "2"},
    {"a value more", {0.5, 0.5, 0}, 4, S(MISMATCH), "4"},
    {"huge count", {0.5, 0.5, 0}, UINT32_MAX, S(MISMATCH), "4294967295"},
};

static bsoup_soup *lora;

static bsoup_status solve(const bsoup_blend_options *options) {
  bsoup_blend *blend = (bsoup_blend *)1;
  bsoup_status made = bsoup_blend_create(lora, options, &blend);
  CHECK((made == BSOUP_OK) == (blend != NULL));
  bsoup_blend_free(blend);
  CHECK(bsoup_soup_solve(lora, options, NULL, NULL, NULL) == made);
  return made;
}

static void test_preference(size_t row) {
  double values[4] = {0};
  bsoup_blend_options options;
  memcpy(values, preferences[row].values, sizeof preferences[row].values);
  bsoup_blend_options_init(&options, sizeof options);
  options.preference = values;
  options.preference_count = preferences[row].count;
  check_one_of(preferences[row].statuses, preferences[row].says, solve(&options));
}

static void blend_options_are_looked_at(void) {
  static const double even[] = {0.5, 0.25, 0.25}, wild[] = {NAN, 0, 0}, endless[] = {0, -INFINITY, 0};
  static const float ones[] = {1, 1, 1, 1, 1, 1}, holes[] = {1, 1, NAN, 1, 1, 1};
  static const bsoup_named_value named[] = {{"brief", NAN}}, outside[] = {{"brief", -1}, {"rich", 2}};
  bsoup_blend_options options;
  bsoup_blend_options_init(&options, sizeof options);
  options.kind = 3;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "kind", solve(&options));
  options.kind = 0;
  options.weights = 9;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "weights", solve(&options));
  options.weights = 0;
  options.preference = options.coefficients = even;
  options.preference_count = options.coefficient_count = 3;
  FAILS(BSOUP_INVALID_ARGUMENT, solve(&options)); /* at most one of them */
  options.preference = NULL;
  options.preference_count = 0;
  options.coefficient_count = 2;
  FAILS_SAYING(BSOUP_MISMATCH, "2", solve(&options));
  options.coefficient_count = 3;
  options.coefficients = wild;
  FAILS(BSOUP_INVALID_ARGUMENT, solve(&options));
  options.coefficients = endless;
  FAILS(BSOUP_INVALID_ARGUMENT, solve(&options));
  options.coefficients = NULL; /* with a count */
  FAILS(BSOUP_INVALID_ARGUMENT, solve(&options));
  options.coefficient_count = 0;
  options.named = named;
  options.named_count = 1;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "brief", solve(&options));
  options.named = outside;
  options.named_count = 2;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "brief", solve(&options));
  options.named = NULL;
  options.named_count = 0;
  options.layer_multipliers = ones;
  options.layer_multiplier_count = 5;
  FAILS_SAYING(BSOUP_MISMATCH, "5", solve(&options));
  options.layer_multipliers = holes;
  options.layer_multiplier_count = 6;
  FAILS(BSOUP_INVALID_ARGUMENT, solve(&options));
  options.layer_multipliers = ones;
  OK(solve(&options));
  options.kind = BSOUP_BLEND_FOLDED;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "layer multipliers", solve(&options)); /* live only */
  options.layer_multipliers = NULL;
  options.layer_multiplier_count = 0;
  options.background = 2;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "background", solve(&options));
}

static void a_full_backbone_cannot_be_live(void) {
  bsoup_soup *full = open_soup(NULL, fixture("soups/llama3-full"));
  bsoup_blend *blend = NULL;
  bsoup_blend_options options;
  bsoup_blend_options_init(&options, sizeof options);
  options.kind = BSOUP_BLEND_LIVE;
  FAILS(BSOUP_UNSUPPORTED, bsoup_blend_create(full, &options, &blend));
  CHECK(blend == NULL);
  bsoup_soup_free(full);
}

static void objectives_are_looked_at(void) {
  static char long_name[66];
  bsoup_soup *soup = open_soup(NULL, fixture("models/llama3"));
  bsoup_objective_options good, options;
  uint32_t index = 5;
  int i;
  bsoup_objective_options_init(&good, sizeof good);
  good.name = "brief";
  OK(bsoup_soup_add_objective(soup, &good, &index));
  CHECK(index == 0);
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "brief", bsoup_soup_add_objective(soup, &good, &index)); /* a second one */
  CHECK(index == 0);
  good.name = "happy";
#define BAD(field, value, says)                                                                                        \
  options = good;                                                                                                      \
  options.field = value;                                                                                               \
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, says, bsoup_soup_add_objective(soup, &options, NULL))
  memset(long_name, 'x', 65);
  BAD(name, NULL, "name");
  BAD(name, "", "name");
  BAD(name, long_name, "name");
  BAD(name, "\xFF\xFE", "name");
  BAD(minimum, -0.1, "min");
  BAD(minimum, NAN, "min");
  BAD(maximum, INFINITY, "max");
  BAD(maximum, -1, "max");
  BAD(step, -1, "step");
  BAD(step, NAN, "step");
  BAD(has_default, 2, "has_default");
  good.has_default = 1;
  BAD(default_weight, -1, "default");
  BAD(default_weight, NAN, "default");
  for (i = 0; i < 63; i++) {
    options = good;
    options.name = name("objective %d", i);
    OK(bsoup_soup_add_objective(soup, &options, NULL));
  }
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "64", bsoup_soup_add_objective(soup, &good, NULL));
  bsoup_soup_free(soup);
}

static void tokens_and_texts_are_looked_at(void) {
  static const int32_t beyond[] = {1, 288}, negative[] = {-1};
  bsoup_soup *bare = open_soup(NULL, fixture("models/qwen2")); /* without a tokenizer */
  bsoup_blend *blend = default_blend(lora), *mute = default_blend(bare);
  bsoup_session *session = new_session(blend);
  char text[16];
  size_t count = 7;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "288", bsoup_session_append(session, beyond, 2));
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "-1", bsoup_session_append(session, negative, 1));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_append(session, NULL, 1));
  OK(bsoup_session_append(session, NULL, 0));
  CHECK(info_of_session(session).token_count == 0); /* nothing stays of a call that failed */
  FAILS(BSOUP_CONTEXT_FULL, bsoup_session_append(session, (const int32_t[300]){0}, 300));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_append_text(session, "a", 1, 4, NULL, &count));
  CHECK(count == 0);
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_append_text(session, NULL, 1, 0, NULL, NULL));
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_soup_tokenize(lora, "a\xFFz", 3, 0, NULL, NULL, 0, &count));
  FAILS_SAYING(BSOUP_MISMATCH, "tokenizer", bsoup_soup_tokenize(bare, "a", 1, 0, NULL, NULL, 0, &count));
  FAILS_SAYING(BSOUP_MISMATCH, "tokenizer", bsoup_generate(mute, "a", 1, NULL, NULL));
  FAILS(BSOUP_MISMATCH, bsoup_soup_token(bare, 1, text, sizeof text, &count, NULL));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_token(lora, 288, text, sizeof text, &count, NULL));
  FAILS(BSOUP_NOT_FOUND, bsoup_soup_token(lora, -1, text, sizeof text, &count, NULL));
  OK(bsoup_soup_tokenize(lora, "The soup", 8, BSOUP_TOKENIZE_SPECIAL, NULL, NULL, 0, &count));
  CHECK(count == 3);
  bsoup_session_free(session);
  bsoup_blend_free(blend);
  bsoup_blend_free(mute);
  bsoup_soup_free(bare);
}

static void the_memory_of_a_session_is_foretold(void) {
  static const int32_t tokens[100] = {1, 2, 3};
  static const uint32_t formats[] = {BSOUP_FORMAT_DEFAULT, BSOUP_FORMAT_F32, BSOUP_FORMAT_F16, BSOUP_FORMAT_BF16};
  /* 2 blocks of 64 positions, 2 layers, keys and values, 2 heads of 8 */
  static const uint64_t kv[] = {32768, 32768, 16384, 16384};
  bsoup_blend *blend = default_blend(lora);
  bsoup_session_options options;
  uint64_t before, during, after, foretold;
  int i;
  bsoup_session_options_init(&options, sizeof options);
  options.context = 100;
  for (i = -1; i < 4; i++) { /* the first time, for what steps keep for the next one */
    bsoup_session *session = NULL;
    options.kv_format = i < 0 ? 0 : formats[i];
    OK(bsoup_session_memory(blend, &options, &foretold));
    OK(bsoup_engine_memory(NULL, &before));
    NEED_OK(bsoup_session_create(blend, &options, &session));
    OK(bsoup_session_append(session, tokens, 100));
    OK(decode_one(session));
    OK(bsoup_engine_memory(NULL, &during));
    if (i >= 0) {
      CHECK(info_of_session(session).memory == foretold);
      CHECK(during - before == foretold);
      /* The rest is 100 tokens, 288 logits and the blocks' table of 8 panels each. */
      CHECK(foretold == kv[i] + 100 * 4 + 288 * 4 + 2 * 8 * sizeof(void *));
    }
    FAILS(BSOUP_CONTEXT_FULL, bsoup_session_append(session, tokens, 1));
    bsoup_session_free(session);
    OK(bsoup_engine_memory(NULL, &after));
    CHECK(i < 0 || after == before);
  }
  bsoup_blend_free(blend);
}

static void sessions_are_looked_at(void) {
  bsoup_blend *blend = default_blend(lora);
  bsoup_session *session;
  bsoup_session_options options;
  uint64_t bytes;
  bsoup_session_options_init(&options, sizeof options);
  options.kv_format = 9;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "kv_format", bsoup_session_create(blend, &options, &session));
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "kv_format", bsoup_session_memory(blend, &options, &bytes));
  options.kv_format = BSOUP_FORMAT_Q4_0;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "kv_format", bsoup_session_create(blend, &options, &session));
  options.kv_format = BSOUP_FORMAT_Q8_0; /* heads of 8 */
  FAILS_SAYING(BSOUP_UNSUPPORTED, "multiple of 32", bsoup_session_create(blend, &options, &session));
  FAILS_SAYING(BSOUP_UNSUPPORTED, "multiple of 32", bsoup_session_memory(blend, &options, &bytes));
  options.kv_format = BSOUP_FORMAT_F16;
  options.context = 257;
  FAILS_SAYING(BSOUP_INVALID_ARGUMENT, "257", bsoup_session_create(blend, &options, &session));
  options.context = 100;
  FAILS(BSOUP_INVALID_ARGUMENT, bsoup_session_create(blend, &options, NULL));
  bsoup_blend_free(blend);
}

int main(void) {
  size_t i;
  check_time_limit();
  if (symlink(fixture("models"), scratch("models")) || symlink(fixture("soups"), scratch("soups")))
    give_up("cannot link", scratch(""));
  for (i = 0; i < sizeof files / sizeof *files; i++) {
    check_begin(files[i].what);
    test_file(i);
    check_end();
  }
  RUN(checksums_are_compared_on_request);
  RUN(paths_that_lead_nowhere);
  lora = open_soup(NULL, fixture("soups/llama3-lora"));
  for (i = 0; i < sizeof preferences / sizeof *preferences; i++) {
    check_begin(preferences[i].what);
    test_preference(i);
    check_end();
  }
  RUN(blend_options_are_looked_at);
  RUN(a_full_backbone_cannot_be_live);
  RUN(objectives_are_looked_at);
  RUN(tokens_and_texts_are_looked_at);
  RUN(sessions_are_looked_at);
  RUN(the_memory_of_a_session_is_foretold);
  bsoup_soup_free(lora);
  return check_finish();
}
