// All kernels of one instruction set; included once by each isa_*.cc after its vector functions.
#include "engine/backend/attention_merge.h"
#include "engine/backend/cpu/isa.h"
#include "engine/backend/cpu/math_inl.h"
//
#include "engine/backend/cpu/formats_inl.h"
//
#include "engine/backend/cpu/pack_inl.h"
#include "engine/backend/cpu/quantise_inl.h"
//
#include "engine/backend/cpu/pairs_fma_inl.h"
//
#include "engine/backend/cpu/kv_inl.h"
#include "engine/backend/cpu/norm_inl.h"
//
#include "engine/backend/cpu/linear_inl.h"
//
#include "engine/backend/cpu/pair_format_inl.h"
//
#include "engine/backend/cpu/attention_chunk_inl.h"
//
#include "engine/backend/cpu/attention_integers_inl.h"
//
#include "engine/backend/cpu/attention_inl.h"
#include "engine/backend/cpu/elementwise_inl.h"
#include "engine/backend/cpu/peak_inl.h"

namespace longship::LONGSHIP_CPU_NAMESPACE {

inline void linear(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  switch (part.layout) {
    case cpu::Layout::kF32:
      return run_rows<PlainFormat<cpu::Layout::kF32>>(task, part, begin, end);
    case cpu::Layout::kF16:
      return run_rows<PlainFormat<cpu::Layout::kF16>>(task, part, begin, end);
    case cpu::Layout::kBF16:
      return run_rows<PlainFormat<cpu::Layout::kBF16>>(task, part, begin, end);
    case cpu::Layout::kBF16Pairs:
      return linear_pairs(task, part, begin, end);
    case cpu::Layout::kByte:
      return run_rows<BlockFormat<cpu::Layout::kByte>>(task, part, begin, end);
    case cpu::Layout::kNibble:
      return run_rows<BlockFormat<cpu::Layout::kNibble>>(task, part, begin, end);
    case cpu::Layout::kNibbleMin:
      return run_rows<BlockFormat<cpu::Layout::kNibbleMin>>(task, part, begin, end);
    case cpu::Layout::kNibbleFp4:
      return run_rows<BlockFormat<cpu::Layout::kNibbleFp4>>(task, part, begin, end);
    case cpu::Layout::kFive:
      return run_rows<BlockFormat<cpu::Layout::kFive>>(task, part, begin, end);
    case cpu::Layout::kFiveMin:
      return run_rows<BlockFormat<cpu::Layout::kFiveMin>>(task, part, begin, end);
    case cpu::Layout::kSix:
      return run_rows<BlockFormat<cpu::Layout::kSix>>(task, part, begin, end);
  }
}

constexpr cpu::Isa make_isa(std::string_view name) {
  return {name,      pack_row_block, quantise,  round_to_pairs, kPairBytes,    linear,       linear_pairs,
          attention, merge_segments, to_f16,    add_row,        rms_norm,      add_rms_norm, layer_norm,
          rope,      silu_mul,       gelu_tanh, read_bytes,     multiply_int8, multiply_f32, multiply_pairs};
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
