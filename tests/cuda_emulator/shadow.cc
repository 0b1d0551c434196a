#include "tests/cuda_emulator/shadow.h"

#include <algorithm>
#include <bit>

namespace longship::cuda::emulator {

void WarpClock::synchronise(unsigned mask) {
  ++serial_;
  if (mask == 0xFFFFFFFFU) {
    full_ = serial_;
    return;
  }
  std::array<uint32_t, 32> joined = {};
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) != 0) {
      for (int other = 0; other < 32; ++other) {
        joined[other] = std::max(joined[other], seen_[lane][other]);
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) != 0) {
      joined[lane] = serial_;
      own_[lane] = serial_;
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) != 0) {
      seen_[lane] = joined;
    }
  }
}

bool ShadowCell::follows_write(const Accessor& who) const {
  return write_epoch_ != who.epoch || writer_ == who.thread || kind_ == Write::kBulkCopy ||
         (writer_ >> 5 == who.warp && who.clock->ordered(who.lane(), writer_ & 31, write_stamp_));
}

bool ShadowCell::follows_reads(const Accessor& who) const {
  if (read_epoch_ != who.epoch) {
    return true;
  }
  if (reader_warp_ != who.warp) {
    return false;
  }
  for (uint32_t others = readers_ & ~who.lane_bit; others != 0; others &= others - 1) {
    if (!who.clock->ordered(who.lane(), std::countr_zero(others), read_stamp_)) {
      return false;
    }
  }
  return true;
}

Hazard ShadowCell::read(const Accessor& who) {
  if (knows_read(who)) {
    return Hazard::kNone;
  }
  if (write_epoch_ < who.first_epoch) {
    return Hazard::kNeverWritten;
  }
  if (kind_ == Write::kAsyncCopy) {
    return Hazard::kStillCopied;
  }
  if (!follows_write(who)) {
    return Hazard::kReadAfterWrite;
  }
  if (read_epoch_ != who.epoch) {
    read_epoch_ = who.epoch;
    reader_warp_ = who.warp;
    read_stamp_ = who.stamp;
    readers_ = who.lane_bit;
  } else if (reader_warp_ == kManyWarps) {
    // Only a barrier orders these reads, so who reads no longer matters.
  } else if (reader_warp_ != who.warp) {
    reader_warp_ = kManyWarps;
  } else if (read_stamp_ == who.stamp) {
    readers_ |= who.lane_bit;
  } else if (read_stamp_ < who.stamp) {
    read_stamp_ = who.stamp;
    readers_ = who.lane_bit;
  }
  return Hazard::kNone;
}

Hazard ShadowCell::write(const Accessor& who, Write kind) {
  const bool written = write_epoch_ >= who.first_epoch;
  if (written && kind_ == Write::kAsyncCopy && kind != Write::kEndOfAsyncCopy) {
    return Hazard::kStillCopied;
  }
  if (written && !(kind == Write::kAtomic && kind_ == Write::kAtomic) && !follows_write(who)) {
    return Hazard::kWriteAfterWrite;
  }
  if (!follows_reads(who)) {
    return Hazard::kWriteAfterRead;
  }
  read_epoch_ = 0;
  write_epoch_ = who.epoch;
  write_stamp_ = who.stamp;
  writer_ = who.thread;
  kind_ = kind;
  return Hazard::kNone;
}

void ShadowCell::begin_bulk_copy(const Accessor& who) {
  write_epoch_ = who.epoch;
  writer_ = who.thread;
  kind_ = Write::kAsyncCopy;
  read_epoch_ = 0;
}

void ShadowCell::end_bulk_copy() {
  kind_ = Write::kBulkCopy;
}

Hazard ShadowCell::read_by_unit(const Accessor& who) {
  if (write_epoch_ < who.first_epoch) {
    return Hazard::kNeverWritten;
  }
  if (kind_ == Write::kAsyncCopy) {
    return Hazard::kStillCopied;
  }
  kind_ = Write::kBulkCopy;  // what came after the write is ordered by barriers that are not checked
  return Hazard::kNone;
}

int ShadowCell::reader(const Accessor& who) const {
  if (reader_warp_ == kManyWarps) {
    return -1;
  }
  const uint32_t others = reader_warp_ == who.warp ? readers_ & ~who.lane_bit : readers_;
  return reader_warp_ * 32 + std::countr_zero(others);
}

}  // namespace longship::cuda::emulator
