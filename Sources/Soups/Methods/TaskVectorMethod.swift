import Platform

/// A method that is nothing but an arithmetic of task vectors.
protocol TaskVectorMethod: MergeMethod {
  var arithmetic: TaskVectorMerge { get }
}

extension TaskVectorMethod {
  func byteCount(_ shape: MergeShape) -> Int { arithmetic.byteCount(shape) }

  func merge(_ tensor: MergeTensor) throws(BoneSoupError) { try arithmetic.merge(tensor) }
}
