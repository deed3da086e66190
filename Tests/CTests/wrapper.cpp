/* bonesoup.hpp: results and exceptions, lifetimes, callbacks. The defaults of its option structs are the C API's. */
#include "bonesoup.hpp"
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#define main run_sliders
#include "../../bindings/examples/sliders.cpp"
#undef main

using namespace bonesoup;

static int passed, failed;
static bool good;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      good = false;                                                                                                    \
      std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                                      \
    }                                                                                                                  \
  } while (0)

static void test(const char *name, const std::function<void()> &body) {
  good = true;
  try {
    body();
  } catch (const std::exception &error) {
    good = false;
    std::printf("%s: %s\n", name, error.what());
  }
  if (!good)
    std::printf("FAILED %s\n", name);
  (good ? passed : failed)++;
}

static std::string fixture(const std::string &path) {
  const char *root = std::getenv("BONESOUP_FIXTURES");
  return std::string(root ? root : "Tests/Fixtures") + "/" + path;
}

/* The status of the Error that `body` throws; ok where it throws none. */
template <class F> static Status thrown(F &&body) {
  try {
    body();
  } catch (const Error &error) {
    return error.status();
  }
  return Status::ok;
}

/* Whether an exception of a callback's comes out of `body`. */
struct Mine {};
template <class F> static bool throws_mine(F &&body) {
  try {
    body();
  } catch (const Mine &) {
    return true;
  }
  return false;
}

static GenerateOptions short_text() {
  GenerateOptions how;
  how.max_tokens = 8;
  how.ignore_end = true;
  return how;
}

static std::string read_whole(const std::string &path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

static void defaults_are_the_c_ones() {
  bsoup_sampling_options c;
  bsoup_sampling_options_init(&c, sizeof c);
  const SamplingOptions sampling;
  CHECK(sampling.temperature == c.temperature && sampling.top_k == c.top_k && sampling.top_p == c.top_p);
  CHECK(sampling.min_p == c.min_p && sampling.repetition_penalty == c.repetition_penalty);
  CHECK(sampling.presence_penalty == c.presence_penalty && sampling.frequency_penalty == c.frequency_penalty);
  CHECK(sampling.penalty_window == c.penalty_window && sampling.top_logprobs == c.top_logprobs);
  CHECK(sampling.seed == c.seed);
  bsoup_generate_options generate;
  bsoup_generate_options_init(&generate, sizeof generate);
  const GenerateOptions how;
  CHECK(how.max_tokens == generate.max_tokens && how.tokenize == generate.tokenize);
  CHECK(how.ignore_end == (generate.ignore_end != 0) && how.context == generate.context);
  CHECK(uint32_t(how.kv_format) == generate.kv_format);
  bsoup_engine_options engine;
  bsoup_engine_options_init(&engine, sizeof engine);
  CHECK(EngineOptions().thread_count == engine.thread_count && EngineOptions().memory_budget == engine.memory_budget);
  CHECK(EngineOptions().spin_microseconds == engine.spin_microseconds);
  bsoup_objective_options objective;
  bsoup_objective_options_init(&objective, sizeof objective);
  CHECK(ObjectiveOptions().minimum == objective.minimum && ObjectiveOptions().maximum == objective.maximum);
  CHECK(ObjectiveOptions().step == objective.step && !objective.has_default);
  bsoup_open_options open;
  bsoup_open_options_init(&open, sizeof open);
  CHECK(uint32_t(OpenOptions().load) == open.load && OpenOptions().verify == open.verify);
  bsoup_blend_options blend;
  bsoup_blend_options_init(&blend, sizeof blend);
  CHECK(uint32_t(BlendOptions().kind) == blend.kind && BlendOptions().background == (blend.background != 0));
  bsoup_session_options session;
  bsoup_session_options_init(&session, sizeof session);
  CHECK(SessionOptions().context == session.context && uint32_t(SessionOptions().kv_format) == session.kv_format);
  bsoup_decode_options decode;
  bsoup_decode_options_init(&decode, sizeof decode);
  CHECK(DecodeOptions().max_rows == decode.max_rows && DecodeOptions().all_logits == (decode.all_logits != 0));
}

static void errors_come_both_ways() {
  const Result<Soup> none = Soup::try_open(fixture("no-such-soup"));
  CHECK(!none && none.status() == Status::not_found && std::strlen(none.error().what()) > 0);
  CHECK(thrown([] { Soup::open(fixture("no-such-soup")); }) == Status::not_found);
  CHECK(thrown([] { Soup::open(std::string("a\0b", 3)); }) == Status::invalid_argument);
  CHECK(status_name(Status::not_found) == "BSOUP_NOT_FOUND");
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  BlendOptions wish;
  wish.named = {{"no such objective", 1.0}};
  CHECK(soup.try_blend(wish).status() == Status::not_found);
  CHECK(thrown([&] { soup.blend(wish); }) == Status::not_found);
  CHECK(soup.try_objective(99).status() == Status::not_found);
  wish.named = {{std::string("brief\0", 6), 1.0}};
  CHECK(soup.try_blend(wish).status() == Status::invalid_argument);
  GenerateOptions how = short_text();
  how.stop_strings = {std::string("a\0b", 3)};
  CHECK(soup.blend().try_generate("The", how).status() == Status::invalid_argument);
}

static void a_moved_object_is_stale_and_never_a_crash() {
  Soup first = Soup::open(fixture("soups/llama3-lora"));
  Soup second = std::move(first);
  CHECK(second.try_info() && !first.try_info() && first.get() == nullptr);
  CHECK(!Soup().try_blend() && !Blend().try_generate("x") && !Session().try_next() && !Session().try_fork());
  CHECK(Generation().text().empty() && Generation().tokens().empty() && Generation().top(0).empty());
  second = Soup::open(fixture("models/llama3"));
  CHECK(second.info().objective_count == 0);
  Session session = second.blend().session();
  session = Session();
  Generation generation = second.blend().generate("The", short_text());
  const std::string text(generation.text());
  Generation moved = std::move(generation);
  CHECK(moved.text() == text && generation.text().empty());
}

static void a_soup_blends_and_generates() {
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  const bsoup_soup_info info = soup.info();
  CHECK(info.objective_count == 3 && info.backbone_count == 3 && soup.matrix().size() == 9);
  CHECK(std::string(soup.objective(1).name) == "happy" && soup.backbone(0).low_rank == 1);
  BlendOptions wish;
  wish.named = {{"brief", 0.7}, {"happy", 0.3}};
  const Solution solution = soup.solve(wish);
  const Blend blend = soup.blend(wish);
  CHECK(solution.coefficients == blend.coefficients() && solution.preference == blend.preference());
  CHECK(blend.info().kind == uint32_t(Kind::live) && blend.session_memory() > 0);
  wish.kind = Kind::folded;
  CHECK(soup.blend_memory(wish) > 0);
  const std::vector<double> moved = soup.move_slider({0.2, 0.4, 0.4}, 0, 0.6);
  CHECK(moved.size() == 3 && moved[0] == 0.6);

  std::string streamed;
  GenerateOptions how = short_text();
  how.sampling.top_logprobs = 2;
  how.on_text = [&](std::string_view text) { streamed += text; };
  const Generation generation = blend.generate("The soup", how);
  CHECK(generation.tokens().size() == 8 && generation.logprobs().size() == 8 && generation.top(7).size() == 2);
  CHECK(generation.text() == streamed && generation.finish() == Finish::length);
  how.on_text = [](std::string_view) { return false; };
  CHECK(blend.generate("The soup", how).finish() == Finish::callback);

  const std::vector<int32_t> tokens = soup.tokenize("The soup", 0);
  CHECK(!tokens.empty() && soup.detokenize(tokens) == "The soup");
  std::string pieces;
  for (int32_t token : tokens)
    pieces += soup.token(token).bytes;
  CHECK(pieces == "The soup" && soup.try_end_tokens());
}

static void a_soup_is_built_by_calls() {
  Soup soup = Soup::open(fixture("models/llama3"));
  CHECK(soup.add_backbone(fixture("models/llama3/adapters/plain")) == 0);
  CHECK(soup.add_backbone(fixture("models/llama3/adapters/patterns")) == 1);
  ObjectiveOptions objective;
  objective.name = "brief";
  objective.default_weight = 1;
  CHECK(soup.add_objective(objective) == 0);
  objective.name = "happy";
  objective.default_weight = std::nullopt;
  CHECK(soup.add_objective(objective) == 1);
  CHECK(soup.try_set_matrix({0.3, 0.7, 0.7}, 2).status() == Status::invalid_argument);
  soup.set_matrix({0.3, 0.7, 0.7, 0.3}, 2);
  const std::vector<double> coefficients = soup.blend().coefficients();
  CHECK(coefficients[0] > -0.7501 && coefficients[0] < -0.7499);
  soup.set_bone_matrix(0.7);
  soup.set_extrapolation(std::vector<double>{1, 1});
  soup.set_guard(1.5, OnViolation::clamp);
  CHECK(soup.try_blend().status() == Status::guard_rail);
}

static void exceptions_of_callbacks_come_out_of_the_call() {
  OpenOptions open;
  open.progress = [](double) { throw Mine(); };
  CHECK(throws_mine([&] { (void)Soup::try_open(fixture("soups/llama3-lora"), open); }));
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  BlendOptions wish;
  wish.kind = Kind::folded;
  wish.progress = [](double) { throw Mine(); };
  CHECK(throws_mine([&] { soup.blend(wish); }));
  wish.background = true;
  CHECK(throws_mine([&] { soup.blend(wish).wait(); }));
  wish.background = false;
  wish.progress = [](double) { return false; };
  CHECK(soup.try_blend(wish).status() == Status::cancelled);

  const Blend blend = soup.blend();
  Generation partial;
  GenerateOptions how = short_text();
  how.partial = &partial;
  int steps = 0;
  how.sampling.hook = [&](Span<float> logits, Span<const int32_t> tokens) {
    CHECK(logits.size() > 0 && tokens.size() > 0);
    if (++steps == 4)
      throw Mine();
  };
  CHECK(throws_mine([&] { blend.generate("The soup", how); }));
  CHECK(partial.tokens().size() == 3 && partial.finish() == Finish::cancelled);
  how.sampling.hook = nullptr;
  how.on_text = [](std::string_view) { throw Mine(); };
  CHECK(throws_mine([&] { blend.generate("The soup", how); }));

  Session session = blend.session();
  session.append_text("The soup");
  how = short_text();
  how.sampling.hook = [](Span<float>, Span<const int32_t>) { throw Mine(); };
  session.begin(how);
  decode(session);
  Session moved = std::move(session);
  CHECK(throws_mine([&] { moved.next(); }) && throws_mine([&] { (void)moved.try_next(); }));
  std::vector<Generation> texts;
  Session *const one[] = {&moved};
  moved.begin(how);
  CHECK(throws_mine([&] { (void)try_generate_batch(Span<Session *const>(one, 1), texts); }));
  CHECK(texts.size() == 1 && texts[0].finish() == Finish::cancelled);
  moved.append_text(" and", 0);
  DecodeOptions step;
  step.progress = [](double) { throw Mine(); };
  CHECK(throws_mine([&] { decode(moved, step); }));
}

static void sessions_step_together() {
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  const Blend blend = soup.blend();
  const Generation whole = blend.generate("The soup", short_text());
  std::vector<Session> sessions;
  std::vector<std::string> texts(3);
  std::vector<Session *> running;
  for (int i = 0; i < 3; i++) {
    sessions.push_back(blend.session());
    CHECK(sessions.back().append_text("The soup") > 0);
    sessions.back().begin(short_text());
  }
  for (Session &session : sessions)
    running.push_back(&session);
  bool finished = false;
  while (!finished) {
    std::vector<Status> statuses;
    DecodeOptions options;
    options.statuses = &statuses;
    decode(running, options);
    CHECK(statuses == std::vector<Status>(3, Status::ok));
    CHECK(running[0]->logits().size() == soup.info().vocabulary);
    for (std::size_t i = 0; i < running.size(); i++) {
      const Step step = running[i]->next();
      texts[i] += step.text;
      finished = step.finish != Finish::none;
    }
  }
  for (const std::string &text : texts)
    CHECK(text == whole.text());

  std::vector<Session> again;
  running.clear();
  for (int i = 0; i < 3; i++) {
    again.push_back(blend.session());
    again.back().append_text("The soup");
    again.back().begin(short_text());
  }
  for (Session &session : again)
    running.push_back(&session);
  for (const Generation &made : generate_batch(running))
    CHECK(made.text() == whole.text() && made.finish() == whole.finish());
  std::vector<Status> became;
  std::vector<Generation> made;
  DecodeOptions asked;
  asked.statuses = &became;
  CHECK(try_generate_batch(running, made, asked).status() == Status::invalid_argument); /* they have finished */
  CHECK(made.size() == 3 && became == std::vector<Status>(3, Status::invalid_argument));
  running.push_back(nullptr);
  CHECK(try_generate_batch(running, made).status() == Status::stale_handle && made.size() == 4);

  Session &first = sessions[0];
  const std::size_t count = first.tokens().size();
  Session fork = first.fork();
  fork.rewind(count - 2);
  CHECK(fork.tokens().size() == count - 2 && first.info().token_count == count);
  fork.append({1, 2});
  BlendOptions wish;
  wish.coefficients = {0, 0, 1};
  fork.set_blend(soup.blend(wish), Policy::continue_);
  CHECK(fork.generate("", short_text()).tokens().size() == 8);
  CHECK(try_decode({&first, &first}).status() == Status::invalid_argument);
}

static void what_is_borrowed_lives_long_enough() {
  auto config = std::make_shared<std::string>(read_whole(fixture("models/llama3/config.json")));
  const std::string weights = read_whole(fixture("models/llama3/model.safetensors"));
  const std::weak_ptr<std::string> watched = config;
  auto counter = std::make_shared<int>(0);
  const std::weak_ptr<int> counted = counter;
  {
    Session session;
    {
      EngineOptions options;
      options.allocate = [counter](std::size_t bytes, std::size_t alignment) {
        ++*counter;
        return std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
      };
      options.deallocate = [counter](void *memory, std::size_t) { std::free(memory); };
      const Engine engine = Engine::create(options);
      OpenOptions open;
      File file;
      file.name = "base/config.json";
      file.data = config->data();
      file.size = config->size();
      file.owner = std::move(config);
      open.files.push_back(file);
      file = File();
      file.name = "base/model.safetensors";
      file.size = weights.size();
      file.read_at = [&](uint64_t offset, void *destination, std::size_t size) {
        std::memcpy(destination, weights.data() + offset, size);
      };
      open.files.push_back(file);
      const Soup soup = Soup::open("base", open, engine);
      CHECK(engine.memory() > 0);
      open.files[1].read_at = [](uint64_t, void *, std::size_t) { throw Mine(); };
      CHECK(throws_mine([&] { (void)Soup::try_open("base", open, engine); }));
      session = soup.blend().session();
      counter.reset();
    }
    session.append({5, 6, 7});
    decode(session);
    CHECK(session.logits().size() > 0 && !watched.expired() && !counted.expired());
    session = Session();
    CHECK(watched.expired() && counted.expired());
  }
}

static void an_allocator_that_throws_has_no_memory() {
  EngineOptions options;
  options.allocate = [](std::size_t, std::size_t) -> void * { throw Mine(); };
  options.deallocate = [](void *, std::size_t) { throw Mine(); };
  options.log = [](int32_t, std::string_view) { throw Mine(); };
  const Engine engine = Engine::create(options);
  OpenOptions open;
  open.load = Load::copy;
  CHECK(Soup::try_open(fixture("models/llama3"), open, engine).status() == Status::out_of_memory);
  options.deallocate = nullptr;
  CHECK(Engine::try_create(options).status() == Status::invalid_argument);
}

static void a_blend_may_be_destroyed_by_its_own_progress() {
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  std::mutex mutex;
  std::optional<Blend> blend;
  std::atomic<bool> destroyed{false};
  BlendOptions wish;
  wish.kind = Kind::folded;
  wish.background = true;
  wish.progress = [&, big = std::vector<int>(1000, 7)](double) {
    std::lock_guard<std::mutex> lock(mutex);
    blend.reset();
    CHECK(big[999] == 7);
    destroyed = true;
  };
  {
    std::lock_guard<std::mutex> lock(mutex);
    blend = soup.blend(wish);
  }
  for (int i = 0; i < 1000 && !destroyed; i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(destroyed && !blend);
}

static void cancelling_stops_a_generation() {
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  const Cancel cancel = Cancel::create();
  Generation partial;
  GenerateOptions how = short_text();
  how.max_tokens = 100;
  how.cancel = &cancel;
  how.partial = &partial;
  how.on_text = [&](std::string_view) { std::thread([&] { cancel.request(); }).join(); };
  CHECK(soup.blend().try_generate("The soup", how).status() == Status::cancelled);
  CHECK(partial.finish() == Finish::cancelled && partial.tokens().size() < 100);
}

static void blends_are_exported_and_backbones_compared() {
  const Soup soup = Soup::open(fixture("soups/llama3-lora"));
  const Comparison comparison = soup.compare();
  CHECK(comparison.info().backbone_count == 3 && comparison.info().tensor_count > 10);
  CHECK(comparison.tensor(comparison.info().tensor_count).norms[0] > 0);
  CHECK(comparison.try_tensor(comparison.info().tensor_count + 1).status() == Status::not_found);
  const Blend blend = soup.blend();
  CHECK(soup.export_size() > 0);
  ExportOptions how;
  CHECK(thrown([&] { blend.export_to(fixture("soups/llama3-lora"), how); }) == Status::invalid_argument);
  CHECK(thrown([&] { blend.export_to(std::string("a\0b", 3), how); }) == Status::invalid_argument);
  CHECK(thrown([&] { soup.export_to(fixture("soups/llama3-lora"), {}, how); }) == Status::invalid_argument);
  how.progress = [](double) -> bool { throw std::runtime_error("enough"); };
  try {
    blend.export_to("wrapper-export", how);
    CHECK(false);
  } catch (const std::runtime_error &error) {
    CHECK(!std::strcmp(error.what(), "enough"));
  }
  CHECK(soup.try_factor(0, "wrapper-factor").status() == Status::invalid_argument);
  CHECK(Factoring().try_info().status() == Status::stale_handle);
}

static void the_sliders_example_runs() {
  std::ostringstream printed;
  std::streambuf *kept = std::cout.rdbuf(printed.rdbuf());
  std::string path = fixture("soups/llama3-lora"), name = "sliders", prompt = "The soup";
  char *arguments[] = {name.data(), path.data(), prompt.data(), nullptr};
  const int status = run_sliders(3, arguments);
  std::cout.rdbuf(kept);
  CHECK(status == 0 && printed.str().find("[brief 0.75]") != std::string::npos);
}

int main() {
  test("defaults_are_the_c_ones", defaults_are_the_c_ones);
  test("errors_come_both_ways", errors_come_both_ways);
  test("a_moved_object_is_stale_and_never_a_crash", a_moved_object_is_stale_and_never_a_crash);
  test("a_soup_blends_and_generates", a_soup_blends_and_generates);
  test("a_soup_is_built_by_calls", a_soup_is_built_by_calls);
  test("exceptions_of_callbacks_come_out_of_the_call", exceptions_of_callbacks_come_out_of_the_call);
  test("sessions_step_together", sessions_step_together);
  test("what_is_borrowed_lives_long_enough", what_is_borrowed_lives_long_enough);
  test("an_allocator_that_throws_has_no_memory", an_allocator_that_throws_has_no_memory);
  test("a_blend_may_be_destroyed_by_its_own_progress", a_blend_may_be_destroyed_by_its_own_progress);
  test("cancelling_stops_a_generation", cancelling_stops_a_generation);
  test("blends_are_exported_and_backbones_compared", blends_are_exported_and_backbones_compared);
  test("the_sliders_example_runs", the_sliders_example_runs);
  std::printf("%d passed, %d failed, 0 skipped\n", passed, failed);
  return failed != 0;
}
