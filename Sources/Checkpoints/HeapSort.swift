import Platform

/// Sorts in place, in n·log n steps for every input, without memory: what a file of any size and order may be given to.
///
/// - Parameter precedes: a strict weak order.
func heapSort<Element: BitwiseCopyable>(
  _ elements: UnsafeMutableBufferPointer<Element>, monitor: Monitor, by precedes: (Element, Element) -> Bool
) throws(BoneSoupError) {
  func sink(_ start: Int, below end: Int) {
    let element = elements[start]
    var place = start
    while true {
      var child = 2 * place + 1
      guard child < end else { break }
      if child + 1 < end, precedes(elements[child], elements[child + 1]) { child += 1 }
      guard precedes(element, elements[child]) else { break }
      elements[place] = elements[child]
      place = child
    }
    elements[place] = element
  }
  for start in stride(from: elements.count / 2 - 1, through: 0, by: -1) {
    if start % 4096 == 0 { try monitor.check() }
    sink(start, below: elements.count)
  }
  for end in stride(from: elements.count - 1, to: 0, by: -1) {
    if end % 4096 == 0 { try monitor.check() }
    elements.swapAt(0, end)
    sink(0, below: end)
  }
}
