// What a CPU with AMX does in another way than one without; included once after the vector functions of AVX-512 and the
// functions of tiles. LONGSHIP_ISA_WITHOUT_TILES names the instruction set that does the rest.
#include "engine/backend/cpu/isa.h"
#include "engine/backend/cpu/math_inl.h"
//
#include "engine/backend/cpu/formats_inl.h"
#include "engine/backend/cpu/quantise_inl.h"
//
#include "engine/backend/cpu/linear_inl.h"
#include "engine/backend/cpu/narrow_pairs_inl.h"
//
#include "engine/backend/cpu/linear_tiles_inl.h"
//
#include "engine/backend/cpu/pair_tiles_inl.h"

namespace longship::LONGSHIP_CPU_NAMESPACE {

inline void linear(const cpu::LinearTask& task, const cpu::LinearPart& part, int64_t begin, int64_t end) {
  const auto without_tiles = [&] { cpu::LONGSHIP_ISA_WITHOUT_TILES().linear(task, part, begin, end); };
  if (!cpu::is_quantised(part.layout) || task.tokens < kManyTokens || tokens_with_room(task) == 0) {
    return without_tiles();
  }
  switch (part.layout) {
    case cpu::Layout::kByte:
      return run_tiles<BlockFormat<cpu::Layout::kByte>>(task, part, begin, end);
    case cpu::Layout::kNibble:
      return run_tiles<BlockFormat<cpu::Layout::kNibble>>(task, part, begin, end);
    case cpu::Layout::kNibbleMin:
      return run_tiles<BlockFormat<cpu::Layout::kNibbleMin>>(task, part, begin, end);
    case cpu::Layout::kNibbleFp4:
      return run_tiles<BlockFormat<cpu::Layout::kNibbleFp4>>(task, part, begin, end);
    case cpu::Layout::kFive:
      return run_tiles<BlockFormat<cpu::Layout::kFive>>(task, part, begin, end);
    case cpu::Layout::kFiveMin:
      return run_tiles<BlockFormat<cpu::Layout::kFiveMin>>(task, part, begin, end);
    case cpu::Layout::kSix:
      return run_tiles<BlockFormat<cpu::Layout::kSix>>(task, part, begin, end);
    default:
      return without_tiles();
  }
}

/// Full tiles on four independent sums, multiplied by `dot`; returns the operations, two for each of `products`.
template <class Dot>
inline int64_t multiply_tiles(int64_t rounds, int64_t products, const Dot& dot) {
  TileShapes shapes;
  for (int tile = 0; tile < kTiles; ++tile) {
    shapes.rows[tile] = 16;
    shapes.row_bytes[tile] = 64;
  }
  tile_configure(shapes);
  for (int64_t round = 0; round < rounds; ++round) {
    dot();
  }
  tile_release();
  return rounds * 4 * products * 2;
}

inline int64_t multiply_int8(int64_t rounds) {
  return multiply_tiles(rounds, 16 * cpu::kLanes * 64, [] {
    tile_dot<0, 6, 7>();
    tile_dot<1, 6, 7>();
    tile_dot<2, 6, 7>();
    tile_dot<3, 6, 7>();
  });
}

inline int64_t multiply_pairs(int64_t rounds) {
  return multiply_tiles(rounds, 16 * cpu::kLanes * 32, [] {
    tile_dot_bf16<0, 6, 7>();
    tile_dot_bf16<1, 6, 7>();
    tile_dot_bf16<2, 6, 7>();
    tile_dot_bf16<3, 6, 7>();
  });
}

inline cpu::Isa with_tiles(cpu::Isa isa, std::string_view name) {
  isa.name = name;
  isa.linear = linear;
  isa.multiply_int8 = multiply_int8;
  return isa;
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
//
#include "engine/backend/cpu/pair_table_inl.h"
