#pragma once

// Attention of many queries that share a key/value head on Hopper's matrix units (FlashAttention-3, arXiv 2407.08608).
// A warp brings keys and values of two pages at a time to shared memory, in the order that wgmma reads. Two warpgroups
// have 64 queries each. While one weighs its scores, the matrix units multiply for the other, and each has its next
// scores computed together with the values of the step before.

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

  /// Barriers of each stage: what was copied, and what both warpgroups have read.
  enum Barrier : uint8_t { kKeysCopied, kValuesCopied, kValuesReady, kKeysRead, kValuesRead, kBarriers };

  __device__ explicit WarpgroupMemory(SharedMemory& memory)
      : keys(memory.take<uint16_t>(kStages * kStep)),
        values(memory.take<uint16_t>(kStages * kStep)),
        queries(memory.take<uint16_t>(2 * kQueries)),
        barriers(memory.take<uint64_t>(kBarriers * kStages)) {}

  static constexpr std::size_t bytes() {
    return 2 * shared_bytes<uint16_t>(kStages * kStep) + shared_bytes<uint16_t>(2 * kQueries) +
           shared_bytes<uint64_t>(kBarriers * kStages);
  }

  __device__ __forceinline__ Shared<uint64_t> barrier(Barrier which, int stage) const {
    return barriers + (which * kStages + stage);
  }

  __device__ __forceinline__ void make_barriers() const {
    constexpr int kReaders = 2 * kWarpgroup / kWarp;
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < kStages; ++stage) {
        mbarrier_init(barrier(kKeysCopied, stage), 1);
        mbarrier_init(barrier(kValuesCopied, stage), 1);
        mbarrier_init(barrier(kValuesReady, stage), 1);
        mbarrier_init(barrier(kKeysRead, stage), kReaders);
        mbarrier_init(barrier(kValuesRead, stage), kReaders);
      }
      mbarrier_fence_init();
    }
    __syncthreads();
  }

  Shared<uint16_t> keys;     ///< [stages][pages][D][64 keys]
  Shared<uint16_t> values;   ///< [stages][pages][halves][64 keys][64]
  Shared<uint16_t> queries;  ///< [warpgroups][halves][64 queries][64]
  Shared<uint64_t> barriers;
};

/// What is the same for all threads of a block.
struct WarpgroupTask {
  const AttentionArguments& arguments;
  const KvView& kv;
  const AttentionTile& tile;

  __device__ __forceinline__ int steps() const {
    return (tile.end_chunk - tile.begin_chunk + kStepPages - 1) / kStepPages;
  }
  __device__ __forceinline__ int first_key(int step) const {
    return (tile.begin_chunk + step * kStepPages) * kChunkKeys;
  }
  /// Of the keys that query q sees: the last step may go on behind the segment.
  __device__ __forceinline__ int end_key(int q) const { return min(tile.end_key(q), tile.end_chunk * kChunkKeys); }
};

/// The warp that copies.
template <int D>
class AttentionCopier {
 public:
  using Memory = WarpgroupMemory<D>;

  __device__ AttentionCopier(const WarpgroupTask& task, const TensorMap& keys, const TensorMap& values,
                             const Memory& memory)
      : task_(task), keys_(keys), values_(values), memory_(memory) {
    const AttentionTile& tile = task.tile;
    first_seen_ = tile.begin_key(0, task.arguments.window);
    end_seen_ = task.end_key(tile.queries() - 1);
  }

  __device__ __forceinline__ void run() {
    for (int step = 0; step < task_.steps(); ++step) {
      int heads[kStepPages];
      find_pages(step, heads);
      if (step >= kStages) {
        mbarrier_wait(memory_.barrier(Memory::kKeysRead, step % kStages), (step / kStages - 1) & 1);
      }
      if (lane() == 0) {
        copy_keys(step % kStages, heads);
      }
      if (step >= kStages) {
        mbarrier_wait(memory_.barrier(Memory::kValuesRead, step % kStages), (step / kStages - 1) & 1);
      }
      const bool all_seen = task_.first_key(step) >= first_seen_ && task_.first_key(step) + kStepKeys <= end_seen_;
      if (lane() == 0) {
        copy_values(step % kStages, heads, all_seen ? Memory::kValuesReady : Memory::kValuesCopied);
      }
      if (!all_seen) {
        clear_unseen(step);
      }
    }
  }

 private:
  static __device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }

  // Of a step's second page there may be none: the last one comes again, unseen.
  __device__ __forceinline__ void find_pages(int step, int (&heads)[kStepPages]) const {
    const StepSlice slice = task_.arguments.step.slices[task_.tile.tile.slice];
#pragma unroll
    for (int page = 0; page < kStepPages; ++page) {
      const int chunk = min(task_.tile.begin_chunk + step * kStepPages + page, task_.tile.end_chunk - 1);
      heads[page] = task_.arguments.step.pages[slice.first_page + chunk] * task_.kv.heads + task_.tile.group.kv_head;
    }
  }

  __device__ __forceinline__ void copy_keys(int stage, const int (&heads)[kStepPages]) const {
    const Shared<uint64_t> barrier = memory_.barrier(Memory::kKeysCopied, stage);
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

  // Values of keys that no query sees need not be numbers: zeros, when they are there.
  __device__ __forceinline__ void clear_unseen(int step) {
    constexpr int kPieces = kRowElements / kEight;
    const int stage = step % kStages;
    mbarrier_wait(memory_.barrier(Memory::kValuesCopied, stage), (cleared_ >> stage) & 1);
    cleared_ ^= 1 << stage;
    const Shared<uint4> pieces = shared_cast<uint4>(memory_.values + stage * Memory::kStep);
    const int first = first_seen_ - task_.first_key(step);
    const int end = end_seen_ - task_.first_key(step);
    for (int i = lane(); i < Memory::kStep / kEight; i += kWarp) {
      const int row = i / kPieces;
      const int key = row / (Memory::kHalves * kChunkKeys) * kChunkKeys + row % kChunkKeys;
      if (key < first || key >= end) {
        pieces[i] = make_uint4(0, 0, 0, 0);
      }
    }
    fence_async_proxy();
    __syncwarp();
    if (lane() == 0) {
      mbarrier_arrive(memory_.barrier(Memory::kValuesReady, stage));
    }
  }

  const WarpgroupTask& task_;
  const TensorMap& keys_;
  const TensorMap& values_;
  const Memory& memory_;
  int first_seen_;  // keys [first, end) that any query sees
  int end_seen_;
  int cleared_ = 0;  // phases of kValuesCopied
};

/// A warpgroup that multiplies.
template <KvType kType, int D>
class AttentionWarpgroup {
 public:
  using Memory = WarpgroupMemory<D>;

  __device__ AttentionWarpgroup(const WarpgroupTask& task, const Memory& memory, int number)
      : task_(task), memory_(memory), number_(number) {
    const AttentionTile& tile = task.tile;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const bool there = query(half) < tile.queries();
      begin_key_[half] = there ? tile.begin_key(query(half), task.arguments.window) : 0;
      end_key_[half] = there ? task.end_key(query(half)) : 0;
    }
    all_see_begin_ = tile.begin_key(tile.queries() - 1, task.arguments.window);
    all_see_end_ = task.end_key(number * kWarpgroupRows);
  }

  __device__ __forceinline__ void run() {
    stage_queries();
    float scores[kScores];
    uint32_t weights[kStepKeys / 16][4];
    const int steps = task_.steps();
    start_turns();
    wait_for(Memory::kKeysCopied, 0);
    start_scores(0, scores);
    wgmma_wait<0>(scores);
    release(Memory::kKeysRead, 0);
    float shrink[2];
    weigh(0, scores, shrink);
    pack(scores, weights);
    for (int step = 1; step < steps; ++step) {
      wait_for(Memory::kKeysCopied, step);
      await_turn();
      start_scores(step, scores);
      wait_for(Memory::kValuesReady, step - 1);
      start_values(step - 1, weights);
      pass_turn(step + 1 < steps);
      wgmma_wait<1>(scores);
      release(Memory::kKeysRead, step);
      weigh(step, scores, shrink);
      wgmma_wait<0>(out_);
      release(Memory::kValuesRead, step - 1);
      scale_out(shrink);
      pack(scores, weights);
    }
    wait_for(Memory::kValuesReady, steps - 1);
    start_values(steps - 1, weights);
    wgmma_wait<0>(out_);
    finish();
  }

 private:
  using Operand = TensorOperand<kType>;
  static constexpr bool kBf16 = kType == KvType::kBF16;
  static constexpr int kScores = kStepKeys / 2;  // of a thread
  static constexpr int kOuts = D / 2;

  // A thread has queries query(0) and query(1), of each eight columns the two from column() on.
  static __device__ __forceinline__ int lane() {
    return static_cast<int>(threadIdx.x) % kWarp;
  }
  static __device__ __forceinline__ int column() {
    return static_cast<int>(threadIdx.x) % 4 * 2;
  }
  __device__ __forceinline__ int query(int half) const {
    const int thread = static_cast<int>(threadIdx.x) % kWarpgroup;
    return number_ * kWarpgroupRows + thread / kWarp * 16 + thread % kWarp / 4 + half * 8;
  }

  // Scaled, so that the scores are exponents of two.
  __device__ __forceinline__ void stage_queries() const {
    constexpr int kPieces = D / kEight;
    const Shared<uint4> to = shared_cast<uint4>(memory_.queries + number_ * Memory::kQueries);
#pragma unroll 4
    for (int i = static_cast<int>(threadIdx.x) % kWarpgroup; i < kWarpgroupRows * kPieces; i += kWarpgroup) {
      const int row = i / kPieces;
      const int piece = i % kPieces;
      float x[kEight] = {};
      load_query(number_ * kWarpgroupRows + row, piece * kEight, x);
      to[piece / 8 * (Memory::kBox / kEight) + row * 8 + ((piece % 8) ^ (row % 8))] = pack_eight<kType>(x);
    }
    fence_async_proxy();
    named_barrier_sync(kFirstOwnBarrier + number_, kWarpgroup);
  }

  __device__ __forceinline__ void load_query(int q, int i, float (&x)[kEight]) const {
    const AttentionTile& tile = task_.tile;
    const AttentionArguments& arguments = task_.arguments;
    const int head_dim = task_.kv.head_dim;
    if (q >= tile.queries() || i >= head_dim) {
      return;
    }
    const int row = tile.tile.row + q / tile.group.heads;
    const int head = tile.group.head + q % tile.group.heads;
    const float* from = arguments.query + row * arguments.query_stride + static_cast<int64_t>(head) * head_dim + i;
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
      x[j] *= arguments.scale * kLog2OfE;
    }
  }

  // The warpgroups start their products by turns, so that one weighs while the other's are computed.
  __device__ __forceinline__ void start_turns() const {
    if (number_ == 1) {
      named_barrier_arrive(kFirstTurnBarrier, 2 * kWarpgroup);
    }
  }
  __device__ __forceinline__ void await_turn() const {
    named_barrier_sync(kFirstTurnBarrier + number_, 2 * kWarpgroup);
  }
  __device__ __forceinline__ void pass_turn(bool another) const {
    if (number_ == 0 || another) {
      named_barrier_arrive(kFirstTurnBarrier + 1 - number_, 2 * kWarpgroup);
    }
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
    const MatrixDescriptor queries = matrix_descriptor(memory_.queries + number_ * Memory::kQueries, 0, kAtomBytes);
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

  __device__ __forceinline__ void start_values(int step, const uint32_t (&weights)[kStepKeys / 16][4]) {
    const MatrixDescriptor values =
        advance(matrix_descriptor(memory_.values, Memory::kBox * 2, kAtomBytes), step % kStages * Memory::kStepBytes);
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < kStepKeys / 16; ++k) {
      wgmma_m64k16<kBf16, D>(out_, weights[k], advance(values, k / 4 * Memory::kPage * 2 + k % 4 * 2 * kAtomBytes),
                             true);
    }
    wgmma_commit();
  }

  // Scores become weights 2^(score - maximum), what was summed before is to shrink.
  __device__ __forceinline__ void weigh(int step, float (&scores)[kScores], float (&shrink)[2]) {
    const int first_key = task_.first_key(step);
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

  __device__ __forceinline__ void finish() const {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = sum_[half];
      sum += __shfl_xor_sync(kFullMask, sum, 1);
      sum += __shfl_xor_sync(kFullMask, sum, 2);
      const int q = query(half);
      if (q < task_.tile.queries()) {
        if (task_.arguments.segments == 1) {
          write(task_.tile.out(task_.arguments, task_.kv.head_dim, q), half, 1.0F / sum);
        } else {
          write_partial(q, half, sum);
        }
      }
    }
  }

  __device__ __forceinline__ void write(float* to, int half, float scale) const {
#pragma unroll
    for (int tile = 0; tile < D / 8; ++tile) {
      const int i = tile * 8 + column();
      if (i < task_.kv.head_dim) {
        const float* two = out_ + 4 * tile + 2 * half;
        *reinterpret_cast<float2*>(to + i) = make_float2(two[0] * scale, two[1] * scale);
      }
    }
  }

  __device__ __forceinline__ void write_partial(int q, int half, float sum) const {
    float* partial = task_.tile.partial(task_.arguments, task_.kv.head_dim, q);
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

  const WarpgroupTask& task_;
  const Memory& memory_;
  int number_;
  int begin_key_[2];
  int end_key_[2];
  int all_see_begin_;  // keys [begin, end) that all queries of the warpgroup see
  int all_see_end_;
  float maximum_[2] = {-__builtin_inff(), -__builtin_inff()};
  float sum_[2] = {};  // of the thread's columns
  float out_[kOuts] = {};
};

template <KvType kType, int D>
__global__ void __launch_bounds__(kWarpgroupThreads, 1)
    warpgroup_attention_kernel(const AttentionArguments arguments, const KvView kv,
                               const __grid_constant__ TensorMap keys, const __grid_constant__ TensorMap values) {
  // What a thread of each kind needs; all are 65,536.
  constexpr int kCopierRegisters = 24;
  constexpr int kMultiplierRegisters = 240;
  // The last tiles of a slice see the most keys: they begin first.
  const int index = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const AttentionTile tile = attention_tile(arguments, tile_of_slices(arguments, index));
  if (tile.begin_chunk >= tile.end_chunk) {
    return;
  }
  SharedMemory shared;
  const WarpgroupMemory<D> memory(shared);
  memory.make_barriers();
  const WarpgroupTask task{arguments, kv, tile};
  const int warpgroup = static_cast<int>(threadIdx.x) / kWarpgroup;
  if (warpgroup == 0) {
    lower_registers<kCopierRegisters>();
    if (threadIdx.x < kWarp) {
      AttentionCopier<D>(task, keys, values, memory).run();
    }
  } else {
    raise_registers<kMultiplierRegisters>();
    AttentionWarpgroup<kType, D>(task, memory, warpgroup - 1).run();
  }
}

template <KvType kType, int D>
void launch_warpgroup_tiles(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream) {
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
  const LaunchShape shape{
      .grid = {static_cast<unsigned>(arguments.tile_count), static_cast<unsigned>(arguments.group_count),
               static_cast<unsigned>(arguments.segments)},
      .block = {kWarpgroupThreads},
      .shared_bytes = WarpgroupMemory<D>::bytes(),
      .stream = stream};
  launch(warpgroup_attention_kernel<kType, D>, "warpgroup_attention", shape, arguments, kv, keys, values);
}

template <KvType kType>
void launch_warpgroup_type(const AttentionArguments& arguments, const KvView& kv, StreamHandle stream) {
  if (kv.head_dim <= 64) {
    launch_warpgroup_tiles<kType, 64>(arguments, kv, stream);
  } else {
    launch_warpgroup_tiles<kType, 128>(arguments, kv, stream);
  }
}

}  // namespace longship::cuda
