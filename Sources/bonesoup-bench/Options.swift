/// What the command line asks for.
struct Options {
  /// What can be measured by itself.
  enum Work: String, CaseIterable { case limits, prefill, decode, batch, live, fold, open, kernels }

  var path = ""
  var weights: StorageFormat?
  var kv: StorageFormat?
  /// 0: one per CPU.
  var threads = 0
  /// Tokens of the prompt; 0 leaves its rows out, as with the following ones.
  var prefill = 512
  /// Whether that was asked for; else a model for shorter texts gets a shorter prompt.
  var isPrefillGiven = false
  var decode = 64
  var batch = 16
  /// How many of the soup's adapters get coefficients; nil: all.
  var adapters: Int?
  var repetitions = 5
  /// MiB that bandwidth is measured over.
  var buffer = 1024
  var measuresLimits = true
  var folds = false
  var opens = false
  var kernels = false
  var json = false
  /// The one thing to measure; nil: all that the other options ask for.
  var only: Work?
  /// Set in the process that `--open` starts: open, compute, tell the times, end.
  var isOpenedOnce = false

  static let usage = """
    Usage: bonesoup-bench MODEL|SOUP [options]

    Measures a model folder or a soup on this machine. Each row stands beside its limit (bytes over bandwidth, or operations
    over peak, both measured in the same run) and the share of it that was reached.

      --weights F       run-time format of the weights: \(StorageFormat.names) (the file's own)
      --kv F            format of the KV cache (f32 with f32 weights, else f16)
      --threads N       threads (one per CPU)
      --prefill N       tokens of the prompt (512, or what the model has room for)
      --decode N        tokens decoded one by one, from nothing and after the prompt (64)
      --batch N         sessions decoding together, with one blend and with a preference each (16)
      --adapters N      how many of the soup's adapters are live (all): against the base alone, in alternation
      --fold            fold the soup's backbones into the run-time format
      --open            open in a new process: time to the first token, and memory
      --kernels         the matrix kernels by themselves, in the model's shapes
      --only WORK       one of limits, prefill, decode, batch, live, fold, open, kernels, and nothing else
      --repetitions N   how often each row is measured (5); the median is told, and the quartiles in JSON
      --buffer MIB      memory that bandwidth is measured over (1024); far more than the last-level cache
      --no-limits       leave the limits out, which saves two seconds
      --json            one JSON object instead of a table
      --help            this text

    A count of 0 leaves its rows out. BONESOUP_ISA=avx2 or baseline measures a lower instruction-set level.
    """
}
