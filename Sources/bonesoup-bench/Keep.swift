/// Makes a value matter, so that no compiler leaves out what made it.
@inline(never) func keep(_ value: UInt64) { _ = value }
