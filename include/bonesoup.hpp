/*
 * BoneSoup for C++17 (and later): bonesoup.h with destructors, header only. What a call does, its units, statuses and
 * thread rules are written in bonesoup.h, under the same name; this file says only what differs.
 *
 *     #include <bonesoup.hpp>
 *     #include <iostream>
 *
 *     int main() try {
 *       auto soup = bonesoup::Soup::open("my-soup");
 *       bonesoup::BlendOptions wish;
 *       wish.named = {{"brief", 0.7}, {"happy", 0.3}};
 *       bonesoup::GenerateOptions how;
 *       how.on_text = [](std::string_view text) { std::cout << text << std::flush; };
 *       soup.blend(wish).generate("Once upon a time", how);
 *     } catch (const bonesoup::Error &error) {
 *       std::cerr << error.what() << '\n';
 *     }
 *
 * Errors        Every call that can fail has two names. x() returns the value or throws Error. try_x() returns a Result,
 *               which holds the value or the Error. With -fno-exceptions only the second is there.
 * Handles       Objects can be moved, not copied; a moved-from or default-constructed one answers stale_handle (an Engine:
 *               it is the process's default one). get() is the C handle, still owned by the object. Free in any order.
 * Callbacks     Any callable; returning nothing, or true, goes on; false stops. Exceptions never reach the library: one
 *               that a callback throws stops the call and comes out of it, also out of a try_x(). Where no call waits (log,
 *               deallocate) it is dropped; an allocate that throws has no memory.
 * Lifetimes     Callables and File::owner live as long as the library may use them. A Span or string_view that a call
 *               returns is borrowed, as bonesoup.h says. Info structs are the C ones.
 */
#ifndef BONESOUP_HPP
#define BONESOUP_HPP

#include "bonesoup.h"
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__cpp_exceptions)
#define BONESOUP_EXCEPTIONS 1
#else
#define BONESOUP_EXCEPTIONS 0
#endif

namespace bonesoup {
/* Parts of one program may be compiled with and without exceptions. */
#if BONESOUP_EXCEPTIONS
inline namespace with_exceptions {
#else
inline namespace without_exceptions {
#endif

/* ---------------------------------------------------------------------------------------------------------------------
 * Numbers with names
 */

enum class Status : bsoup_status {
  ok = BSOUP_OK,
  invalid_argument = BSOUP_INVALID_ARGUMENT,
  out_of_memory = BSOUP_OUT_OF_MEMORY,
  not_found = BSOUP_NOT_FOUND,
  io = BSOUP_IO,
  malformed = BSOUP_MALFORMED,
  unsupported = BSOUP_UNSUPPORTED,
  mismatch = BSOUP_MISMATCH,
  cancelled = BSOUP_CANCELLED,
  busy = BSOUP_BUSY,
  context_full = BSOUP_CONTEXT_FULL,
  stale_handle = BSOUP_STALE_HANDLE,
  guard_rail = BSOUP_GUARD_RAIL,
  unsolvable = BSOUP_UNSOLVABLE,
  not_ready = BSOUP_NOT_READY,
  checksum = BSOUP_CHECKSUM,
  forked = BSOUP_FORKED,
  internal = BSOUP_INTERNAL
};

enum class Format : uint32_t {
  default_ = BSOUP_FORMAT_DEFAULT,
  f32 = BSOUP_FORMAT_F32,
  f16 = BSOUP_FORMAT_F16,
  bf16 = BSOUP_FORMAT_BF16,
  q8_0 = BSOUP_FORMAT_Q8_0,
  q4_0 = BSOUP_FORMAT_Q4_0,
  q8_128 = BSOUP_FORMAT_Q8_128
};

enum class Load : uint32_t { map = BSOUP_LOAD_MAP, copy = BSOUP_LOAD_COPY };

enum class OnViolation : uint32_t { reject = BSOUP_GUARD_REJECT, clamp = BSOUP_GUARD_CLAMP };

enum class Kind : uint32_t { auto_ = BSOUP_BLEND_AUTO, folded = BSOUP_BLEND_FOLDED, live = BSOUP_BLEND_LIVE };

enum class Finish : uint32_t {
  none = BSOUP_FINISH_NONE,
  end = BSOUP_FINISH_END,
  stop_token = BSOUP_FINISH_STOP_TOKEN,
  stop_string = BSOUP_FINISH_STOP_STRING,
  length = BSOUP_FINISH_LENGTH,
  context = BSOUP_FINISH_CONTEXT,
  callback = BSOUP_FINISH_CALLBACK,
  cancelled = BSOUP_FINISH_CANCELLED,
  error = BSOUP_FINISH_ERROR
};

enum class ExportKind : uint32_t { folder = BSOUP_EXPORT_FOLDER, adapter = BSOUP_EXPORT_ADAPTER };

enum class Vectors : uint32_t { refuse = BSOUP_VECTORS_REFUSE, drop = BSOUP_VECTORS_DROP };

enum class Policy : uint32_t { recompute = BSOUP_RECOMPUTE, continue_ = BSOUP_CONTINUE };

/* As "BSOUP_IO". */
inline std::string_view status_name(Status status) noexcept {
  return bsoup_status_name(static_cast<bsoup_status>(status));
}

/* The library's own version, as "1.0.0". */
inline std::string_view version() noexcept { return bsoup_version(); }
inline std::string_view build_info() noexcept { return bsoup_build_info(); }

/* ---------------------------------------------------------------------------------------------------------------------
 * Errors and results
 */

class Error : public std::runtime_error {
public:
  Error(Status status, const std::string &message) : std::runtime_error(message), status_(status) {}
  Status status() const noexcept { return status_; }

private:
  Status status_;
};

/* A value or an Error. `*` and `->` need a value, error() needs an error: ask first. */
template <class T> class [[nodiscard]] Result {
public:
  Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const noexcept { return held_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }
  Status status() const noexcept { return has_value() ? Status::ok : error().status(); }
  const Error &error() const noexcept { return *std::get_if<1>(&held_); }

  T &operator*() & noexcept { return *std::get_if<0>(&held_); }
  const T &operator*() const & noexcept { return *std::get_if<0>(&held_); }
  T &&operator*() && noexcept { return std::move(*std::get_if<0>(&held_)); }
  T *operator->() noexcept { return std::get_if<0>(&held_); }
  const T *operator->() const noexcept { return std::get_if<0>(&held_); }

#if BONESOUP_EXCEPTIONS
  /* The value; throws the Error where there is none. */
  T value() && {
    if (!has_value())
      throw error();
    return std::move(**this);
  }
  T &value() & {
    if (!has_value())
      throw error();
    return **this;
  }
#endif

private:
  std::variant<T, Error> held_;
};

template <> class [[nodiscard]] Result<void> {
public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  bool has_value() const noexcept { return !error_; }
  explicit operator bool() const noexcept { return has_value(); }
  Status status() const noexcept { return error_ ? error_->status() : Status::ok; }
  const Error &error() const noexcept { return *error_; }

#if BONESOUP_EXCEPTIONS
  void value() const {
    if (error_)
      throw *error_;
  }
#endif

private:
  std::optional<Error> error_;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Spans and callbacks
 */

/* `size` values that belong to somebody else. */
template <class T> class Span {
public:
  Span() = default;
  Span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class Values,
            class = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Values &>().data()), T *> &&
                                     std::is_convertible_v<decltype(std::declval<Values &>().size()), std::size_t>>>
  Span(Values &&values) noexcept : data_(values.data()), size_(values.size()) {}
  /* Lives only as long as the expression that it is in. */
  Span(std::initializer_list<std::remove_const_t<T>> values) noexcept
      : data_(std::data(values)), size_(values.size()) {}

  T *data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T *begin() const noexcept { return data_; }
  T *end() const noexcept { return data_ + size_; }
  T &operator[](std::size_t index) const noexcept { return data_[index]; }

private:
  T *data_ = nullptr;
  std::size_t size_ = 0;
};

/* A callable that may return nothing (goes on) or bool (true goes on, false stops). */
template <class... Arguments> class Callback {
public:
  Callback() = default;
  Callback(std::nullptr_t) {}
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, Callback> &&
                                              std::is_invocable_v<std::decay_t<F> &, Arguments...>>>
  Callback(F &&body) {
    using Returned = std::invoke_result_t<std::decay_t<F> &, Arguments...>;
    static_assert(std::is_void_v<Returned> || std::is_same_v<Returned, bool>, "return nothing, or true to go on");
    if constexpr (std::is_void_v<Returned>)
      body_ = [kept = std::forward<F>(body)](Arguments... arguments) mutable { return kept(arguments...), true; };
    else
      body_ = std::forward<F>(body);
  }

  explicit operator bool() const noexcept { return static_cast<bool>(body_); }
  bool operator()(Arguments... arguments) const { return body_(arguments...); }

private:
  std::function<bool(Arguments...)> body_;
};

using Progress = Callback<double>;

class Cancel;
class Generation;
class Session;

namespace detail {

inline Error last_error(bsoup_status status) { return Error(static_cast<Status>(status), bsoup_last_error()); }

inline Result<void> result(bsoup_status status) {
  if (status != BSOUP_OK)
    return last_error(status);
  return {};
}

/* Owns a handle of the C API, and what has to live until after that is freed. */
template <class C, void (*release)(C *), class Kept = std::monostate> class Handle {
public:
  Handle() = default;
  explicit Handle(C *pointer, Kept keeping = {}) noexcept : kept(std::move(keeping)), pointer_(pointer) {}
  Handle(Handle &&other) noexcept : kept(std::move(other.kept)), pointer_(std::exchange(other.pointer_, nullptr)) {}
  Handle &operator=(Handle &&other) noexcept {
    if (this != &other) {
      release(std::exchange(pointer_, std::exchange(other.pointer_, nullptr)));
      kept = std::move(other.kept);
    }
    return *this;
  }
  ~Handle() { release(pointer_); }
  C *get() const noexcept { return pointer_; }

  Kept kept = {};

private:
  C *pointer_ = nullptr;
};

/* Runs callables for the library and keeps the first exception of theirs. Any thread. */
class Guard {
public:
  /* What the library wants to hear: 0 to go on. */
  template <class F> int32_t run(F &&body) noexcept {
#if BONESOUP_EXCEPTIONS
    try {
      return body() ? 0 : 1;
    } catch (...) {
      if (!taken_.test_and_set())
        thrown_ = std::current_exception();
      return 1;
    }
#else
    return body() ? 0 : 1;
#endif
  }

  /* Throws what was kept, after the call has returned. */
  void rethrow() {
#if BONESOUP_EXCEPTIONS
    if (thrown_) {
      std::exception_ptr thrown = std::exchange(thrown_, nullptr);
      taken_.clear();
      std::rethrow_exception(thrown);
    }
#endif
  }

  /* The same, any number of times and from any thread. */
  void rethrow_each_time() const {
#if BONESOUP_EXCEPTIONS
    if (thrown_)
      std::rethrow_exception(thrown_);
#endif
  }

private:
  std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
#if BONESOUP_EXCEPTIONS
  std::exception_ptr thrown_;
#endif
};

/* A progress callback with its guard: the `context` of a bsoup_progress_fn. */
struct Watch {
  Progress progress;
  Guard guard;

  static int32_t call(double share, void *context) noexcept {
    auto &self = *static_cast<Watch *>(context);
    return self.guard.run([&] { return self.progress(share); });
  }
  bsoup_progress_fn function() const noexcept { return progress ? call : nullptr; }
};

/* What a soup and all that is made from it borrow. */
class Keep {
public:
  void add(std::shared_ptr<const void> owner) {
    std::lock_guard<std::mutex> lock(mutex_);
    owners_.push_back(std::move(owner));
  }

private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<const void>> owners_;
};

/* Texts that become C strings must not hold a NUL: the library would see only what is before it. */
inline bool has_nul(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

inline Error nul_error(const char *what) {
  return Error(Status::invalid_argument, std::string(what) + " holds a NUL byte; remove it");
}

inline Error too_many_error(const char *what) {
  return Error(Status::invalid_argument, std::string("more than 4294967295 ") + what);
}

inline bool fits(std::size_t count) noexcept { return count <= std::numeric_limits<uint32_t>::max(); }

/* Calls a function of the library that writes up to a capacity and says how many there are. */
template <class Values, class F> Result<Values> filled(std::size_t guess, F &&call) {
  Values values;
  std::size_t count = guess;
  do {
    values.resize(count);
    if (bsoup_status status = call(values.data(), values.size(), &count); status != BSOUP_OK)
      return last_error(status);
  } while (count > values.size());
  values.resize(count);
  return values;
}

template <class Info, class Object> Result<Info> info_of(bsoup_status (*ask)(Object *, Info *), Object *object) {
  Info info{};
  info.struct_size = sizeof info;
  if (bsoup_status status = ask(object, &info); status != BSOUP_OK)
    return last_error(status);
  return info;
}

template <class Info, class Object>
Result<Info> info_of(bsoup_status (*ask)(Object *, uint32_t, Info *), Object *object, uint32_t index) {
  Info info{};
  info.struct_size = sizeof info;
  if (bsoup_status status = ask(object, index, &info); status != BSOUP_OK)
    return last_error(status);
  return info;
}

} // namespace detail

/* ---------------------------------------------------------------------------------------------------------------------
 * Engines and cancelling
 */

/* Flags that stop long work. */
class Cancel {
public:
  static Result<Cancel> try_create() {
    bsoup_cancel *handle = nullptr;
    if (bsoup_status status = bsoup_cancel_create(&handle); status != BSOUP_OK)
      return detail::last_error(status);
    return Cancel(handle);
  }
  /* Any thread, and signal handlers. */
  void request() const noexcept { bsoup_cancel_request(get()); }
  bsoup_cancel *get() const noexcept { return handle_.get(); }

  Cancel() = default;
#if BONESOUP_EXCEPTIONS
  static Cancel create() { return try_create().value(); }
#endif

private:
  explicit Cancel(bsoup_cancel *handle) noexcept : handle_(handle) {}
  detail::Handle<bsoup_cancel, bsoup_cancel_free> handle_;
};

struct EngineOptions {
  uint32_t thread_count = 0;
  uint64_t memory_budget = 0;
  std::vector<uint32_t> cpus = {};
  uint32_t spin_microseconds = 50;
  std::function<void *(std::size_t bytes, std::size_t alignment)> allocate = nullptr;
  std::function<void(void *pointer, std::size_t bytes)> deallocate = nullptr;
  std::function<void(int32_t level, std::string_view line)> log = nullptr;
};

/* A default-constructed one is the process's default engine. */
class Engine {
public:
  Engine() = default;

  static Result<Engine> try_create(EngineOptions options = {}) {
    if (!detail::fits(options.cpus.size()))
      return detail::too_many_error("CPUs");
    auto kept = std::make_shared<EngineOptions>(std::move(options));
    bsoup_engine_options how;
    bsoup_engine_options_init(&how, sizeof how);
    how.thread_count = kept->thread_count;
    how.memory_budget = kept->memory_budget;
    how.cpus = kept->cpus.empty() ? nullptr : kept->cpus.data();
    how.cpu_count = static_cast<uint32_t>(kept->cpus.size());
    how.spin_microseconds = kept->spin_microseconds;
    if (kept->allocate)
      how.allocate = allocate;
    if (kept->deallocate)
      how.deallocate = deallocate;
    how.allocator_context = kept.get();
    if (kept->log)
      how.log = log;
    how.log_context = kept.get();
    bsoup_engine *handle = nullptr;
    if (bsoup_status status = bsoup_engine_create(&how, &handle); status != BSOUP_OK)
      return detail::last_error(status);
    return Engine(handle, std::move(kept));
  }

  Result<uint64_t> try_memory() const {
    uint64_t bytes = 0;
    if (bsoup_status status = bsoup_engine_memory(get(), &bytes); status != BSOUP_OK)
      return detail::last_error(status);
    return bytes;
  }

  bsoup_engine *get() const noexcept { return handle_.get(); }

#if BONESOUP_EXCEPTIONS
  static Engine create(EngineOptions options = {}) { return try_create(std::move(options)).value(); }
  uint64_t memory() const { return try_memory().value(); }
#endif

private:
  friend class Soup;
  Engine(bsoup_engine *handle, std::shared_ptr<const EngineOptions> kept) noexcept : handle_(handle, std::move(kept)) {}

  static void *allocate(std::size_t bytes, std::size_t alignment, void *context) noexcept {
    void *memory = nullptr;
    detail::Guard guard;
    guard.run([&] { return memory = static_cast<EngineOptions *>(context)->allocate(bytes, alignment), true; });
    return memory;
  }
  static void deallocate(void *pointer, std::size_t bytes, void *context) noexcept {
    detail::Guard guard;
    guard.run([&] { return static_cast<EngineOptions *>(context)->deallocate(pointer, bytes), true; });
  }
  static void log(int32_t level, const char *line, void *context) noexcept {
    detail::Guard guard;
    guard.run([&] { return static_cast<EngineOptions *>(context)->log(level, line), true; });
  }

  detail::Handle<bsoup_engine, bsoup_engine_free, std::shared_ptr<const EngineOptions>> handle_;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Options of soups, blends, sessions, generations
 */

struct File {
  std::string name;
  uint64_t size = 0;
  const void *data = nullptr;
  std::shared_ptr<const void> owner = nullptr;               /* of the data: kept as long as the library may read it */
  Callback<uint64_t, void *, std::size_t> read_at = nullptr; /* offset, destination, size; any thread */
};

struct OpenOptions {
  Format weights = Format::default_;
  Load load = Load::map;
  uint32_t verify = 0; /* BSOUP_VERIFY_*, added */
  std::vector<File> files = {};
  const Cancel *cancel = nullptr;
  Progress progress = nullptr;
};

struct ObjectiveOptions {
  std::string name = {};
  std::string label = {};       /* empty: the name */
  std::string description = {}; /* empty: none */
  std::optional<double> default_weight = std::nullopt;
  double minimum = 0;
  double maximum = 1;
  double step = 0.01;
};

/* A parameter of a merge method; `model` is the place of a model, or of a backbone in a soup, and −1 all. */
struct Setting {
  std::string name;
  std::vector<double> values; /* one, or a gradient over the layers */
  std::string filter = {};    /* only tensors whose names contain it */
  int32_t model = -1;
};

/* How folded blends are made where it is not by the plain sum. */
struct Method {
  std::string name;
  std::vector<Setting> settings = {};
  uint64_t seed = 0;
};

/* At most one of named, preference, coefficients, preset; what is empty is not given. */
struct BlendOptions {
  std::vector<std::pair<std::string, double>> named = {};
  std::vector<double> preference = {};
  std::vector<double> coefficients = {};
  std::string preset = {};
  std::vector<float> layer_multipliers = {};
  Kind kind = Kind::auto_;
  Format weights = Format::default_;
  bool background = false;
  const Cancel *cancel = nullptr;
  Progress progress = nullptr; /* in the background: on a thread of the library; Blend::wait throws what it throws */
  std::optional<Method> method = std::nullopt; /* nothing: as the soup says */
};

struct SamplingOptions {
  float temperature = 0;
  uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;
  float presence_penalty = 0;
  float frequency_penalty = 0;
  int32_t penalty_window = -1;
  uint32_t top_logprobs = 0;
  uint64_t seed = 0;
  std::vector<bsoup_logit_bias> logit_bias = {};
  Callback<Span<float>, Span<const int32_t>> hook = nullptr; /* logits, tokens so far */
};

struct GenerateOptions {
  uint32_t max_tokens = 256;
  SamplingOptions sampling = {};
  std::vector<std::string> stop_strings = {};
  std::vector<int32_t> stop_tokens = {};
  bool ignore_end = false;
  uint32_t tokenize = BSOUP_TOKENIZE_SPECIAL; /* BSOUP_TOKENIZE_*, added */
  uint32_t context = 0;
  Format kv_format = Format::default_;
  Callback<std::string_view> on_text = nullptr;
  const Cancel *cancel = nullptr;
  Progress prefill_progress = nullptr;
  Generation *partial = nullptr; /* gets the text so far where the call fails or a callback throws on the way */
  bool response_only = false;    /* the base alone reads the prompt, and the blend writes the response */
};

struct SessionOptions {
  uint32_t context = 0;
  Format kv_format = Format::default_;
};

struct DecodeOptions {
  uint32_t max_rows = 0;
  bool all_logits = false;
  std::vector<Status> *statuses = nullptr; /* gets what became of each session */
  const Cancel *cancel = nullptr;
  Progress progress = nullptr;
};

struct ExportOptions {
  ExportKind kind = ExportKind::folder;
  Format format = Format::default_;
  uint32_t rank = 0;
  uint64_t shard_size = 0;
  std::string base_name = {}; /* empty: the base's path */
  bool hashes = true;
  const Cancel *cancel = nullptr;
  Progress progress = nullptr;
};

struct FactorOptions {
  uint32_t rank = 0;
  double max_error = 0.1;
  Format format = Format::default_;
  Vectors vectors = Vectors::refuse;
  const Cancel *cancel = nullptr;
  Progress progress = nullptr;
};

struct CompareOptions {
  const Cancel *cancel = nullptr;
  Progress progress = nullptr;
};

struct Step {
  int32_t token = -1;
  float logprob = 0;
  Finish finish = Finish::none;
  std::string_view text;
  Span<const bsoup_logprob> top;
};

struct Solution {
  std::vector<double> preference;
  std::vector<double> coefficients;
  bsoup_blend_info info;
};

struct Preset {
  std::string_view name;
  std::vector<double> preference;
};

struct Token {
  std::string bytes;
  bool special = false;
};

namespace detail {

inline bsoup_cancel *handle_of(const Cancel *cancel) noexcept { return cancel ? cancel->get() : nullptr; }

/* Options in the library's form, with what they point at; they stay where they are made. */
struct OpenCall {
  OpenOptions given;
  std::vector<bsoup_file> files;
  Watch watch;
  bsoup_open_options options;

  explicit OpenCall(const OpenOptions &wanted) : given(wanted), watch{wanted.progress, {}} {
    bsoup_open_options_init(&options, sizeof options);
    options.weights = static_cast<uint32_t>(given.weights);
    options.load = static_cast<uint32_t>(given.load);
    options.verify = given.verify;
    options.cancel = handle_of(given.cancel);
    options.progress = watch.function();
    options.progress_context = &watch;
    readers.resize(given.files.size());
    for (std::size_t i = 0; i < given.files.size(); i++) {
      const File &file = given.files[i];
      readers[i] = {&file, &watch.guard};
      files.push_back({file.name.c_str(), file.size, file.data, file.read_at ? read_at : nullptr, &readers[i]});
    }
    options.files = files.empty() ? nullptr : files.data();
    options.file_count = static_cast<uint32_t>(files.size());
  }
  OpenCall(const OpenCall &) = delete;

  std::optional<Error> refusal(std::string_view path) const {
    if (has_nul(path))
      return nul_error("the path");
    for (const File &file : given.files)
      if (has_nul(file.name))
        return nul_error("a file's name");
    if (!fits(files.size()))
      return too_many_error("files");
    return std::nullopt;
  }

  void keep_owners(Keep &keep) const {
    for (const File &file : given.files)
      if (file.owner)
        keep.add(file.owner);
  }

private:
  struct Reader {
    const File *file;
    Guard *guard;
  };
  std::vector<Reader> readers;

  static int32_t read_at(void *context, uint64_t offset, void *destination, std::size_t size) noexcept {
    auto &reader = *static_cast<Reader *>(context);
    return reader.guard->run([&] { return reader.file->read_at(offset, destination, size); });
  }
};

/* Settings as the C API takes them; what they point to is the caller's. */
inline std::vector<bsoup_merge_parameter> merge_parameters(const std::vector<Setting> &settings) {
  std::vector<bsoup_merge_parameter> parameters;
  for (const Setting &setting : settings)
    parameters.push_back({setting.name.c_str(), setting.filter.empty() ? nullptr : setting.filter.c_str(),
                          setting.values.data(), static_cast<uint32_t>(setting.values.size()), setting.model});
  return parameters;
}

inline std::optional<Error> settings_refusal(const std::vector<Setting> &settings) {
  for (const Setting &setting : settings) {
    if (has_nul(setting.name) || has_nul(setting.filter))
      return nul_error("a parameter of a method");
    if (!fits(setting.values.size()))
      return too_many_error("values");
  }
  return fits(settings.size()) ? std::nullopt : std::optional<Error>(too_many_error("parameters"));
}

inline std::optional<Error> method_refusal(const Method &method) {
  return has_nul(method.name) ? nul_error("a method's name") : settings_refusal(method.settings);
}

/* `method` outlives it. */
struct MethodCall {
  std::vector<bsoup_merge_parameter> parameters;
  bsoup_method_options options;

  explicit MethodCall(const Method &method) : parameters(merge_parameters(method.settings)) {
    bsoup_method_options_init(&options, sizeof options);
    options.name = method.name.c_str();
    options.parameters = parameters.data();
    options.parameter_count = static_cast<uint32_t>(parameters.size());
    options.seed = method.seed;
  }
  MethodCall(const MethodCall &) = delete;
};

struct BlendCall : std::enable_shared_from_this<BlendCall> {
  BlendOptions given;
  std::vector<bsoup_named_value> named;
  std::optional<MethodCall> method;
  Watch watch;
  std::shared_ptr<Keep> keep;
  bsoup_blend_options options;

  explicit BlendCall(BlendOptions wanted) : given(std::move(wanted)), watch{given.progress, {}} {
    for (const auto &[name, value] : given.named)
      named.push_back({name.c_str(), value});
    bsoup_blend_options_init(&options, sizeof options);
    options.kind = static_cast<uint32_t>(given.kind);
    options.named = named.empty() ? nullptr : named.data();
    options.named_count = static_cast<uint32_t>(named.size());
    options.preference = given.preference.empty() ? nullptr : given.preference.data();
    options.preference_count = static_cast<uint32_t>(given.preference.size());
    options.coefficients = given.coefficients.empty() ? nullptr : given.coefficients.data();
    options.coefficient_count = static_cast<uint32_t>(given.coefficients.size());
    options.preset = given.preset.empty() ? nullptr : given.preset.c_str();
    options.layer_multipliers = given.layer_multipliers.empty() ? nullptr : given.layer_multipliers.data();
    options.layer_multiplier_count = static_cast<uint32_t>(given.layer_multipliers.size());
    options.weights = static_cast<uint32_t>(given.weights);
    options.background = given.background;
    options.cancel = handle_of(given.cancel);
    options.progress = watch.progress ? progress : nullptr;
    options.progress_context = this;
    if (given.method)
      options.method = &method.emplace(*given.method).options;
  }
  BlendCall(const BlendCall &) = delete;

  std::optional<Error> refusal() const {
    if (has_nul(given.preset))
      return nul_error("the preset's name");
    for (const auto &value : given.named)
      if (has_nul(value.first))
        return nul_error("an objective's name");
    if (!fits(given.named.size()) || !fits(given.preference.size()) || !fits(given.coefficients.size()) ||
        !fits(given.layer_multipliers.size()))
      return too_many_error("values");
    return given.method ? method_refusal(*given.method) : std::nullopt;
  }

private:
  /* The callable may destroy its own blend: it lives until it has returned. */
  static int32_t progress(double share, void *context) noexcept {
    const std::shared_ptr<BlendCall> self = static_cast<BlendCall *>(context)->shared_from_this();
    return self->watch.guard.run([&] { return self->watch.progress(share); });
  }
};

struct GenerateCall {
  GenerateOptions given;
  std::vector<const char *> stop_strings;
  Watch prefill;
  Guard guard; /* of on_text and of the hook */
  bsoup_sampling_options sampling;
  bsoup_generate_options options;

  explicit GenerateCall(const GenerateOptions &wanted) : given(wanted), prefill{wanted.prefill_progress, {}} {
    const SamplingOptions &from = given.sampling;
    bsoup_sampling_options_init(&sampling, sizeof sampling);
    sampling.temperature = from.temperature;
    sampling.top_k = from.top_k;
    sampling.top_p = from.top_p;
    sampling.min_p = from.min_p;
    sampling.repetition_penalty = from.repetition_penalty;
    sampling.presence_penalty = from.presence_penalty;
    sampling.frequency_penalty = from.frequency_penalty;
    sampling.penalty_window = from.penalty_window;
    sampling.top_logprobs = from.top_logprobs;
    sampling.seed = from.seed;
    sampling.logit_bias = from.logit_bias.empty() ? nullptr : from.logit_bias.data();
    sampling.logit_bias_count = static_cast<uint32_t>(from.logit_bias.size());
    sampling.hook = from.hook ? hook : nullptr;
    sampling.hook_context = this;

    for (const std::string &text : given.stop_strings)
      stop_strings.push_back(text.c_str());
    bsoup_generate_options_init(&options, sizeof options);
    options.max_tokens = given.max_tokens;
    options.sampling = &sampling;
    options.stop_strings = stop_strings.empty() ? nullptr : stop_strings.data();
    options.stop_string_count = static_cast<uint32_t>(stop_strings.size());
    options.stop_tokens = given.stop_tokens.empty() ? nullptr : given.stop_tokens.data();
    options.stop_token_count = static_cast<uint32_t>(given.stop_tokens.size());
    options.ignore_end = given.ignore_end;
    options.tokenize = given.tokenize;
    options.context = given.context;
    options.kv_format = static_cast<uint32_t>(given.kv_format);
    options.on_text = given.on_text ? on_text : nullptr;
    options.text_context = this;
    options.cancel = handle_of(given.cancel);
    options.prefill_progress = prefill.function();
    options.prefill_context = &prefill;
    options.response_only = given.response_only;
  }
  GenerateCall(const GenerateCall &) = delete;

  std::optional<Error> refusal() const {
    for (const std::string &text : given.stop_strings)
      if (has_nul(text))
        return nul_error("a stop string");
    if (!fits(given.stop_strings.size()) || !fits(given.stop_tokens.size()) || !fits(given.sampling.logit_bias.size()))
      return too_many_error("stops or biases");
    return std::nullopt;
  }

  void rethrow() {
    prefill.guard.rethrow();
    guard.rethrow();
  }

private:
  static int32_t on_text(const char *text, std::size_t size, void *context) noexcept {
    auto &self = *static_cast<GenerateCall *>(context);
    return self.guard.run([&] { return self.given.on_text(std::string_view(text, size)); });
  }
  static int32_t hook(float *logits, std::size_t count, const int32_t *tokens, std::size_t token_count,
                      void *context) noexcept {
    auto &self = *static_cast<GenerateCall *>(context);
    return self.guard.run([&] { return self.given.sampling.hook({logits, count}, {tokens, token_count}); });
  }
};

inline bsoup_session_options session_options(const SessionOptions &given) noexcept {
  bsoup_session_options options;
  bsoup_session_options_init(&options, sizeof options);
  options.context = given.context;
  options.kv_format = static_cast<uint32_t>(given.kv_format);
  return options;
}

} // namespace detail

/* ---------------------------------------------------------------------------------------------------------------------
 * Generations
 */

/* What was generated. Its text, tokens and so on are borrowed from it; of a default-constructed one they are empty. */
class Generation {
public:
  Generation() = default;
  Generation(Generation &&other) noexcept : info_(std::exchange(other.info_, {})), handle_(std::move(other.handle_)) {}
  Generation &operator=(Generation &&other) noexcept {
    info_ = std::exchange(other.info_, {});
    handle_ = std::move(other.handle_);
    return *this;
  }

  std::string_view text() const noexcept { return {info_.text ? info_.text : "", info_.text_size}; }
  Span<const int32_t> tokens() const noexcept { return {info_.tokens, info_.token_count}; }
  Span<const float> logprobs() const noexcept { return {info_.logprobs, info_.logprobs ? info_.token_count : 0}; }
  /* The most probable alternatives at each token, `info().top_count` of them. */
  Span<const bsoup_logprob> top(std::size_t token) const noexcept {
    if (!info_.top || token >= info_.token_count)
      return {};
    return {info_.top + token * info_.top_count, info_.top_count};
  }
  Finish finish() const noexcept { return static_cast<Finish>(info_.finish); }
  const bsoup_generation_info &info() const noexcept { return info_; }
  bsoup_generation *get() const noexcept { return handle_.get(); }

private:
  friend class Blend;
  friend class Session;
  Generation(bsoup_generation *handle, std::shared_ptr<detail::Keep> keep) noexcept
      : handle_(handle, std::move(keep)) {}

  /* Runs bsoup_generate or bsoup_session_generate on `object`. */
  template <class Object>
  static Result<Generation> make(bsoup_status (*generate)(Object *, const char *, std::size_t,
                                                          const bsoup_generate_options *, bsoup_generation **),
                                 Object *object, const std::shared_ptr<detail::Keep> &keep, std::string_view prompt,
                                 const GenerateOptions &options) {
    detail::GenerateCall call(options);
    if (std::optional<Error> refusal = call.refusal())
      return std::move(*refusal);
    bsoup_generation *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = generate(object, prompt.data(), prompt.size(), &call.options, &handle))
      error = detail::last_error(status);
    Generation made(handle, keep);
    if (handle) {
      Result<bsoup_generation_info> info = detail::info_of(bsoup_generation_get_info, handle);
      if (info)
        made.info_ = *info;
      else if (!error)
        error = info.error();
    }
#if BONESOUP_EXCEPTIONS
    try {
      call.rethrow();
    } catch (...) {
      if (options.partial)
        *options.partial = std::move(made);
      throw;
    }
#endif
    if (!error)
      return made;
    if (options.partial)
      *options.partial = std::move(made);
    return std::move(*error);
  }

  bsoup_generation_info info_{};
  detail::Handle<bsoup_generation, bsoup_generation_free, std::shared_ptr<detail::Keep>> handle_;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Sessions and batches
 */

class Session {
public:
  Session() = default;

  Result<void> try_append(Span<const int32_t> tokens) {
    return detail::result(bsoup_session_append(get(), tokens.data(), tokens.size()));
  }

  /* Returns the number of tokens. */
  Result<std::size_t> try_append_text(std::string_view text, uint32_t tokenize = BSOUP_TOKENIZE_SPECIAL,
                                      const Cancel *cancel = nullptr) {
    std::size_t count = 0;
    if (bsoup_status status =
            bsoup_session_append_text(get(), text.data(), text.size(), tokenize, detail::handle_of(cancel), &count))
      return detail::last_error(status);
    return count;
  }

  Result<void> try_rewind(std::size_t count) { return detail::result(bsoup_session_rewind(get(), count)); }

  Result<Session> try_fork() const {
    bsoup_session *handle = nullptr;
    if (bsoup_status status = bsoup_session_fork(get(), &handle))
      return detail::last_error(status);
    return Session(handle, {handle_.kept.keep, nullptr});
  }

  /* Of a Blend: below it. */
  template <class AnyBlend> Result<void> try_set_blend(const AnyBlend &blend, Policy policy = Policy::recompute) {
    return detail::result(bsoup_session_set_blend(get(), blend.get(), static_cast<uint32_t>(policy)));
  }

  Result<bsoup_session_info> try_info() const { return detail::info_of(bsoup_session_get_info, get()); }

  Result<Span<const int32_t>> try_tokens() const {
    const int32_t *tokens = nullptr;
    std::size_t count = 0;
    if (bsoup_status status = bsoup_session_tokens(get(), &tokens, &count))
      return detail::last_error(status);
    return Span<const int32_t>(tokens, count);
  }

  Result<Generation> try_generate(std::string_view prompt, const GenerateOptions &options = {}) {
    return Generation::make(bsoup_session_generate, get(), handle_.kept.keep, prompt, options);
  }

  Result<Span<const float>> try_logits(int64_t position = -1) const {
    const float *logits = nullptr;
    std::size_t count = 0;
    if (bsoup_status status = bsoup_session_logits(get(), position, &logits, &count))
      return detail::last_error(status);
    return Span<const float>(logits, count);
  }

  Result<void> try_begin(const GenerateOptions &options = {}) {
    auto begun = std::make_shared<detail::GenerateCall>(options);
    if (std::optional<Error> refusal = begun->refusal())
      return std::move(*refusal);
    if (bsoup_status status = bsoup_session_begin(get(), &begun->options))
      return detail::last_error(status);
    handle_.kept.begun = std::move(begun);
    return {};
  }

  Result<Step> try_next() {
    bsoup_step step{};
    step.struct_size = sizeof step;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_session_next(get(), &step))
      error = detail::last_error(status);
    if (handle_.kept.begun)
      handle_.kept.begun->rethrow();
    if (error)
      return std::move(*error);
    return Step{step.token, step.logprob, static_cast<Finish>(step.finish), std::string_view(step.text, step.text_size),
                Span<const bsoup_logprob>(step.top, step.top_count)};
  }

  bsoup_session *get() const noexcept { return handle_.get(); }

#if BONESOUP_EXCEPTIONS
  void append(Span<const int32_t> tokens) { try_append(tokens).value(); }
  std::size_t append_text(std::string_view text, uint32_t tokenize = BSOUP_TOKENIZE_SPECIAL,
                          const Cancel *cancel = nullptr) {
    return try_append_text(text, tokenize, cancel).value();
  }
  void rewind(std::size_t count) { try_rewind(count).value(); }
  Session fork() const { return try_fork().value(); }
  template <class AnyBlend> void set_blend(const AnyBlend &blend, Policy policy = Policy::recompute) {
    try_set_blend(blend, policy).value();
  }
  bsoup_session_info info() const { return try_info().value(); }
  Span<const int32_t> tokens() const { return try_tokens().value(); }
  Generation generate(std::string_view prompt, const GenerateOptions &options = {}) {
    return try_generate(prompt, options).value();
  }
  Span<const float> logits(int64_t position = -1) const { return try_logits(position).value(); }
  void begin(const GenerateOptions &options = {}) { try_begin(options).value(); }
  Step next() { return try_next().value(); }
#endif

private:
  friend class Blend;
  friend Result<void> try_generate_batch(Span<Session *const> sessions, std::vector<Generation> &texts,
                                         const DecodeOptions &options);
  struct Kept {
    std::shared_ptr<detail::Keep> keep;
    std::shared_ptr<detail::GenerateCall> begun;
  };
  Generation text(bsoup_generation *handle) const {
    Generation made(handle, handle_.kept.keep);
    if (Result<bsoup_generation_info> info = detail::info_of(bsoup_generation_get_info, handle))
      made.info_ = *info;
    return made;
  }
  Session(bsoup_session *handle, Kept kept) noexcept : handle_(handle, std::move(kept)) {}

  detail::Handle<bsoup_session, bsoup_session_free, Kept> handle_;
};

namespace detail {

/* Runs `call` on the handles of sessions, and hands their statuses over. */
template <class Call>
Result<void> together(Span<Session *const> sessions, const DecodeOptions &options, const Call &call) {
  std::vector<bsoup_session *> handles;
  handles.reserve(sessions.size());
  for (const Session *session : sessions)
    handles.push_back(session ? session->get() : nullptr);
  std::vector<bsoup_status> statuses(options.statuses ? handles.size() : 0);
  Watch watch{options.progress, {}};
  bsoup_decode_options how;
  bsoup_decode_options_init(&how, sizeof how);
  how.max_rows = options.max_rows;
  how.all_logits = options.all_logits;
  how.statuses = statuses.empty() ? nullptr : statuses.data();
  how.cancel = handle_of(options.cancel);
  how.progress = watch.function();
  how.progress_context = &watch;
  Result<void> result = detail::result(call(handles, how));
  if (options.statuses) {
    options.statuses->clear();
    for (bsoup_status status : statuses)
      options.statuses->push_back(static_cast<Status>(status));
  }
  watch.guard.rethrow();
  return result;
}

} // namespace detail

/* bsoup_decode. */
inline Result<void> try_decode(Span<Session *const> sessions, const DecodeOptions &options = {}) {
  return detail::together(sessions, options, [](std::vector<bsoup_session *> &handles, bsoup_decode_options &how) {
    return bsoup_decode(handles.data(), handles.size(), &how);
  });
}

/* bsoup_generate_batch: `texts` gets one for each session, also on a failure; an empty one where it could not begin. */
inline Result<void> try_generate_batch(Span<Session *const> sessions, std::vector<Generation> &texts,
                                       const DecodeOptions &options = {}) {
  texts.clear();
  return detail::together(sessions, options, [&](std::vector<bsoup_session *> &handles, bsoup_decode_options &how) {
    std::vector<bsoup_generation *> made(handles.size());
    texts.reserve(handles.size());
    const bsoup_status status = bsoup_generate_batch(handles.data(), handles.size(), &how, made.data());
    for (std::size_t i = 0; i < made.size(); i++)
      texts.push_back(made[i] ? sessions[i]->text(made[i]) : Generation());
    for (const Session *session : sessions)
      if (session && session->handle_.kept.begun)
        session->handle_.kept.begun->rethrow();
    return status;
  });
}

inline Result<void> try_decode(Session &session, const DecodeOptions &options = {}) {
  Session *const one[] = {&session};
  return try_decode(Span<Session *const>(one, 1), options);
}

#if BONESOUP_EXCEPTIONS
inline void decode(Span<Session *const> sessions, const DecodeOptions &options = {}) {
  try_decode(sessions, options).value();
}
inline void decode(Session &session, const DecodeOptions &options = {}) { try_decode(session, options).value(); }
inline std::vector<Generation> generate_batch(Span<Session *const> sessions, const DecodeOptions &options = {}) {
  std::vector<Generation> texts;
  try_generate_batch(sessions, texts, options).value();
  return texts;
}
#endif

/* ---------------------------------------------------------------------------------------------------------------------
 * Exporting and inspecting files
 */

/* What making matrices low-rank has lost; a default-constructed one, as of an exact export, has no info. */
class Factoring {
public:
  Factoring() = default;

  Result<bsoup_factoring_info> try_info() const { return detail::info_of(bsoup_factoring_get_info, get()); }
  Result<bsoup_factored_tensor> try_tensor(uint32_t index) const {
    return detail::info_of(bsoup_factoring_tensor, get(), index);
  }
  bsoup_factoring *get() const noexcept { return handle_.get(); }

#if BONESOUP_EXCEPTIONS
  bsoup_factoring_info info() const { return try_info().value(); }
  bsoup_factored_tensor tensor(uint32_t index) const { return try_tensor(index).value(); }
#endif

private:
  friend class Blend;
  friend class Soup;
  explicit Factoring(bsoup_factoring *handle) noexcept : handle_(handle) {}
  detail::Handle<bsoup_factoring, bsoup_factoring_free> handle_;
};

/* How the backbones change the base, and how much they agree. */
class Comparison {
public:
  Comparison() = default;

  Result<bsoup_comparison_info> try_info() const { return detail::info_of(bsoup_comparison_get_info, get()); }
  Result<bsoup_compared_tensor> try_tensor(uint32_t index) const {
    return detail::info_of(bsoup_comparison_tensor, get(), index);
  }
  bsoup_comparison *get() const noexcept { return handle_.get(); }

#if BONESOUP_EXCEPTIONS
  bsoup_comparison_info info() const { return try_info().value(); }
  bsoup_compared_tensor tensor(uint32_t index) const { return try_tensor(index).value(); }
#endif

private:
  friend class Soup;
  explicit Comparison(bsoup_comparison *handle) noexcept : handle_(handle) {}
  detail::Handle<bsoup_comparison, bsoup_comparison_free> handle_;
};

namespace detail {

inline std::optional<Error> export_refusal(const std::string &path, const ExportOptions &options) {
  if (has_nul(path))
    return nul_error("the path");
  if (has_nul(options.base_name))
    return nul_error("the base's name");
  return std::nullopt;
}

/* `options` and `watch` outlive what is returned. */
inline bsoup_export_options export_options(const ExportOptions &options, Watch &watch) noexcept {
  bsoup_export_options how;
  bsoup_export_options_init(&how, sizeof how);
  how.kind = static_cast<uint32_t>(options.kind);
  how.format = static_cast<uint32_t>(options.format);
  how.rank = options.rank;
  how.shard_size = options.shard_size;
  how.base_name = options.base_name.empty() ? nullptr : options.base_name.c_str();
  how.skip_hashes = !options.hashes;
  how.cancel = handle_of(options.cancel);
  how.progress = watch.function();
  how.progress_context = &watch;
  return how;
}

} // namespace detail

/* ---------------------------------------------------------------------------------------------------------------------
 * Blends
 */

class Blend {
public:
  static constexpr uint32_t for_ever = UINT32_MAX;

  Blend() = default;

  Result<void> try_wait(uint32_t milliseconds = for_ever) const {
    Result<void> result = detail::result(bsoup_blend_wait(get(), milliseconds));
    if (handle_.kept.call && result.status() == Status::cancelled)
      handle_.kept.call->watch.guard.rethrow_each_time();
    return result;
  }

  Result<bsoup_blend_info> try_info() const { return detail::info_of(bsoup_blend_get_info, get()); }

  Result<std::vector<double>> try_preference() const {
    return values(bsoup_blend_preference, &bsoup_blend_info::objective_count);
  }
  Result<std::vector<double>> try_coefficients() const {
    return values(bsoup_blend_coefficients, &bsoup_blend_info::backbone_count);
  }

  Result<Generation> try_generate(std::string_view prompt, const GenerateOptions &options = {}) const {
    return Generation::make(bsoup_generate, get(), handle_.kept.keep, prompt, options);
  }

  Result<Session> try_session(const SessionOptions &options = {}) const {
    bsoup_session_options how = detail::session_options(options);
    bsoup_session *handle = nullptr;
    if (bsoup_status status = bsoup_session_create(get(), &how, &handle))
      return detail::last_error(status);
    return Session(handle, {handle_.kept.keep, nullptr});
  }

  Result<uint64_t> try_session_memory(const SessionOptions &options = {}) const {
    bsoup_session_options how = detail::session_options(options);
    uint64_t bytes = 0;
    if (bsoup_status status = bsoup_session_memory(get(), &how, &bytes))
      return detail::last_error(status);
    return bytes;
  }

  /* An exact export returns an empty Factoring. */
  Result<Factoring> try_export_to(const std::string &path, const ExportOptions &options = {}) const {
    if (std::optional<Error> refusal = detail::export_refusal(path, options))
      return std::move(*refusal);
    detail::Watch watch{options.progress, {}};
    const bsoup_export_options how = detail::export_options(options, watch);
    bsoup_factoring *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_blend_export(get(), path.c_str(), &how, &handle))
      error = detail::last_error(status);
    Factoring factoring(handle);
    watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return factoring;
  }

  bsoup_blend *get() const noexcept { return handle_.get(); }

#if BONESOUP_EXCEPTIONS
  void wait(uint32_t milliseconds = for_ever) const { try_wait(milliseconds).value(); }
  bsoup_blend_info info() const { return try_info().value(); }
  std::vector<double> preference() const { return try_preference().value(); }
  std::vector<double> coefficients() const { return try_coefficients().value(); }
  Generation generate(std::string_view prompt, const GenerateOptions &options = {}) const {
    return try_generate(prompt, options).value();
  }
  Session session(const SessionOptions &options = {}) const { return try_session(options).value(); }
  uint64_t session_memory(const SessionOptions &options = {}) const { return try_session_memory(options).value(); }
  Factoring export_to(const std::string &path, const ExportOptions &options = {}) const {
    return try_export_to(path, options).value();
  }
#endif

private:
  friend class Soup;
  struct Kept {
    std::shared_ptr<detail::Keep> keep;
    std::shared_ptr<detail::BlendCall> call; /* of a fold in the background */
  };
  Blend(bsoup_blend *handle, Kept kept) noexcept : handle_(handle, std::move(kept)) {}

  Result<std::vector<double>> values(bsoup_status (*ask)(bsoup_blend *, double *, uint32_t),
                                     uint32_t bsoup_blend_info::*count) const {
    Result<bsoup_blend_info> info = try_info();
    if (!info)
      return info.error();
    std::vector<double> values((*info).*count);
    if (bsoup_status status = ask(get(), values.data(), static_cast<uint32_t>(values.size())))
      return detail::last_error(status);
    return values;
  }

  detail::Handle<bsoup_blend, bsoup_blend_free, Kept> handle_;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Soups
 */

class Soup {
public:
  Soup() = default;

  static Result<Soup> try_open(const std::string &path, const OpenOptions &options = {}, const Engine &engine = {}) {
    detail::OpenCall call(options);
    if (std::optional<Error> refusal = call.refusal(path))
      return std::move(*refusal);
    auto keep = std::make_shared<detail::Keep>();
    if (engine.handle_.kept)
      keep->add(engine.handle_.kept);
    call.keep_owners(*keep);
    bsoup_soup *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_soup_open(engine.get(), path.c_str(), &call.options, &handle))
      error = detail::last_error(status);
    Soup soup(handle, std::move(keep));
    call.watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return soup;
  }

  /* Returns its number, as does try_add_objective. */
  Result<uint32_t> try_add_backbone(const std::string &path, const OpenOptions &options = {}) {
    detail::OpenCall call(options);
    if (std::optional<Error> refusal = call.refusal(path))
      return std::move(*refusal);
    if (handle_.kept)
      call.keep_owners(*handle_.kept);
    uint32_t index = 0;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_soup_add_backbone(get(), path.c_str(), &call.options, &index))
      error = detail::last_error(status);
    call.watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return index;
  }

  Result<uint32_t> try_add_objective(const ObjectiveOptions &options) {
    if (detail::has_nul(options.name) || detail::has_nul(options.label) || detail::has_nul(options.description))
      return detail::nul_error("an objective's name, label or description");
    bsoup_objective_options how;
    bsoup_objective_options_init(&how, sizeof how);
    how.name = options.name.c_str();
    how.label = options.label.empty() ? nullptr : options.label.c_str();
    how.description = options.description.empty() ? nullptr : options.description.c_str();
    how.has_default = options.default_weight.has_value();
    how.default_weight = options.default_weight.value_or(0);
    how.minimum = options.minimum;
    how.maximum = options.maximum;
    how.step = options.step;
    uint32_t index = 0;
    if (bsoup_status status = bsoup_soup_add_objective(get(), &how, &index))
      return detail::last_error(status);
    return index;
  }

  /* Row-major, `rows` backbones; the number of columns follows from the size. */
  Result<void> try_set_matrix(Span<const double> matrix, uint32_t rows) {
    if (rows == 0 || matrix.size() % rows != 0 || !detail::fits(matrix.size() / rows))
      return Error(Status::invalid_argument, std::to_string(matrix.size()) + " numbers are not a matrix of " +
                                                 std::to_string(rows) + " rows; give rows × columns");
    return detail::result(
        bsoup_soup_set_matrix(get(), matrix.data(), rows, static_cast<uint32_t>(matrix.size() / rows)));
  }
  Result<void> try_set_bone_matrix(double beta) { return detail::result(bsoup_soup_set_bone_matrix(get(), beta)); }
  Result<void> try_set_extrapolation(Span<const double> factors) {
    if (!detail::fits(factors.size()))
      return detail::too_many_error("factors");
    return detail::result(bsoup_soup_set_extrapolation(get(), factors.data(), static_cast<uint32_t>(factors.size())));
  }
  Result<void> try_set_guard(double max_abs_coefficient, OnViolation on_violation) {
    return detail::result(bsoup_soup_set_guard(get(), max_abs_coefficient, static_cast<uint32_t>(on_violation)));
  }

  /* Nothing is the plain sum. */
  Result<void> try_set_method(const std::optional<Method> &method) {
    if (!method)
      return detail::result(bsoup_soup_set_method(get(), nullptr));
    if (std::optional<Error> refusal = detail::method_refusal(*method))
      return std::move(*refusal);
    const detail::MethodCall call(*method);
    return detail::result(bsoup_soup_set_method(get(), &call.options));
  }

  Result<Blend> try_blend(const BlendOptions &options = {}) const {
    auto call = std::make_shared<detail::BlendCall>(options);
    if (std::optional<Error> refusal = call->refusal())
      return std::move(*refusal);
    bsoup_blend *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_blend_create(get(), &call->options, &handle))
      error = detail::last_error(status);
    Blend blend(handle, {handle_.kept, options.background ? call : nullptr});
    if (!options.background)
      call->watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return blend;
  }

  Result<uint64_t> try_blend_memory(const BlendOptions &options = {}) const {
    const auto call = std::make_shared<detail::BlendCall>(options);
    if (std::optional<Error> refusal = call->refusal())
      return std::move(*refusal);
    uint64_t bytes = 0;
    if (bsoup_status status = bsoup_blend_memory(get(), &call->options, &bytes))
      return detail::last_error(status);
    return bytes;
  }

  Result<Solution> try_solve(const BlendOptions &options = {}) const {
    const auto call = std::make_shared<detail::BlendCall>(options);
    if (std::optional<Error> refusal = call->refusal())
      return std::move(*refusal);
    Result<bsoup_soup_info> soup = try_info();
    if (!soup)
      return soup.error();
    Solution solution{std::vector<double>(soup->objective_count), std::vector<double>(soup->backbone_count), {}};
    solution.info.struct_size = sizeof solution.info;
    if (bsoup_status status = bsoup_soup_solve(get(), &call->options, solution.preference.data(),
                                               solution.coefficients.data(), &solution.info))
      return detail::last_error(status);
    solution.preference.resize(solution.info.objective_count);
    return solution;
  }

  Result<bsoup_soup_info> try_info() const { return detail::info_of(bsoup_soup_get_info, get()); }
  Result<bsoup_objective_info> try_objective(uint32_t index) const {
    return detail::info_of(bsoup_soup_objective, get(), index);
  }
  Result<bsoup_backbone_info> try_backbone(uint32_t index) const {
    return detail::info_of(bsoup_soup_backbone, get(), index);
  }

  /* Row-major, backbones × objectives. */
  Result<std::vector<double>> try_matrix() const {
    Result<bsoup_soup_info> info = try_info();
    if (!info)
      return info.error();
    std::vector<double> matrix(std::size_t(info->backbone_count) * info->objective_count);
    if (bsoup_status status = bsoup_soup_matrix(get(), matrix.data(), static_cast<uint32_t>(matrix.size())))
      return detail::last_error(status);
    return matrix;
  }

  Result<Preset> try_preset(uint32_t index) const {
    Result<bsoup_soup_info> info = try_info();
    if (!info)
      return info.error();
    const char *name = nullptr;
    std::vector<double> preference(info->objective_count);
    if (bsoup_status status =
            bsoup_soup_preset(get(), index, &name, preference.data(), static_cast<uint32_t>(preference.size())))
      return detail::last_error(status);
    return Preset{name, std::move(preference)};
  }

  /* Returns the changed preference. */
  Result<std::vector<double>> try_move_slider(std::vector<double> preference, uint32_t index, double value) const {
    if (!detail::fits(preference.size()))
      return detail::too_many_error("objectives");
    if (bsoup_status status =
            bsoup_soup_move_slider(get(), preference.data(), static_cast<uint32_t>(preference.size()), index, value))
      return detail::last_error(status);
    return preference;
  }

  Result<std::vector<int32_t>> try_tokenize(std::string_view text, uint32_t tokenize = BSOUP_TOKENIZE_SPECIAL,
                                            const Cancel *cancel = nullptr) const {
    return detail::filled<std::vector<int32_t>>(
        text.size() / 2 + 8, [&](int32_t *tokens, std::size_t capacity, std::size_t *count) {
          return bsoup_soup_tokenize(get(), text.data(), text.size(), tokenize, detail::handle_of(cancel), tokens,
                                     capacity, count);
        });
  }

  Result<std::string> try_detokenize(Span<const int32_t> tokens, uint32_t detokenize = 0) const {
    return detail::filled<std::string>(tokens.size() * 8 + 8, [&](char *text, std::size_t capacity, std::size_t *size) {
      return bsoup_soup_detokenize(get(), tokens.data(), tokens.size(), detokenize, text, capacity, size);
    });
  }

  Result<Token> try_token(int32_t token) const {
    uint32_t special = 0;
    Result<std::string> bytes =
        detail::filled<std::string>(64, [&](char *text, std::size_t capacity, std::size_t *size) {
          return bsoup_soup_token(get(), token, text, capacity, size, &special);
        });
    if (!bytes)
      return bytes.error();
    return Token{*std::move(bytes), special != 0};
  }

  Result<Span<const int32_t>> try_end_tokens() const {
    const int32_t *tokens = nullptr;
    std::size_t count = 0;
    if (bsoup_status status = bsoup_soup_end_tokens(get(), &tokens, &count))
      return detail::last_error(status);
    return Span<const int32_t>(tokens, count);
  }

  /* Of a blend that is not made. */
  Result<Factoring> try_export_to(const std::string &path, const BlendOptions &point,
                                  const ExportOptions &options = {}) const {
    const auto call = std::make_shared<detail::BlendCall>(point);
    if (std::optional<Error> refusal = call->refusal())
      return std::move(*refusal);
    if (std::optional<Error> refusal = detail::export_refusal(path, options))
      return std::move(*refusal);
    detail::Watch watch{options.progress, {}};
    const bsoup_export_options how = detail::export_options(options, watch);
    bsoup_factoring *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_soup_export(get(), &call->options, path.c_str(), &how, &handle))
      error = detail::last_error(status);
    Factoring factoring(handle);
    watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return factoring;
  }

  Result<uint64_t> try_export_size(const BlendOptions &point = {}, const ExportOptions &options = {}) const {
    const auto call = std::make_shared<detail::BlendCall>(point);
    if (std::optional<Error> refusal = call->refusal())
      return std::move(*refusal);
    if (std::optional<Error> refusal = detail::export_refusal({}, options))
      return std::move(*refusal);
    detail::Watch watch{nullptr, {}};
    const bsoup_export_options how = detail::export_options(options, watch);
    uint64_t bytes = 0;
    if (bsoup_status status = bsoup_soup_export_size(get(), &call->options, &how, &bytes))
      return detail::last_error(status);
    return bytes;
  }

  Result<Factoring> try_factor(uint32_t backbone, const std::string &path, const FactorOptions &options = {}) const {
    if (detail::has_nul(path))
      return detail::nul_error("the path");
    detail::Watch watch{options.progress, {}};
    bsoup_factor_options how;
    bsoup_factor_options_init(&how, sizeof how);
    how.rank = options.rank;
    how.max_error = options.max_error;
    how.format = static_cast<uint32_t>(options.format);
    how.vectors = static_cast<uint32_t>(options.vectors);
    how.cancel = detail::handle_of(options.cancel);
    how.progress = watch.function();
    how.progress_context = &watch;
    bsoup_factoring *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_backbone_factor(get(), backbone, path.c_str(), &how, &handle))
      error = detail::last_error(status);
    Factoring factoring(handle);
    watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return factoring;
  }

  Result<Comparison> try_compare(const CompareOptions &options = {}) const {
    detail::Watch watch{options.progress, {}};
    bsoup_compare_options how;
    bsoup_compare_options_init(&how, sizeof how);
    how.cancel = detail::handle_of(options.cancel);
    how.progress = watch.function();
    how.progress_context = &watch;
    bsoup_comparison *handle = nullptr;
    std::optional<Error> error;
    if (bsoup_status status = bsoup_soup_compare(get(), &how, &handle))
      error = detail::last_error(status);
    Comparison comparison(handle);
    watch.guard.rethrow();
    if (error)
      return std::move(*error);
    return comparison;
  }

  bsoup_soup *get() const noexcept { return handle_.get(); }

#if BONESOUP_EXCEPTIONS
  static Soup open(const std::string &path, const OpenOptions &options = {}, const Engine &engine = {}) {
    return try_open(path, options, engine).value();
  }
  uint32_t add_backbone(const std::string &path, const OpenOptions &options = {}) {
    return try_add_backbone(path, options).value();
  }
  uint32_t add_objective(const ObjectiveOptions &options) { return try_add_objective(options).value(); }
  void set_matrix(Span<const double> matrix, uint32_t rows) { try_set_matrix(matrix, rows).value(); }
  void set_bone_matrix(double beta) { try_set_bone_matrix(beta).value(); }
  void set_extrapolation(Span<const double> factors) { try_set_extrapolation(factors).value(); }
  void set_guard(double max_abs_coefficient, OnViolation on_violation) {
    try_set_guard(max_abs_coefficient, on_violation).value();
  }
  void set_method(const std::optional<Method> &method) { try_set_method(method).value(); }
  Blend blend(const BlendOptions &options = {}) const { return try_blend(options).value(); }
  uint64_t blend_memory(const BlendOptions &options = {}) const { return try_blend_memory(options).value(); }
  Solution solve(const BlendOptions &options = {}) const { return try_solve(options).value(); }
  bsoup_soup_info info() const { return try_info().value(); }
  bsoup_objective_info objective(uint32_t index) const { return try_objective(index).value(); }
  bsoup_backbone_info backbone(uint32_t index) const { return try_backbone(index).value(); }
  std::vector<double> matrix() const { return try_matrix().value(); }
  Preset preset(uint32_t index) const { return try_preset(index).value(); }
  std::vector<double> move_slider(std::vector<double> preference, uint32_t index, double value) const {
    return try_move_slider(std::move(preference), index, value).value();
  }
  std::vector<int32_t> tokenize(std::string_view text, uint32_t tokenize = BSOUP_TOKENIZE_SPECIAL,
                                const Cancel *cancel = nullptr) const {
    return try_tokenize(text, tokenize, cancel).value();
  }
  std::string detokenize(Span<const int32_t> tokens, uint32_t detokenize = 0) const {
    return try_detokenize(tokens, detokenize).value();
  }
  Token token(int32_t token) const { return try_token(token).value(); }
  Span<const int32_t> end_tokens() const { return try_end_tokens().value(); }
  Factoring export_to(const std::string &path, const BlendOptions &point, const ExportOptions &options = {}) const {
    return try_export_to(path, point, options).value();
  }
  uint64_t export_size(const BlendOptions &point = {}, const ExportOptions &options = {}) const {
    return try_export_size(point, options).value();
  }
  Factoring factor(uint32_t backbone, const std::string &path, const FactorOptions &options = {}) const {
    return try_factor(backbone, path, options).value();
  }
  Comparison compare(const CompareOptions &options = {}) const { return try_compare(options).value(); }
#endif

private:
  Soup(bsoup_soup *handle, std::shared_ptr<detail::Keep> keep) noexcept : handle_(handle, std::move(keep)) {}

  detail::Handle<bsoup_soup, bsoup_soup_free, std::shared_ptr<detail::Keep>> handle_;
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Merging files
 */

struct MergeOptions {
  std::string method = {}; /* with merge_block: what the card calls it */
  std::vector<std::string> models = {};
  std::string base = {}; /* empty: none */
  std::vector<Setting> settings = {};
  Format format = Format::default_;
  uint64_t seed = 0;
  uint64_t shard_size = 0;
  bool sync = true;
  bool hash_files = false;
  Callback<const bsoup_merge_block &> merge_block = nullptr; /* any thread, several at once */
  const Cancel *cancel = nullptr;
  Callback<const bsoup_merge_progress &> progress = nullptr;
  std::vector<bsoup_merge_layers> layers = {}; /* one for each model; empty: whole models */
};

namespace detail {

/* A merge's options as the C API takes them; `given` outlives it. */
struct MergeCall {
  const MergeOptions &given;
  std::vector<const char *> models;
  std::vector<bsoup_merge_parameter> parameters;
  Guard guard;
  bsoup_merge_options options;

  explicit MergeCall(const MergeOptions &wanted) : given(wanted), parameters(merge_parameters(wanted.settings)) {
    for (const std::string &path : given.models)
      models.push_back(path.c_str());
    bsoup_merge_options_init(&options, sizeof options);
    options.format = static_cast<uint32_t>(given.format);
    options.method = given.method.empty() ? nullptr : given.method.c_str();
    options.base = given.base.empty() ? nullptr : given.base.c_str();
    options.models = models.data();
    options.model_count = static_cast<uint32_t>(models.size());
    options.parameters = parameters.data();
    options.parameter_count = static_cast<uint32_t>(parameters.size());
    options.seed = given.seed;
    options.shard_size = given.shard_size;
    options.skip_sync = !given.sync;
    options.hash_files = given.hash_files;
    options.merge_block = given.merge_block ? block : nullptr;
    options.block_context = this;
    options.cancel = handle_of(given.cancel);
    options.progress = given.progress ? progress : nullptr;
    options.progress_context = this;
    options.layers = given.layers.empty() ? nullptr : given.layers.data();
  }
  MergeCall(const MergeCall &) = delete;

  std::optional<Error> refusal(const std::string &path) const {
    if (has_nul(path) || has_nul(given.base) || has_nul(given.method))
      return nul_error("a path, or the method's name,");
    for (const std::string &model : given.models)
      if (has_nul(model))
        return nul_error("a model's path");
    if (!fits(given.models.size()))
      return too_many_error("models");
    if (!given.layers.empty() && given.layers.size() != given.models.size())
      return Error(Status::mismatch, "layers has to have one entry for each model");
    return settings_refusal(given.settings);
  }

  static int32_t block(const bsoup_merge_block *block, void *context) noexcept {
    auto &self = *static_cast<MergeCall *>(context);
    return self.guard.run([&] { return self.given.merge_block(*block); });
  }
  static int32_t progress(const bsoup_merge_progress *progress, void *context) noexcept {
    auto &self = *static_cast<MergeCall *>(context);
    return self.guard.run([&] { return self.given.progress(*progress); });
  }
};

} // namespace detail

inline Result<void> try_merge_files(const std::string &path, const MergeOptions &options, const Engine &engine = {}) {
  detail::MergeCall call(options);
  if (std::optional<Error> refusal = call.refusal(path))
    return std::move(*refusal);
  std::optional<Error> error;
  if (bsoup_status status = bsoup_merge_files(engine.get(), path.c_str(), &call.options))
    error = detail::last_error(status);
  call.guard.rethrow();
  return error ? Result<void>(std::move(*error)) : Result<void>();
}

inline Result<bsoup_merge_info> try_merge_plan(const MergeOptions &options, const Engine &engine = {}) {
  detail::MergeCall call(options);
  if (std::optional<Error> refusal = call.refusal({}))
    return std::move(*refusal);
  bsoup_merge_info info = {};
  info.struct_size = sizeof info;
  if (bsoup_status status = bsoup_merge_plan(engine.get(), &call.options, &info))
    return detail::last_error(status);
  return info;
}

/* Every merge method. */
inline std::vector<bsoup_method_info> methods() {
  std::vector<bsoup_method_info> found;
  bsoup_method_info info = {};
  info.struct_size = sizeof info;
  while (bsoup_method_get_info(static_cast<uint32_t>(found.size()), &info) == BSOUP_OK) {
    found.push_back(info);
    info.struct_size = sizeof info;
  }
  return found;
}

#if BONESOUP_EXCEPTIONS
inline void merge_files(const std::string &path, const MergeOptions &options, const Engine &engine = {}) {
  try_merge_files(path, options, engine).value();
}
inline bsoup_merge_info merge_plan(const MergeOptions &options, const Engine &engine = {}) {
  return try_merge_plan(options, engine).value();
}
#endif

} // inline namespace
} // namespace bonesoup

#undef BONESOUP_EXCEPTIONS

#endif
