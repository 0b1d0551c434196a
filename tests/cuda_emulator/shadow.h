#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace longship::cuda::emulator {

/// Which accesses of a warp's lanes are ordered by __syncwarp. Each synchronisation takes the next serial number; an
/// access carries the number of the last one that its lane took part in, and precedes what another lane does after a
/// synchronisation with a larger number of which that lane knows.
class WarpClock {
 public:
  /// Number that accesses of a lane carry now.
  uint32_t stamp(int lane) const { return own_[lane] > full_ ? own_[lane] : full_; }
  /// Whether `lane` comes after an access of `other` that carries `stamp`.
  bool ordered(int lane, int other, uint32_t stamp) const { return full_ > stamp || seen_[lane][other] > stamp; }
  void synchronise(unsigned mask);

 private:
  uint32_t serial_ = 0;
  uint32_t full_ = 0;  ///< The last synchronisation of all 32 lanes.
  std::array<uint32_t, 32> own_ = {};
  std::array<std::array<uint32_t, 32>, 32> seen_ = {};
};

/// Who reads or writes shared memory, and when. Epochs count the barriers that blocks have passed and never fall, so
/// that what earlier blocks left is known by its epoch.
struct Accessor {
  uint32_t first_epoch = 0;  ///< Of the running block.
  uint32_t epoch = 0;
  uint32_t stamp = 0;     ///< clock->stamp(lane())
  uint32_t lane_bit = 0;  ///< 1 << lane()
  uint16_t thread = 0;    ///< Number in the block.
  uint16_t warp = 0;
  const WarpClock* clock = nullptr;

  int lane() const { return thread & 31; }
};

/// What goes wrong with an access.
enum class Hazard : uint8_t { kNone, kNeverWritten, kStillCopied, kReadAfterWrite, kWriteAfterWrite, kWriteAfterRead };

/// The last write to some bytes of shared memory and the reads since.
class ShadowCell {
 public:
  enum class Write : uint8_t { kPlain, kAtomic, kAsyncCopy, kEndOfAsyncCopy, kBulkCopy };

  /// Whether read() has nothing to check and nothing to note; the quick way of most reads.
  bool knows_read(const Accessor& who) const {
    if (read_epoch_ != who.epoch) {
      return false;
    }
    return reader_warp_ == kManyWarps
               ? write_epoch_ != who.epoch && kind_ != Write::kAsyncCopy
               : reader_warp_ == who.warp && read_stamp_ == who.stamp && (readers_ & who.lane_bit) != 0;
  }
  Hazard read(const Accessor& who);
  Hazard write(const Accessor& who, Write kind);
  /// By units beside the threads, whose order is that of barriers in shared memory and not checked: the beginning and
  /// the end of a copy, and reads.
  void begin_bulk_copy(const Accessor& who);
  void end_bulk_copy();
  Hazard read_by_unit(const Accessor& who);

  /// The other thread of a hazard.
  int writer() const { return writer_; }
  /// A thread that read and is not `who`; -1 if those are of several warps.
  int reader(const Accessor& who) const;

 private:
  static constexpr uint16_t kManyWarps = 0xFFFF;

  bool follows_write(const Accessor& who) const;
  bool follows_reads(const Accessor& who) const;

  uint32_t write_epoch_ = 0;
  uint32_t write_stamp_ = 0;
  uint32_t read_epoch_ = 0;
  uint32_t read_stamp_ = 0;
  uint32_t readers_ = 0;  ///< Lanes of reader_warp_.
  uint16_t writer_ = 0;
  uint16_t reader_warp_ = 0;
  Write kind_ = Write::kPlain;
};

}  // namespace longship::cuda::emulator
