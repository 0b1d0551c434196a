#include "engine/backend/cuda/attention_plan.h"

#include <algorithm>
#include <bit>

#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship::cuda {

namespace {

// Blocks for each multiprocessor from which it has enough to do while some wait for memory.
constexpr int kBlocksPerMultiprocessor = 4;
// Values of a block's partial results: queries times dimensions, whatever the width of heads.
constexpr int64_t kPartialValues = kMaxQueries * (128 + kPartialHead);

// As few groups of at most `most` heads as there can be, of about the same size, among those that read the same
// key/value head.
std::vector<HeadGroup> group_heads(std::span<const int32_t> kv_head, int most) {
  std::vector<HeadGroup> groups;
  for (std::size_t first = 0; first < kv_head.size();) {
    std::size_t end = first;
    while (end < kv_head.size() && kv_head[end] == kv_head[first]) {
      ++end;
    }
    const auto heads = static_cast<int>(end - first);
    const int parts = (heads + most - 1) / most;
    for (int part = 0; part < parts; ++part) {
      const int begin = heads * part / parts;
      groups.push_back({static_cast<int32_t>(first) + begin, heads * (part + 1) / parts - begin, kv_head[first]});
    }
    first = end;
  }
  return groups;
}

// As many segments as take the least time where all sequences have `chunks` chunks of keys: rounds of blocks, each of
// the chunks of a segment and of what comes before and after them.
int64_t best_segments(int64_t chunks, int64_t most, int64_t sequences, int64_t at_once) {
  constexpr int64_t kAround = 1;
  int64_t best = 1;
  int64_t least = INT64_MAX;
  for (int64_t segments = 1; segments <= std::min(most, chunks); ++segments) {
    const int64_t rounds = (sequences * segments + at_once - 1) / at_once;
    const int64_t time = rounds * ((chunks + segments - 1) / segments + kAround);
    if (time < least) {
      least = time;
      best = segments;
    }
  }
  return best;
}

}  // namespace

int64_t AttentionPlans::partial_bytes(int multiprocessors) {
  // divide() wants fewer segments than would be twice the blocks that it looks for, and one more of each sequence.
  return int64_t{3} * kBlocksPerMultiprocessor * multiprocessors * kPartialValues * static_cast<int64_t>(sizeof(float));
}

const AttentionPlans::Layer& AttentionPlans::layer(const std::vector<int32_t>& kv_head, int most, Staging& staging,
                                                   StreamHandle stream) {
  for (const Layer& known : layers_) {
    if (known.most == most && known.kv_head == kv_head) {
      return known;
    }
  }
  const std::vector<HeadGroup> groups = group_heads(kv_head, most);
  const std::size_t bytes = groups.size() * sizeof(HeadGroup);
  Layer& made = layers_.emplace_back(
      Layer{.kv_head = kv_head, .most = most, .group_count = static_cast<int>(groups.size()), .groups = nullptr});
  for (const HeadGroup& group : groups) {
    made.heads = std::max(made.heads, group.heads);
  }
  made.groups = allocate_device(bytes);
  staging.copy(groups.data(), made.groups.get(), bytes, stream);
  wait(stream);  // other streams will read it
  return made;
}

void AttentionPlans::divide_rows(const StepTables& step, Slices which, const LongTiles& tiles, const Layer& layer,
                                 int head_dim, AttentionArguments& arguments) {
  arguments.rows = step.rows(which);
  arguments.row_tiles = step.tiles(1, which);
  if (which == Slices::kLong) {
    arguments.slices = step.long_slices();
    arguments.tile_rows = tiles.queries / layer.heads;
    arguments.tile_count = step.long_tile_count(arguments.tile_rows);
    return;
  }
  const auto most_rows = static_cast<unsigned>(max_queries(head_dim) / layer.heads);
  arguments.tile_rows = step.one_row_each(which) ? 1 : static_cast<int>(std::bit_floor(most_rows));
  arguments.tiles = step.tiles(arguments.tile_rows, which);
  arguments.tile_count = step.tile_count(arguments.tile_rows, which);
  arguments.queries = static_cast<int>(std::bit_ceil(static_cast<unsigned>(arguments.tile_rows * layer.heads)));
}

void AttentionPlans::divide(const StepTables& step, Slices which, const LongTiles& tiles,
                            const std::vector<int32_t>& kv_head, int head_dim, int multiprocessors, Staging& staging,
                            StreamHandle stream, AttentionArguments& arguments) {
  const int most = which == Slices::kLong ? kTensorHeads : max_queries(head_dim);
  const Layer& found = layer(kv_head, most, staging, stream);
  divide_rows(step, which, tiles, found, head_dim, arguments);
  arguments.step = step.view();
  arguments.groups = static_cast<const HeadGroup*>(found.groups.get());
  arguments.group_count = found.group_count;
  arguments.levels = std::bit_width(static_cast<uint64_t>(step.chunks(which)));
  LONGSHIP_CHECK(arguments.levels <= kMergeLevels, "a context longer than the merge's levels");

  const int64_t blocks = int64_t{arguments.tile_count} * arguments.group_count;
  const int enough = which == Slices::kLong ? tiles.blocks_per_multiprocessor : kBlocksPerMultiprocessor;
  const int64_t wanted = std::max<int64_t>(1, int64_t{enough} * multiprocessors / blocks);
  const int64_t bytes =
      arguments.rows * arguments.heads * (head_dim + kPartialHead) * static_cast<int64_t>(sizeof(float));
  const int64_t most_segments = std::min(wanted, partial_bytes(multiprocessors) / bytes);
  arguments.segment_level = which == Slices::kLong ? tiles.segment_level : 0;
  const auto segments = [&] { return ((step.chunks(which) - 1) >> arguments.segment_level) + 1; };
  while (segments() > std::max<int64_t>(1, most_segments)) {
    ++arguments.segment_level;
  }
  arguments.segments = static_cast<int>(segments());
}

void AttentionPlans::divide_evenly(const StepTables& step, Slices which, const std::vector<int32_t>& kv_head,
                                   int head_dim, int multiprocessors, int blocks, Staging& staging, StreamHandle stream,
                                   AttentionArguments& arguments) {
  const Layer& found = layer(kv_head, kDecodeQueries, staging, stream);
  arguments.rows = step.rows(which);
  const auto most_rows = static_cast<unsigned>(std::min(kDecodeQueries / found.heads, kMaxQueries));
  arguments.tile_rows = step.one_row_each(which) ? 1 : static_cast<int>(std::bit_floor(most_rows));
  arguments.tiles = step.tiles(arguments.tile_rows, which);
  arguments.tile_count = step.tile_count(arguments.tile_rows, which);
  arguments.step = step.view();
  arguments.groups = static_cast<const HeadGroup*>(found.groups.get());
  arguments.group_count = found.group_count;
  const int64_t sequences = int64_t{arguments.tile_count} * arguments.group_count;
  const int64_t bytes =
      arguments.rows * arguments.heads * (head_dim + kPartialHead) * static_cast<int64_t>(sizeof(float));
  const int64_t most = sequences > kArrivals ? 1 : partial_bytes(multiprocessors) / bytes;
  arguments.segments = static_cast<int>(best_segments(step.chunks(which), most, sequences, blocks));
}

}  // namespace longship::cuda
