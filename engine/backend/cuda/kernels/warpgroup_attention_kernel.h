#pragma once

// Attention of many queries that share a key/value head on Hopper's matrix units (FlashAttention-3, arXiv 2407.08608).
// Blocks stay and take one tile of queries after the other. A warp brings keys and values, two pages at a time, to
// shared memory in the order that wgmma reads, and others the next tile's queries. Two warpgroups have 64 queries each:
// while one weighs its scores, the matrix units multiply for the other, and each has its next scores computed together
// with the values of the step before.

#include "cuda/launch.h"
#include "engine/backend/cuda/kernels/attention_merge_inl.h"
#include "engine/backend/cuda/kernels/attention_tile.h"
#include "engine/backend/cuda/kernels/tensor_stage.h"
#include "engine/backend/cuda/kernels/warpgroup_attention.h"

namespace longship::cuda {

inline constexpr int kWarpgroup = 128;
/// Warpgroup 0 copies, the others multiply.
inline constexpr int kWarpgroupThreads = 3 * kWarpgroup;
inline constexpr int kWarpgroupRows = 64;  ///< Queries of a warpgroup.
/// Pages that are multiplied with at once, and their keys.
inline constexpr int kStepPages = 2;
inline constexpr int kStepKeys = kStepPages * kChunkKeys;
inline constexpr int kStages = 2;
/// Of warpgroup 0 the first copies keys and values, the others stage queries.
inline constexpr int kStagingWarps = 3;
/// Elements of a row of 128 bytes, and of eight such rows.
inline constexpr int kRowElements = 64;
inline constexpr int kAtomBytes = 1024;

/// Shared memory of a block for heads of up to D dimensions, all 16-bit elements by rows of 64, permuted as copy_box()
/// does.
template <int D>
struct WarpgroupMemory {
  static constexpr int kHalves = D / kRowElements;  ///< Rows of 64 dimensions stand in so many boxes.
  static constexpr int kBox = kRowElements * kRowElements;
  static constexpr int kPage = D * kChunkKeys;
  static constexpr int kStep = kStepPages * kPage;
  static constexpr int kStepBytes = kStep * 2;
  static constexpr int kQueries = kWarpgroupRows * D;

  /// Barriers of each stage: what is there, and what both warpgroups have read.
  enum Barrier : uint8_t {
    kKeysReady,
    kValuesCopied,
    kValuesReady,
    kQueriesReady,
    kKeysRead,
    kValuesRead,
    kQueriesRead,
    kBarriers
  };

  __device__ explicit WarpgroupMemory(SharedMemory& memory)
      : keys(memory.take<uint16_t>(kStages * kStep)),
        values(memory.take<uint16_t>(kStages * kStep)),
        queries(memory.take<uint16_t>(kStages * 2 * kQueries)),
        barriers(memory.take<uint64_t>(kBarriers * kStages)) {}

  static constexpr std::size_t bytes() {
    return 2 * shared_bytes<uint16_t>(kStages * kStep) + shared_bytes<uint16_t>(kStages * 2 * kQueries) +
           shared_bytes<uint64_t>(kBarriers * kStages);
  }

  __device__ __forceinline__ Shared<uint64_t> barrier(Barrier which, int stage) const {
    return barriers + (which * kStages + stage);
  }

  __device__ __forceinline__ void make_barriers() const {
    constexpr int kReaders = 2 * kWarpgroup / kWarp;
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        mbarrier_init(barrier(kKeysReady, stage), 1);
        mbarrier_init(barrier(kValuesCopied, stage), 1);
        mbarrier_init(barrier(kValuesReady, stage), 1);
        mbarrier_init(barrier(kQueriesReady, stage), kStagingWarps);
        mbarrier_init(barrier(kKeysRead, stage), kReaders);
        mbarrier_init(barrier(kValuesRead, stage), kReaders);
        mbarrier_init(barrier(kQueriesRead, stage), kReaders);
      }
      mbarrier_fence_init();
    }
    __syncthreads();
  }

  Shared<uint16_t> keys;     ///< [stages][pages][D][64 keys]
  Shared<uint16_t> values;   ///< [stages][pages][halves][64 keys][64]
  Shared<uint16_t> queries;  ///< [stages][warpgroups][halves][64 queries][64]
  Shared<uint64_t> barriers;
};

/// The tiles of a block one after the other, the same for all of its threads. Tiles of the last rows see the most keys:
/// they come first, and blocks that begin a round of tiles end the next, so that all get about as much to do.
class TileWalk {
 public:
  __device__ explicit TileWalk(const AttentionArguments& task) : task_(task) {}

  __device__ __forceinline__ bool next(AttentionTile& tile) {
    const auto blocks = static_cast<int>(gridDim.x);
    const auto block = static_cast<int>(blockIdx.x);
    do {
      const int item = round_ * blocks + (round_ % 2 == 0 ? block : blocks - 1 - block);
      ++round_;
      const int tiles = task_.tile_count * task_.segments;  // of a group
      if (item >= tiles * task_.group_count) {
        return false;
      }
      // Where each block has one tile, those beside each other read the same keys.
      const bool one_each = tiles * task_.group_count == blocks;
      const int group = one_each ? item / tiles : item % task_.group_count;
      const int left = one_each ? item % tiles : item / task_.group_count;
      const int segment = left % task_.segments;
      const RowTile rows = tile_of_slices(task_, task_.tile_count - 1 - left / task_.segments);
      tile = attention_tile(task_, rows, group, segment);
    } while (tile.begin_chunk >= tile.end_chunk);
    return true;
  }

 private:
  const AttentionArguments& task_;
  int round_ = 0;
};

/// The steps of a tile.
struct TileSteps {
  __device__ explicit TileSteps(const AttentionTile& tile) : begin_chunk(tile.begin_chunk), end_chunk(tile.end_chunk) {}

  __device__ __forceinline__ int count() const { return (end_chunk - begin_chunk + kStepPages - 1) / kStepPages; }
  __device__ __forceinline__ int first_key(int step) const { return (begin_chunk + step * kStepPages) * kChunkKeys; }
  /// Within the segment: the last step may go on behind it.
  __device__ __forceinline__ int end_key(int end_key) const { return min(end_key, end_chunk * kChunkKeys); }

  int begin_chunk;
  int end_chunk;
};

/// The warp that copies keys and values.
template <int D>
class AttentionCopier {
 public:
  using Memory = WarpgroupMemory<D>;

  __device__ AttentionCopier(const AttentionArguments& task, const KvView& kv, const TensorMap& keys,
                             const TensorMap& values, const Memory& memory)
      : task_(task), kv_(kv), keys_(keys), values_(values), memory_(memory) {}

  __device__ __forceinline__ void run() {
    TileWalk walk(task_);
    for (AttentionTile tile; walk.next(tile);) {
      const TileSteps steps(tile);
      first_seen_ = tile.begin_key(0, task_.window);
      end_seen_ = steps.end_key(tile.end_key(tile.queries() - 1));
      const int32_t* pages = task_.step.pages + task_.step.slices[tile.tile.slice].first_page;
      for (int step = 0; step < steps.count(); ++step) {
        copy_step(steps, step, pages, tile.group.kv_head);
      }
    }
  }

 private:
  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

  __device__ __forceinline__ void copy_step(const TileSteps& steps, int step, const int32_t* pages, int kv_head) {
    int heads[kStepPages];
#pragma unroll
    for (int page = 0; page < kStepPages; ++page) {
      // Of a step's second page there may be none: the last one comes again, unseen.
      const int chunk = min(steps.begin_chunk + step * kStepPages + page, steps.end_chunk - 1);
      heads[page] = pages[chunk] * kv_.heads + kv_head;
    }
    const int stage = copied_ % kStages;
    const int round = copied_ / kStages;
    ++copied_;
    if (round > 0) {
      mbarrier_wait(memory_.barrier(Memory::kKeysRead, stage), (round - 1) % 2);
    }
    if (lane() == 0) {
      copy_keys(stage, heads);
    }
    if (round > 0) {
      mbarrier_wait(memory_.barrier(Memory::kValuesRead, stage), (round - 1) % 2);
    }
    const int first_key = steps.first_key(step);
    const bool all_seen = first_key >= first_seen_ && first_key + kStepKeys <= end_seen_;
    if (lane() == 0) {
      copy_values(stage, heads, all_seen ? Memory::kValuesReady : Memory::kValuesCopied);
    }
    if (!all_seen) {
      clear_unseen(stage, first_seen_ - first_key, end_seen_ - first_key);
    }
  }

  __device__ __forceinline__ void copy_keys(int stage, const int (&heads)[kStepPages]) const {
    const Shared<uint64_t> barrier = memory_.barrier(Memory::kKeysReady, stage);
    mbarrier_arrive_expect(barrier, Memory::kStepBytes);
#pragma unroll
    for (int page = 0; page < kStepPages; ++page) {
      copy_box(memory_.keys + (stage * Memory::kStep + page * Memory::kPage), keys_, 0, 0, heads[page], barrier);
    }
  }

  __device__ __forceinline__ void copy_values(int stage, const int (&heads)[kStepPages],
                                              typename Memory::Barrier which) const {
    const Shared<uint64_t> barrier = memory_.barrier(which, stage);
    mbarrier_arrive_expect(barrier, Memory::kStepBytes);
#pragma unroll
    for (int page = 0; page < kStepPages; ++page) {
#pragma unroll
      for (int half = 0; half < Memory::kHalves; ++half) {
        copy_box(memory_.values + (stage * Memory::kStep + page * Memory::kPage + half * Memory::kBox), values_,
                 half * kRowElements, 0, heads[page], barrier);
      }
    }
  }

  // Values of keys outside of [first, end) of the step, which no query sees, need not be numbers: they become zeros.
  __device__ __forceinline__ void clear_unseen(int stage, int first, int end) {
    mbarrier_wait(memory_.barrier(Memory::kValuesCopied, stage), (cleared_ >> stage) & 1);
    cleared_ ^= 1 << stage;
    clear(stage, 0, first);
    clear(stage, end < 0 ? 0 : end, kStepKeys);
    fence_async_proxy();
    __syncwarp();
    if (lane() == 0) {
      mbarrier_arrive(memory_.barrier(Memory::kValuesReady, stage));
    }
  }

  __device__ __forceinline__ void clear(int stage, int first, int end) const {
    constexpr int kPieces = kRowElements / kEight;
    const Shared<uint4> pieces = shared_cast<uint4>(memory_.values + stage * Memory::kStep);
#pragma unroll 4
    for (int i = first * Memory::kHalves * kPieces + lane(); i < end * Memory::kHalves * kPieces; i += kWarp) {
      const int key = i / (Memory::kHalves * kPieces);
      const int half = i / kPieces % Memory::kHalves;
      pieces[key / kChunkKeys * (Memory::kPage / kEight) + half * (Memory::kBox / kEight) + key % kChunkKeys * kPieces +
             i % kPieces] = make_uint4(0, 0, 0, 0);
    }
  }

  const AttentionArguments& task_;
  const KvView& kv_;
  const TensorMap& keys_;
  const TensorMap& values_;
  const Memory& memory_;
  int copied_ = 0;      // steps
  int first_seen_ = 0;  // keys [first, end) that any query of the tile sees
  int end_seen_ = 0;
  int cleared_ = 0;  // phases of kValuesCopied
};

/// Brings queries to shared memory, scaled, so that scores are exponents of two. The first tile's are brought by the
/// warpgroups that need them, those of later ones by the staging warps.
template <KvType kType, int D>
class QueryStager {
 public:
  using Memory = WarpgroupMemory<D>;

  __device__ QueryStager(const AttentionArguments& task, const KvView& kv, const Memory& memory)
      : task_(task), kv_(kv), memory_(memory) {}

  /// Of the block's tile number `tile`.
  static __device__ __forceinline__ int stage_of(int tile) { return (tile + 1) % kStages; }

  /// By the staging warps.
  __device__ __forceinline__ void run() {
    const int thread = static_cast<int>(threadIdx.x) - kWarp;
    TileWalk walk(task_);
    int number = 0;
    for (AttentionTile tile; walk.next(tile); ++number) {
      if (number == 0) {
        continue;
      }
      if (number >= kStages) {
        mbarrier_wait(memory_.barrier(Memory::kQueriesRead, stage_of(number)), (number - kStages) / kStages % 2);
      }
      stage<2>(tile, stage_of(number), 0, 2 * kWarpgroupRows, thread, kStagingWarps * kWarp);
      fence_async_proxy();
      __syncwarp();
      if (thread % kWarp == 0) {
        mbarrier_arrive(memory_.barrier(Memory::kQueriesReady, stage_of(number)));
      }
    }
  }

  /// Queries [first, first + count) of a tile, by `threads` threads.
  template <int kUnroll>
  __device__ __forceinline__ void stage(const AttentionTile& tile, int stage, int first, int count, int thread,
                                        int threads) const {
    constexpr int kPieces = D / kEight;
    const Shared<uint4> to = shared_cast<uint4>(memory_.queries + stage * 2 * Memory::kQueries);
#pragma unroll kUnroll
    for (int i = thread; i < count * kPieces; i += threads) {
      const int q = first + i / kPieces;
      const int piece = i % kPieces;
      const int row = q % kWarpgroupRows;
      float x[kEight] = {};
      load(tile, q, piece * kEight, x);
      to[q / kWarpgroupRows * (Memory::kQueries / kEight) + piece / 8 * (Memory::kBox / kEight) + row * 8 +
         ((piece % 8) ^ (row % 8))] = pack_eight<kType>(x);
    }
  }

 private:
  __device__ __forceinline__ void load(const AttentionTile& tile, int q, int i, float (&x)[kEight]) const {
    if (q >= tile.queries() || i >= kv_.head_dim) {
      return;
    }
    const int row = tile.tile.row + q / tile.group.heads;
    const int head = tile.group.head + q % tile.group.heads;
    const float* from = task_.query + row * task_.query_stride + static_cast<int64_t>(head) * kv_.head_dim + i;
    if ((reinterpret_cast<uintptr_t>(from) & 15) == 0) {
      const float4 low = reinterpret_cast<const float4*>(from)[0];
      const float4 high = reinterpret_cast<const float4*>(from)[1];
      x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
      x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
    } else {
#pragma unroll
      for (int j = 0; j < kEight; ++j) {
        x[j] = from[j];
      }
    }
#pragma unroll
    for (int j = 0; j < kEight; ++j) {
      x[j] *= task_.scale * kLog2OfE;
    }
  }

  const AttentionArguments& task_;
  const KvView& kv_;
  const Memory& memory_;
};

/// A warpgroup that multiplies.
template <KvType kType, int D>
class AttentionWarpgroup {
 public:
  using Memory = WarpgroupMemory<D>;

  __device__ AttentionWarpgroup(const AttentionArguments& task, const KvView& kv, const Memory& memory, int number)
      : task_(task), kv_(kv), memory_(memory), number_(number) {}

  __device__ __forceinline__ void run() {
    if (number_ == 1) {
      pass_turn();
    }
    TileWalk walk(task_);
    for (AttentionTile tile; walk.next(tile); ++tiles_) {
      prepare(tile);
      attend(TileSteps(tile));
      finish(tile);
    }
  }

 private:
  using Operand = TensorOperand<kType>;
  using Stager = QueryStager<kType, D>;
  static constexpr bool kBf16 = kType == KvType::kBF16;
  static constexpr int kScores = kStepKeys / 2;  // of a thread
  static constexpr int kOuts = D / 2;

  // A thread has queries query(0) and query(1), of each eight columns the two from column() on.
  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
  static __device__ __forceinline__ int column() { return static_cast<int>(threadIdx.x) % 4 * 2; }
  __device__ __forceinline__ int query(int half) const {
    const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
    return number_ * kWarpgroupRows + thread / kWarp * 16 + thread % kWarp / 4 + half * 8;
  }

  __device__ __forceinline__ void prepare(const AttentionTile& tile) {
    if (tiles_ == 0) {
      const int first = number_ * kWarpgroupRows;
      Stager(task_, kv_, memory_)
          .template stage<8>(tile, Stager::stage_of(0), first, kWarpgroupRows,
                             static_cast<int>(threadIdx.x) % kWarpgroup, kWarpgroup);
      fence_async_proxy();
      named_barrier_sync(kFirstOwnBarrier + number_, kWarpgroup);
    } else {
      mbarrier_wait(memory_.barrier(Memory::kQueriesReady, Stager::stage_of(tiles_)), (tiles_ - 1) / kStages % 2);
    }
    const TileSteps steps(tile);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool there = query(half) < tile.queries();
      begin_key_[half] = there ? tile.begin_key(query(half), task_.window) : 0;
      end_key_[half] = there ? steps.end_key(tile.end_key(query(half))) : 0;
      maximum_[half] = -__builtin_inff();
      sum_[half] = 0.0F;
    }
    all_see_begin_ = tile.begin_key(tile.queries() - 1, task_.window);
    all_see_end_ = steps.end_key(tile.end_key(number_ * kWarpgroupRows));
  }

  // Steps are numbered on from tile to tile where it is about stages.
  __device__ __forceinline__ void attend(const TileSteps& steps) {
    float scores[kScores];
    float shrink[2];
    uint32_t weights[kStepKeys / 16][4];
    const int count = steps.count();
    wait_for(Memory::kKeysReady, done_);
    start_scores(done_, scores);
    wgmma_wait<0>(scores);
    release(Memory::kKeysRead, done_);
    weigh(steps.first_key(0), scores, shrink);
    pack(scores, weights);
    for (int step = 1; step < count; ++step) {
      ++done_;
      wait_for(Memory::kKeysReady, done_);
      await_turn();
      start_scores(done_, scores);
      wait_for(Memory::kValuesReady, done_ - 1);
      start_values(done_ - 1, weights, step == 1);
      pass_turn();
      wgmma_wait<1>(scores);
      release(Memory::kKeysRead, done_);
      weigh(steps.first_key(step), scores, shrink);
      wgmma_wait<0>(out_);
      release(Memory::kValuesRead, done_ - 1);
      scale_out(shrink);
      pack(scores, weights);
    }
    release(Memory::kQueriesRead, Stager::stage_of(tiles_));
    wait_for(Memory::kValuesReady, done_);
    start_values(done_, weights, count == 1);
    wgmma_wait<0>(out_);
    release(Memory::kValuesRead, done_);
    ++done_;
  }

  // The warpgroups start their products by turns, so that one weighs while the other's are computed.
  __device__ __forceinline__ void await_turn() const {
    named_barrier_sync(kFirstTurnBarrier + number_, 2 * kWarpgroup);
  }
  __device__ __forceinline__ void pass_turn() const {
    named_barrier_arrive(kFirstTurnBarrier + 1 - number_, 2 * kWarpgroup);
  }

  __device__ __forceinline__ void wait_for(typename Memory::Barrier which, int step) const {
    mbarrier_wait(memory_.barrier(which, step % kStages), step / kStages % 2);
  }
  __device__ __forceinline__ void release(typename Memory::Barrier which, int step) const {
    if (lane() == 0) {
      mbarrier_arrive(memory_.barrier(which, step % kStages));
    }
  }

  __device__ __forceinline__ void start_scores(int step, float (&scores)[kScores]) const {
    const MatrixDescriptor queries = advance(matrix_descriptor(memory_.queries, 0, kAtomBytes),
                                             (Stager::stage_of(tiles_) * 2 + number_) * Memory::kQueries * 2);
    const MatrixDescriptor keys =
        advance(matrix_descriptor(memory_.keys, Memory::kPage * 2, kAtomBytes), step % kStages * Memory::kStepBytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      wgmma_m64k16<kBf16, kStepKeys>(scores, advance(queries, k / 4 * Memory::kBox * 2 + k % 4 * 32),
                                     advance(keys, k * 2 * kAtomBytes), k != 0);
    }
    wgmma_commit();
  }

  __device__ __forceinline__ void start_values(int step, const uint32_t (&weights)[kStepKeys / 16][4], bool first) {
    const MatrixDescriptor values =
        advance(matrix_descriptor(memory_.values, Memory::kBox * 2, kAtomBytes), step % kStages * Memory::kStepBytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kStepKeys / 16; ++k) {
      wgmma_m64k16<kBf16, D>(out_, weights[k], advance(values, k / 4 * Memory::kPage * 2 + k % 4 * 2 * kAtomBytes),
                             k != 0 || !first);
    }
    wgmma_commit();
  }

  // Scores become weights 2^(score - maximum), what was summed before is to shrink.
  __device__ __forceinline__ void weigh(int first_key, float (&scores)[kScores], float (&shrink)[2]) {
    if (first_key < all_see_begin_ || first_key + kStepKeys > all_see_end_) {
      hide_unseen(first_key, scores);
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float most[2] = {maximum_[half], -__builtin_inff()};
#pragma unroll
      for (int i = 2 * half; i < kScores; i += 4) {
        most[0] = fmaxf(most[0], scores[i]);
        most[1] = fmaxf(most[1], scores[i + 1]);
      }
      float maximum = fmaxf(most[0], most[1]);
      maximum = fmaxf(maximum, __shfl_xor_sync(kFullMask, maximum, 1));
      maximum = fmaxf(maximum, __shfl_xor_sync(kFullMask, maximum, 2));
      const float shift = maximum == -__builtin_inff() ? 0.0F : maximum;  // no key yet
      shrink[half] = exp2_approximate(maximum_[half] - shift);
      maximum_[half] = maximum;
      float sum[2] = {};
#pragma unroll
      for (int i = 2 * half; i < kScores; i += 4) {
        scores[i] = exp2_approximate(scores[i] - shift);
        scores[i + 1] = exp2_approximate(scores[i + 1] - shift);
        sum[0] += scores[i];
        sum[1] += scores[i + 1];
      }
      sum_[half] = fmaf(sum_[half], shrink[half], sum[0] + sum[1]);
    }
  }

  __device__ __forceinline__ void hide_unseen(int first_key, float (&scores)[kScores]) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int begin = begin_key_[half] - first_key - column();
      const int end = end_key_[half] - first_key - column();
#pragma unroll
      for (int i = 2 * half; i < kScores; i += 4) {
#pragma unroll
        for (int next = 0; next < 2; ++next) {
          const int key = i / 4 * 8 + next;
          if (key < begin || key >= end) {
            scores[i + next] = -__builtin_inff();
          }
        }
      }
    }
  }

  __device__ __forceinline__ void scale_out(const float (&shrink)[2]) {
#pragma unroll
    for (int i = 0; i < kOuts; ++i) {
      out_[i] *= shrink[i / 2 % 2];
    }
  }

  // The weights as they lie in the lanes are left operands.
  static __device__ __forceinline__ void pack(const float (&scores)[kScores], uint32_t (&weights)[kStepKeys / 16][4]) {
#pragma unroll
    for (int k = 0; k < kStepKeys / 16; ++k) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        weights[k][i] = Operand::pack(scores[8 * k + 2 * i], scores[8 * k + 2 * i + 1]);
      }
    }
  }

  __device__ __forceinline__ void finish(const AttentionTile& tile) const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = sum_[half];
      sum += __shfl_xor_sync(kFullMask, sum, 1);
      sum += __shfl_xor_sync(kFullMask, sum, 2);
      const int q = query(half);
      if (q < tile.queries()) {
        if (task_.segments == 1) {
          write(tile.out(task_, kv_.head_dim, q), half, 1.0F / sum);
        } else {
          write_partial(tile.partial(task_, kv_.head_dim, q), half, sum);
        }
      }
    }
  }

  __device__ __forceinline__ void write(float* to, int half, float scale) const {
#pragma unroll
    for (int tile = 0; tile < D / 8; ++tile) {
      const int i = tile * 8 + column();
      if (i < kv_.head_dim) {
        const int at = 4 * tile + 2 * half;
        *reinterpret_cast<float2*>(to + i) = make_float2(out_[at] * scale, out_[at + 1] * scale);
      }
    }
  }

  __device__ __forceinline__ void write_partial(float* partial, int half, float sum) const {
    write(partial + kPartialHead, half, 1.0F);
    if (column() == 0) {
      const bool any = maximum_[half] != -__builtin_inff();
      partial[0] = maximum_[half] * kLn2;
      partial[1] = any ? sum : kNoSum;
    }
  }

  // Numbers of named barriers; 0 is __syncthreads().
  static constexpr int kFirstTurnBarrier = 1;
  static constexpr int kFirstOwnBarrier = 3;

  const AttentionArguments& task_;
  const KvView& kv_;
  const Memory& memory_;
  int number_;
  int tiles_ = 0;  // before this one
  int done_ = 0;   // steps
  int begin_key_[2];
  int end_key_[2];
  int all_see_begin_;  // keys [begin, end) that all queries of the warpgroup see
  int all_see_end_;
  float maximum_[2];
  float sum_[2];  // of the thread's columns
  float out_[kOuts];
};

template <KvType kType, int D>
__global__ void __launch_bounds__(kWarpgroupThreads, 1)
    warpgroup_attention_kernel(const AttentionArguments task, const KvView kv, const __grid_constant__ TensorMap keys,
                               const __grid_constant__ TensorMap values) {
  // What a thread of each kind needs; three warpgroups may have 504.
  constexpr int kCopierRegisters = 40;
  constexpr int kMultiplierRegisters = 232;
  let_next_kernel_begin();
  SharedMemory shared;
  const WarpgroupMemory<D> memory(shared);
  memory.make_barriers();
  wait_for_kernels_before();
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup;
  if (warpgroup == 0) {
    lower_registers<kCopierRegisters>();
    if (threadIdx.x < kWarp) {
      AttentionCopier<D>(task, kv, keys, values, memory).run();
    } else {
      QueryStager<kType, D>(task, kv, memory).run();
    }
  } else {
    raise_registers<kMultiplierRegisters>();
    AttentionWarpgroup<kType, D>(task, kv, memory, warpgroup - 1).run();
  }
}

template <KvType kType, int D>
void launch_warpgroup_tiles(const AttentionArguments& arguments, const KvView& kv, int multiprocessors,
                            StreamHandle stream) {
  constexpr uint64_t kEveryPage = uint64_t{1} << 31;  // the tables of pages name those that are there
  const auto head_dim = static_cast<uint64_t>(kv.head_dim);
  const auto page_bytes = static_cast<uint64_t>(kv.page_bytes);
  TensorMap keys;
  TensorMap values;
  check(api().encode_tensor_map(&keys, kv.keys, {{kChunkKeys, head_dim, kEveryPage}, {kChunkKeys * 2, page_bytes}, D}),
        "describe keys");
  check(api().encode_tensor_map(&values, kv.values,
                                {{head_dim, kChunkKeys, kEveryPage}, {head_dim * 2, page_bytes}, kChunkKeys}),
        "describe values");
  const int tiles = arguments.tile_count * arguments.group_count * arguments.segments;
  const LaunchShape shape{.grid = {static_cast<unsigned>(tiles < multiprocessors ? tiles : multiprocessors)},
                          .block = {kWarpgroupThreads},
                          .shared_bytes = WarpgroupMemory<D>::bytes(),
                          .stream = stream,
                          .overlaps = true};
  launch(warpgroup_attention_kernel<kType, D>, "warpgroup_attention", shape, arguments, kv, keys, values);
}

template <KvType kType>
void launch_warpgroup_type(const AttentionArguments& arguments, const KvView& kv, int multiprocessors,
                           StreamHandle stream) {
  if (kv.head_dim <= 64) {
    launch_warpgroup_tiles<kType, 64>(arguments, kv, multiprocessors, stream);
  } else {
    launch_warpgroup_tiles<kType, 128>(arguments, kv, multiprocessors, stream);
  }
}

}  // namespace longship::cuda
