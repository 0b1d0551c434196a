#pragma once

#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace longship {

/// The integers behind 32 columns of a block-quantised type (ggml block formats): value k is
/// scale[k / 16] x (quants[k] - quant_offset(type)) + minimum[k / 16], without a minimum where the type has none.
/// Products of scale and quants are exact in f32.
struct Quants {
  uint8_t quants[kQuantColumns];
  float scale[2];
  float minimum[2];
};

int quant_offset(DType dtype);
bool has_minimum(DType dtype);

/// Reads run `run` of 32 columns of one stored block.
using UnpackQuants = void (*)(const std::byte* block, int run, Quants& out);
UnpackQuants quant_unpacker(DType dtype);

/// Makes any bytes a block of plausible values: sets its f16 scale, and the f16 minimum of types that have one. MXFP4
/// takes the power of two below `scale`.
void set_scales(DType dtype, float scale, float minimum, std::byte* block);

}  // namespace longship
