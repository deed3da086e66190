import CIntrinsics

/// Rounds the key of one position, 0 ... 63 in its block, into its panel.
func storeKey(
  _ key: UnsafePointer<Float>, _ format: UInt8, _ headDim: Int, _ slot: Int, _ panel: UnsafeMutableRawPointer
) {
  switch format {
  case CacheCode.f32:
    var i = 0
    while i < headDim {
      (panel + 256 &* i + 4 &* slot).storeBytes(of: key[i], as: Float.self)
      i &+= 1
    }
  case CacheCode.f16, CacheCode.bf16:
    withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 16) { rounded in
      guard let rounded = rounded.baseAddress else { return }
      var i = 0
      while i < headDim {
        let rest = min(headDim &- i, 16)
        let x = bsk_load_f32_partial(key + i, rest)
        bsk_store_u16(rounded, format == CacheCode.f16 ? bsk_to_f16(x) : bsk_to_bf16(x))
        if format == CacheCode.f16 {
          scatter(rounded, as: UInt16.self, rest, panel + 128 &* i + 2 &* slot, 128)
        } else {
          // An odd last one has a zero beside it.
          scatter(rounded, as: UInt32.self, (rest &+ 1) >> 1, panel + 128 &* i + 4 &* slot, 256)
        }
        i &+= 16
      }
    }
  case CacheCode.q8_0:
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 4) { bytes in
      guard let bytes = bytes.baseAddress else { return }
      var i = 0
      while i &+ 32 <= headDim {
        let group = QuantisedGroup(key + i)
        bsk_store_u8(bytes, bsk_offset_bytes(group.first))
        bsk_store_u8(bytes + 2, bsk_offset_bytes(group.second))
        scatter(bytes, as: UInt32.self, 8, panel + 64 &* i + 4 &* slot, 256)
        storeScale(group.scale, i, slot, panel + 64 &* headDim)
        i &+= 32
      }
    }
  default: return
  }
}

/// Rounds the value of one position, 0 ... 63 in its block, into its panel.
func storeValue(
  _ value: UnsafePointer<Float>, _ format: UInt8, _ headDim: Int, _ slot: Int, _ panel: UnsafeMutableRawPointer
) {
  switch format {
  case CacheCode.f32: narrow(value, FormatCode.f32, headDim, panel + 4 &* headDim &* slot)
  case CacheCode.f16: narrow(value, FormatCode.f16, headDim, panel + 2 &* headDim &* slot)
  case CacheCode.bf16:
    withUnsafeTemporaryAllocation(of: UInt16.self, capacity: 16) { rounded in
      guard let rounded = rounded.baseAddress else { return }
      let row = panel + 4 &* headDim &* (slot >> 1) + 2 &* (slot & 1)
      var i = 0
      while i < headDim {
        let rest = min(headDim &- i, 16)
        bsk_store_u16(rounded, bsk_to_bf16(bsk_load_f32_partial(value + i, rest)))
        scatter(rounded, as: UInt16.self, rest, row + 4 &* i, 4)
        i &+= 16
      }
    }
  case CacheCode.q8_0:
    withUnsafeTemporaryAllocation(of: UInt64.self, capacity: 4) { bytes in
      guard let bytes = bytes.baseAddress else { return }
      let row = panel + 4 &* headDim &* (slot >> 2) + slot & 3
      var i = 0
      while i &+ 32 <= headDim {
        let group = QuantisedGroup(value + i)
        bsk_store_u8(bytes, group.first)
        bsk_store_u8(bytes + 2, group.second)
        scatter(bytes, as: UInt8.self, 32, row + 4 &* i, 4)
        storeScale(group.scale, i, slot, panel + 64 &* headDim)
        i &+= 32
      }
    }
  default: return
  }
}

/// target[i · stride bytes] = source[i].
@inline(__always)
private func scatter<Element: BitwiseCopyable>(
  _ source: UnsafeRawPointer, as type: Element.Type, _ count: Int, _ target: UnsafeMutableRawPointer, _ stride: Int
) {
  var i = 0
  while i < count {
    let element = source.loadUnaligned(fromByteOffset: i &* MemoryLayout<Element>.size, as: type)
    (target + i &* stride).storeBytes(of: element, as: type)
    i &+= 1
  }
}

@inline(__always)
private func storeScale(_ scale: Float, _ element: Int, _ slot: Int, _ scales: UnsafeMutableRawPointer) {
  bsk_store_u16_partial(scales + 4 &* element + 2 &* slot, bsk_to_f16(bsk_splat(scale)), 1)
}
