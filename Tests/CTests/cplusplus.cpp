/* The header in C++17: a program that opens, blends and generates. */
#include "bonesoup.h"
#include <cstdio>
#include <cstdlib>
#include <string>

int main() {
  const char *root = std::getenv("BONESOUP_FIXTURES");
  const std::string path = std::string(root ? root : "Tests/Fixtures") + "/soups/llama3-lora";
  const bsoup_named_value preference[] = {{"brief", 0.5}, {"rich", 0.5}};
  std::string text;
  bsoup_soup *soup = nullptr;
  bsoup_blend *blend = nullptr;
  bsoup_generation *generation = nullptr;
  bsoup_blend_options wish;
  bsoup_blend_options_init(&wish, sizeof wish);
  wish.named = preference;
  wish.named_count = 2;
  bsoup_generate_options how;
  bsoup_generate_options_init(&how, sizeof how);
  how.max_tokens = 20;
  how.text_context = &text;
  how.on_text = [](const char *piece, size_t size, void *context) -> int32_t {
    static_cast<std::string *>(context)->append(piece, size);
    return 0;
  };
  bsoup_generation_info info{};
  info.struct_size = sizeof info;
  const bool good = bsoup_soup_open(nullptr, path.c_str(), nullptr, &soup) == BSOUP_OK &&
                    bsoup_blend_create(soup, &wish, &blend) == BSOUP_OK &&
                    bsoup_generate(blend, "The soup", 8, &how, &generation) == BSOUP_OK &&
                    bsoup_generation_get_info(generation, &info) == BSOUP_OK && info.token_count > 0 &&
                    text == std::string(info.text, info.text_size);
  if (!good)
    std::printf("%s\n", bsoup_last_error());
  bsoup_session_free(nullptr);
  bsoup_generation_free(generation);
  bsoup_blend_free(blend);
  bsoup_soup_free(soup);
  std::printf("%d passed, %d failed, 0 skipped\n", good, !good);
  return !good;
}
