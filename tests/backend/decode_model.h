#pragma once

#include <memory>
#include <string>
#include <vector>

#include "comm/cuda/device_group.h"
#include "comm/transport.h"
#include "engine/backend/cuda/cuda_kernels.h"
#include "engine/model/checkpoint.h"
#include "engine/model/stage.h"
#include "engine/models/families.h"
#include "tests/support/data_path.h"

namespace longship::testing {

/// Rows of one sequence in a step: `rows` tokens behind those that it has.
struct Rows {
  int sequence = 0;
  int64_t rows = 1;
  int32_t adapter = 0;  ///< As plans have it.
};

/// A small model on the first device, to which a test gives steps. The tokens of a sequence are a function of its
/// number and their positions; its pages lie anywhere.
class DecodeModel {
 public:
  explicit DecodeModel(const std::string& name, bool graphs)
      : DecodeModel(name, make_cuda_kernels({.name = "cuda", .deterministic = true, .graphs = graphs}, 0)) {}
  DecodeModel(const std::string& name, std::shared_ptr<Kernels> kernels)
      : DecodeModel(name, std::move(kernels), nullptr, DeviceWire::kAuto) {}
  /// A rank of those of `transport`, which share the layers of so many stages; null: alone. Adapters outlive it.
  DecodeModel(const std::string& name, std::shared_ptr<Kernels> kernels, Transport* transport, DeviceWire wire,
              int stages = 1, std::span<const Adapter> adapters = {})
      : kernels_(std::move(kernels)),
        checkpoint_(open_checkpoint(data_path(name))),
        mesh_(1, stages, 1, transport == nullptr ? 1 : transport->size() / stages),
        me_(mesh_.coord(transport == nullptr ? 0 : transport->rank())),
        stage_(checkpoint_.config, family_of(checkpoint_.config), *checkpoint_.weights, *kernels_, mesh_, me_,
               {.step = {.rows = 160, .logit_rows = 12}, .kv_pages = kPages, .kv_dtype = DType::kF16}, adapters),
        tp_(make_group(transport, wire, me_.pp, me_.tp)),
        pp_(make_group(transport, wire, me_.tp, me_.pp)) {
    stage_.allocate();
    stage_.load([](int64_t) {});
    for (int32_t i = 0; i < kPages; ++i) {
      free_.push_back(i * 7 % kPages);
    }
  }

  const ModelConfig& config() const { return checkpoint_.config; }
  Kernels& kernels() { return *kernels_; }
  Stream& stream() { return *stream_; }
  RankContext& context() { return ctx_; }
  Stage& stage() { return stage_; }

  /// Each sequence wants the logits of its last row.
  StepPlan plan(const std::vector<Rows>& step) {
    StepPlan plan;
    for (const Rows& rows : step) {
      plan.slices.push_back(slice(rows));
      for (int64_t i = 0; i < rows.rows; ++i) {
        plan.tokens.push_back(token(rows.sequence, plan.slices.back().begin + i));
      }
    }
    return plan;
  }

  /// Logits [sequences, V], or this rank's part of each row; none but on the last stage.
  std::vector<float> run(const std::vector<Rows>& step) {
    const Tensor logits = stage_.execute(plan(step), ctx_);
    if (!is_last_stage()) {
      return {};
    }
    std::vector<float> values(static_cast<std::size_t>(logits.elements()));
    kernels_->read(logits, values.data(), *stream_);
    return values;
  }

  bool is_last_stage() const { return me_.pp + 1 == mesh_.extent(Axis::kPp); }

  /// Of the steps so far: how often operations were put on the stream one by one, and how often as a whole.
  int called() const {
    const Range layers = stage_layers(config().layers, mesh_.extent(Axis::kPp), me_.pp);
    return spans_named("attention") / static_cast<int>(layers.size());
  }
  int replayed() const { return spans_named("replay"); }

 private:
  static constexpr int32_t kPages = 48;
  static constexpr std::chrono::seconds kDeadline{60};

  struct Sequence {
    int64_t length = 0;
    std::vector<int32_t> pages;
  };

  std::unique_ptr<Communicator> make_group(Transport* transport, DeviceWire wire, int color, int key) const {
    return make_device_group(wire, (transport == nullptr ? *self_ : *transport).split(color, key), kDeadline).group;
  }

  PlanSlice slice(const Rows& rows) {
    sequences_.resize(std::max(sequences_.size(), static_cast<std::size_t>(rows.sequence) + 1));
    Sequence& sequence = sequences_[static_cast<std::size_t>(rows.sequence)];
    const int64_t begin = sequence.length;
    sequence.length += rows.rows;
    while (std::ssize(sequence.pages) * kPageTokens < sequence.length) {
      sequence.pages.push_back(free_.back());
      free_.pop_back();
    }
    return {.begin = begin, .rows = rows.rows, .logit_rows = 1, .adapter = rows.adapter, .pages = sequence.pages};
  }

  int32_t token(int sequence, int64_t position) const {
    return static_cast<int32_t>((sequence * 131 + position * 37 + 11) % config().vocab);
  }

  int spans_named(const std::string& name) const {
    return static_cast<int>(std::count_if(spans_.spans().begin(), spans_.spans().end(),
                                          [&](const Span& span) { return span.name == name; }));
  }

  std::shared_ptr<Kernels> kernels_;
  Checkpoint checkpoint_;
  std::unique_ptr<Transport> self_ = make_self_transport();
  Mesh mesh_;
  Coord me_;
  Stage stage_;
  std::unique_ptr<Communicator> tp_;
  std::unique_ptr<Communicator> pp_;
  std::unique_ptr<Stream> stream_ = kernels_->make_stream();
  SpanLog spans_{100000};
  Ops ops_{*kernels_, &spans_};
  RankContext ctx_{mesh_, me_, *tp_, *pp_, ops_, stage_.workspace(), *stream_};
  std::vector<Sequence> sequences_;
  std::vector<int32_t> free_;
};

}  // namespace longship::testing
