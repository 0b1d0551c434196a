#include "engine/backend/cuda/linear_programs.h"

#include <algorithm>

#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship::cuda {

namespace {

// A group without columns has one empty run, whose sum is zero.
void add_group(const GroupStep& step, std::vector<LinearRun>& runs) {
  const std::size_t first = runs.size();
  for (int64_t begin = step.begin; begin < step.end || runs.size() == first; begin += kRunColumns) {
    runs.push_back({.begin = static_cast<int32_t>(begin),
                    .end = static_cast<int32_t>(std::min(step.end, begin + kRunColumns)),
                    .begins_group = runs.size() == first});
  }
  runs.back().merges = static_cast<int16_t>(step.merges);
  runs.back().ends_node = step.ends_node;
}

std::vector<Range> columns_of_nodes(std::span<const GroupStep> steps) {
  std::vector<Range> nodes;
  bool begins = true;
  for (const GroupStep& step : steps) {
    if (begins) {
      nodes.push_back({step.begin, step.end});
    }
    nodes.back().end = step.end;
    begins = step.ends_node;
  }
  return nodes;
}

}  // namespace

const LinearPrograms::Program& LinearPrograms::get(std::span<const GroupStep> steps, Staging& staging,
                                                   StreamHandle stream) {
  for (auto known = programs_.begin(); known != programs_.end(); ++known) {
    if (std::equal(steps.begin(), steps.end(), known->steps.begin(), known->steps.end())) {
      programs_.splice(programs_.begin(), programs_, known);
      return programs_.front();
    }
  }
  Program& made = programs_.emplace_front();
  made.steps.assign(steps.begin(), steps.end());
  made.nodes = columns_of_nodes(steps);
  std::vector<LinearRun> runs;
  int count = 0;
  for (const GroupStep& step : steps) {
    add_group(step, runs);
    made.depth = std::max(made.depth, ++count);
    count -= step.merges + (step.ends_node ? 1 : 0);
  }
  made.run_count = static_cast<int>(runs.size());
  made.memory = allocate_device(runs.size() * sizeof(LinearRun));
  staging.copy(runs.data(), made.memory.get(), runs.size() * sizeof(LinearRun), stream);
  wait(stream);  // other streams will read it
  return made;
}

}  // namespace longship::cuda
