// The logits of llama.cpp, for check_exports.py:
//
//   llama_logits MODEL.gguf ADAPTER.gguf|- TOKENS LOGITS
//
// TOKENS holds int32 numbers; the logits of all positions go to LOGITS as f32. The adapter counts once.
#include "llama.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

[[noreturn]] static void fail(const char *what) {
  std::fprintf(stderr, "llama_logits: %s\n", what);
  std::exit(1);
}

static void quiet(ggml_log_level, const char *, void *) {}

int main(int count, char **words) {
  if (count != 5)
    fail("MODEL ADAPTER|- TOKENS LOGITS are needed");
  llama_log_set(quiet, nullptr);
  llama_backend_init();
  llama_model *model = llama_model_load_from_file(words[1], llama_model_default_params());
  if (!model)
    fail("the model does not open");
  std::vector<llama_token> tokens(4096);
  std::FILE *file = std::fopen(words[3], "rb");
  if (!file)
    fail("the tokens do not open");
  tokens.resize(std::fread(tokens.data(), sizeof(llama_token), tokens.size(), file));
  std::fclose(file);

  llama_context_params parameters = llama_context_default_params();
  parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = 512;
  parameters.type_k = parameters.type_v = GGML_TYPE_F32;
  parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  llama_context *context = llama_init_from_model(model, parameters);
  if (!context)
    fail("there is no context");
  if (std::string(words[2]) != "-") {
    llama_adapter_lora *adapter = llama_adapter_lora_init(model, words[2]);
    float scale = 1;
    if (!adapter || llama_set_adapters_lora(context, &adapter, 1, &scale) != 0)
      fail("the adapter is refused");
  }
  llama_batch batch = llama_batch_init((int)tokens.size(), 0, 1);
  for (size_t i = 0; i < tokens.size(); i++) {
    batch.token[i] = tokens[i];
    batch.pos[i] = (llama_pos)i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = (int)tokens.size();
  if (llama_decode(context, batch) != 0)
    fail("the decode failed");
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  file = std::fopen(words[4], "wb");
  for (size_t i = 0; file && i < tokens.size(); i++)
    std::fwrite(llama_get_logits_ith(context, (int)i), sizeof(float), (size_t)vocabulary, file);
  if (!file || std::fclose(file) != 0)
    fail("the logits cannot be written");
}
