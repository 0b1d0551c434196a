#include "tests/cuda_emulator/warp.h"

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

namespace longship::cuda::emulator {

void resolve_shuffle(void* const* deposits, unsigned mask) {
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    auto* mine = static_cast<ShuffleDeposit*>(deposits[lane]);
    if ((mask >> mine->source & 1U) == 0) {
      fail(format("lane %d shuffles with mask 0x%08X and takes the value of lane %d, which the mask does not name",
                  lane, mask, mine->source));
    }
    mine->result = static_cast<const ShuffleDeposit*>(deposits[mine->source])->value;
  }
}

void resolve_vote(void* const* deposits, unsigned mask) {
  unsigned ballot = 0;
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    const int lane = std::countr_zero(rest);
    ballot |= static_cast<unsigned>(static_cast<const VoteDeposit*>(deposits[lane])->predicate) << lane;
  }
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) {
    static_cast<VoteDeposit*>(deposits[std::countr_zero(rest)])->result = ballot;
  }
}

}  // namespace longship::cuda::emulator
