// All kernels of one instruction set; included once by each isa_*.cc after its vector functions.
#include "engine/backend/attention_merge.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/cpu/math_inl.h"
//
#include "engine/backend/cpu/formats_inl.h"
#include "engine/backend/cpu/pack_inl.h"
#include "engine/backend/cpu/quantise_inl.h"
//
#include "engine/backend/cpu/kv_inl.h"
#include "engine/backend/cpu/linear_inl.h"
#include "engine/backend/cpu/norm_inl.h"
//
#include "engine/backend/cpu/attention_inl.h"
#include "engine/backend/cpu/elementwise_inl.h"
#include "engine/backend/cpu/peak_inl.h"

namespace longship::LONGSHIP_CPU_NAMESPACE {

constexpr cpu::Isa make_isa(std::string_view name) {
  return {name,     pack_row_block, quantise,   linear,        attention,   merge_segments,
          to_f16,   add_row,        rms_norm,   add_rms_norm,  layer_norm,  rope,
          silu_mul, gelu_tanh,      read_bytes, multiply_int8, multiply_f32};
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
