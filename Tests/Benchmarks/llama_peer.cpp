// Times llama.cpp, or with -DIK its fork ik_llama.cpp, where their own benchmark programs have no option for it: LoRA
// adapters, sequences that decode together, the first token after opening. Prints one JSON object.
//
//   llama_peer -m MODEL [-t THREADS] [-p PROMPT] [-n TOKENS] [-b SEQUENCES] [-fa 0|1] [-rtr 0|1] [--lora FILE]...
//              [--tokens FILE --logits FILE]
//
// Seconds are told for: opening (model and context), the first token, a prompt, tokens one by one, and a change of the
// adapters' scales (the token after it, less a token without one). As in llama-bench nothing is sampled. --tokens names a file of
// int32 numbers; the logits of all positions go to the other file as f32.
#include "llama.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

static double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

static void quiet(ggml_log_level, const char *, void *) {}

[[noreturn]] static void fail(const char *what) {
  std::fprintf(stderr, "llama_peer: %s\n", what);
  std::exit(1);
}

struct Peer {
  llama_model *model = nullptr;
  llama_context *context = nullptr;
  int vocabulary = 0;
  unsigned random = 1;
#ifdef IK
  std::vector<llama_lora_adapter *> adapters;
#else
  std::vector<llama_adapter_lora *> adapters;
#endif

  void scales(float factor) {
#ifdef IK
    llama_lora_adapter_clear(context);
    for (auto *adapter : adapters)
      if (llama_lora_adapter_set(context, adapter, 0.3f * factor) != 0)
        fail("the adapters were refused");
#else
    std::vector<float> values(adapters.size(), 0.3f * factor);
    if (llama_set_adapters_lora(context, adapters.data(), adapters.size(), values.data()) != 0)
      fail("the adapters were refused");
#endif
  }

  llama_token token() {
    random = random * 1664525u + 1013904223u;
    return (llama_token)((random >> 8) % (unsigned)vocabulary);
  }

  void clear() {
#ifdef IK
    llama_kv_cache_clear(context);
#else
    llama_memory_clear(llama_get_memory(context), true);
#endif
  }

  // `count` tokens of each of `sequences` sequences from `position` on; the logits of the last of each.
  void decode(int position, int count, int sequences) {
    llama_batch batch = llama_batch_init(count * sequences, 0, 1);
    for (int s = 0; s < sequences; s++)
      for (int i = 0; i < count; i++) {
        int k = batch.n_tokens++;
        batch.token[k] = token();
        batch.pos[k] = position + i;
        batch.n_seq_id[k] = 1;
        batch.seq_id[k][0] = s;
        batch.logits[k] = i == count - 1;
      }
    if (llama_decode(context, batch) != 0)
      fail("decoding failed");
    llama_synchronize(context);
    llama_batch_free(batch);
  }
};

// The logits of every position of a text.
static void write_logits(Peer &peer, const std::string &text, const std::string &out) {
  std::vector<llama_token> tokens(512);
  std::FILE *file = std::fopen(text.c_str(), "rb");
  if (!file)
    fail("the tokens could not be read");
  tokens.resize(std::fread(tokens.data(), sizeof(llama_token), tokens.size(), file));
  std::fclose(file);
  llama_batch batch = llama_batch_init((int)tokens.size(), 0, 1);
  for (size_t i = 0; i < tokens.size(); i++) {
    batch.token[i] = tokens[i];
    batch.pos[i] = (llama_pos)i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = (int)tokens.size();
  peer.clear();
  if (llama_decode(peer.context, batch) != 0)
    fail("decoding failed");
  file = std::fopen(out.c_str(), "wb");
  for (size_t i = 0; file && i < tokens.size(); i++)
    std::fwrite(llama_get_logits_ith(peer.context, (int)i), sizeof(float), (size_t)peer.vocabulary, file);
  if (!file || std::fclose(file) != 0)
    fail("the logits could not be written");
  llama_batch_free(batch);
}

int main(int argc, char **argv) {
  std::string path, text, logits;
  std::vector<std::string> loras;
  int threads = 1, prompt = 0, tokens = 0, sequences = 1, flash = 1;
  bool repack = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string name = argv[i], value = argv[i + 1];
    if (name == "-m")
      path = value;
    else if (name == "-t")
      threads = std::atoi(value.c_str());
    else if (name == "-p")
      prompt = std::atoi(value.c_str());
    else if (name == "-n")
      tokens = std::atoi(value.c_str());
    else if (name == "-b")
      sequences = std::atoi(value.c_str());
    else if (name == "-fa")
      flash = std::atoi(value.c_str());
    else if (name == "-rtr")
      repack = value == "1";
    else if (name == "--tokens")
      text = value;
    else if (name == "--logits")
      logits = value;
    else if (name == "--lora")
      loras.push_back(value);
    else
      fail("unknown option");
  }
  llama_log_set(quiet, nullptr);
  llama_backend_init();
  double begin = now();
  Peer peer;
  llama_model_params model = llama_model_default_params();
  llama_context_params context = llama_context_default_params();
  context.n_ctx = (uint32_t)(std::max(512, (std::max(prompt, 1) + tokens + 16)) * std::max(1, sequences));
  context.n_batch = context.n_ubatch = (uint32_t)std::max(512, sequences);
  context.n_seq_max = (uint32_t)sequences;
  context.n_threads = context.n_threads_batch = threads;
#ifdef IK
  model.repack_tensors = repack;
  model.use_mmap = !repack;
  context.flash_attn = flash != 0;
  if (!loras.empty()) {
    // Its fused feed-forward skips adapters, and its re-used graphs keep old scales.
    context.fused_up_gate = false;
    context.graph_reuse = false;
  }
  peer.model = llama_model_load_from_file(path.c_str(), model);
#else
  (void)repack;
  context.flash_attn_type = flash ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  context.kv_unified = false;
  peer.model = llama_model_load_from_file(path.c_str(), model);
#endif
  if (!peer.model)
    fail("the model could not be loaded");
  peer.context = llama_init_from_model(peer.model, context);
  if (!peer.context)
    fail("no context could be made");
#ifdef IK
  peer.vocabulary = llama_n_vocab(peer.model);
#else
  peer.vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(peer.model));
#endif
  for (const std::string &file : loras) {
#ifdef IK
    auto *adapter = llama_lora_adapter_init(peer.model, file.c_str());
#else
    auto *adapter = llama_adapter_lora_init(peer.model, file.c_str());
#endif
    if (!adapter)
      fail("an adapter could not be loaded");
    peer.adapters.push_back(adapter);
  }
  if (!loras.empty())
    peer.scales(1);
  double opened = now();
  peer.decode(0, 1, 1);
  double first = now();
  std::printf("{\"open\": %.6f, \"first\": %.6f", opened - begin, first - begin);
  if (prompt > 0) {
    peer.clear();
    peer.decode(0, prompt, 1); // once for nothing
    peer.clear();
    double start = now();
    peer.decode(0, prompt, 1);
    std::printf(", \"prefill\": %.6f", now() - start);
  }
  if (tokens > 0) {
    peer.clear();
    peer.decode(0, 1, sequences);
    peer.decode(1, 1, sequences);
    peer.clear();
    double start = now();
    for (int i = 0; i < tokens; i++)
      peer.decode(i, 1, sequences);
    std::printf(", \"decode\": %.6f", now() - start);
    if (!loras.empty()) {
      std::vector<double> costs;
      for (int i = 0; i < 7; i++) {
        double plain = now();
        peer.decode(tokens + 2 * i, 1, 1);
        double before = now();
        peer.scales(0.5f + 0.1f * (float)i);
        peer.decode(tokens + 2 * i + 1, 1, 1);
        costs.push_back((now() - before) - (before - plain));
      }
      std::sort(costs.begin(), costs.end());
      std::printf(", \"change\": %.6f", costs[costs.size() / 2]);
    }
  }
  std::printf("}\n");
  if (!text.empty())
    write_logits(peer, text, logits);
}
