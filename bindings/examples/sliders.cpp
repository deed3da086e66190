/* A text that follows a slider: objective 0 goes up in five steps, and the same text goes on at each.
 *
 *     g++ -std=c++17 -Iinclude -o sliders bindings/examples/sliders.cpp -L.build/release -lbonesoup \
 *       -Wl,-rpath,.build/release
 *     ./sliders my-soup "Once upon a time"
 */
#include "bonesoup.hpp"
#include <iostream>

int main(int argc, char **argv) {
  if (argc < 2) {
    std::cerr << "usage: sliders SOUP [PROMPT]\n";
    return 2;
  }
  try {
    const auto soup = bonesoup::Soup::open(argv[1]);
    auto session = soup.blend().session();
    session.append_text(argc > 2 ? argv[2] : "Once upon a time");
    bonesoup::BlendOptions wish;
    wish.preference = soup.blend().preference();
    bonesoup::GenerateOptions how;
    how.max_tokens = 20;
    how.on_text = [](std::string_view text) { std::cout << text << std::flush; };
    for (int step = 0; step <= 4; step++) {
      wish.preference = soup.move_slider(wish.preference, 0, step / 4.0);
      session.set_blend(soup.blend(wish), bonesoup::Policy::continue_);
      std::cout << "\n[" << soup.objective(0).name << ' ' << wish.preference[0] << "] ";
      session.generate("", how);
    }
    std::cout << '\n';
  } catch (const bonesoup::Error &error) {
    std::cerr << bonesoup::status_name(error.status()) << ": " << error.what() << '\n';
    return 1;
  }
  return 0;
}
