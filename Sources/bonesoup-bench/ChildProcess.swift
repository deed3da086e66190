import Glibc

/// Another run of a program.
enum ChildProcess {
  /// What it writes to its standard output; a failure where its exit status is not 0.
  static func output(of program: String, _ arguments: [String]) throws(Failure) -> String {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw Failure(message: "no pipe to another process could be made") }
    defer { close(ends[0]) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
    posix_spawn_file_actions_addclose(&actions, ends[0])
    var strings: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
    strings.append(nil)
    var child = pid_t()
    let refusal = posix_spawn(&child, program, &actions, nil, strings, environ)
    for string in strings { free(string) }
    posix_spawn_file_actions_destroy(&actions)
    close(ends[1])
    guard refusal == 0 else {
      throw Failure(message: "\(program) could not be started: \(String(cString: strerror(refusal)))")
    }
    let text = readAll(ends[0])
    var status: Int32 = 0
    waitpid(child, &status, 0)
    guard status == 0 else { throw Failure(message: "the process that opens the model failed, as said above") }
    return text
  }

  private static func readAll(_ descriptor: Int32) -> String {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(descriptor, &block, block.count)
      guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
      bytes += block.prefix(count)
    }
  }
}
