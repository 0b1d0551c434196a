#include "engine/model/edges.h"

#include <algorithm>

#include "parallel/groups.h"

namespace longship {

namespace {

class EmbedInlet : public Inlet {
 public:
  EmbedInlet(ParamTable& params, Workspace& workspace, const ModelConfig& config, const EdgeNames& names)
      : tokens_(params.declare_table(names.embedding, config.vocab, config.width)), learned_(config.learned_positions) {
    if (learned_) {
      positions_ = params.declare_table(names.positions, config.max_positions, config.width);
      workspace.declare(Slot::kNormed, workspace.limits().rows * config.width);
    }
  }

  void take(const Batch& batch, Tensor& hidden, RankContext& ctx) override {
    ctx.ops.embed(*tokens_, batch.tokens, hidden, ctx.stream);
    if (learned_) {
      Tensor positions = ctx.workspace.take(Slot::kNormed, hidden.shape());
      ctx.ops.embed(*positions_, batch.positions, positions, ctx.stream);
      ctx.ops.add(hidden, {}, positions, hidden, ctx.stream);
    }
  }

 private:
  const StoredMatrix* tokens_;
  bool learned_;
  const StoredMatrix* positions_ = nullptr;
};

class ReceiveInlet : public Inlet {
 public:
  void take(const Batch&, Tensor& hidden, RankContext& ctx) override {
    ctx.pp.recv(hidden, ctx.pp.rank() - 1, ctx.stream);
  }
};

class SendOutlet : public Outlet {
 public:
  Tensor put(const Tensor& hidden, const Tensor&, RankContext& ctx) override {
    ctx.pp.send(hidden, ctx.pp.rank() + 1, ctx.stream);
    return {};
  }
};

ParamSpec head_spec(const ModelConfig& config, const EdgeNames& names, int tp) {
  const std::string& source = config.tied_head ? names.embedding : names.head;
  return {
      .name = source,
      .dtypes = {},
      .global = {config.vocab, config.width},
      .shard = {.dim = 0,
                .contracts = false,
                .segments = {{.source = source, .extent = config.vocab, .unit = vocabulary_unit(config.vocab, tp)}}}};
}

class HeadOutlet : public Outlet {
 public:
  HeadOutlet(ParamTable& params, Workspace& workspace, const ModelConfig& config, const EdgeNames& names)
      : norm_(params, config, names.norm),
        head_(params, workspace, head_spec(config, names, params.tp()), std::nullopt),
        leader_(params.tp_rank() == kRoot),
        width_(config.width),
        vocab_(config.vocab) {
    const int64_t rows = workspace.limits().logit_rows;
    for (int rank = 0; rank < params.tp(); ++rank) {
      shares_.push_back(slices(head_spec(config, names, params.tp()), params.tp(), rank).front().global);
    }
    workspace.declare(Slot::kSelected, rows * width_);
    workspace.declare(Slot::kLocalLogits, rows * head_.rows());
    if (!workspace.in_host_memory()) {
      workspace.declare(Slot::kHostLogits, rows * head_.rows());
    }
    if (leader_) {
      workspace.declare(Slot::kGathered, rows * vocab_);
      workspace.declare(Slot::kLogits, rows * vocab_);
    }
  }

  Tensor put(const Tensor& hidden, const Tensor& logit_rows, RankContext& ctx) override {
    const int64_t rows = logit_rows.dim(0);
    if (rows == 0) {
      return {};
    }
    Tensor selected = ctx.workspace.take(Slot::kSelected, {rows, width_});
    ctx.ops.gather_rows(hidden, logit_rows, selected, ctx.stream);
    norm_.forward(selected, selected, ctx);
    Tensor local = ctx.workspace.take(Slot::kLocalLogits, {rows, head_.rows()});
    head_.forward(selected, {}, local, ctx);
    return collect(local, rows, ctx);
  }

  int64_t head_ops() const override { return 2 * head_.rows() * width_; }

 private:
  static constexpr int kRoot = 0;

  static Tensor on_host(const Tensor& local, RankContext& ctx) {
    if (ctx.workspace.in_host_memory()) {
      return local;
    }
    Tensor copy = ctx.workspace.take(Slot::kHostLogits, local.shape());
    ctx.ops.kernels().read(local, copy.data<void>(), ctx.stream);
    return copy;
  }

  // Shards of the vocabulary [R, V_r], one after the other, to rows of the whole vocabulary [R, V].
  Tensor collect(const Tensor& local, int64_t rows, RankContext& ctx) const {
    std::vector<int64_t> counts;
    for (const Range& share : shares_) {
      counts.push_back(rows * share.size());
    }
    Tensor gathered;
    if (leader_) {
      gathered = ctx.workspace.take(Slot::kGathered, {rows * vocab_});
    }
    ctx.tp.host().gather(on_host(local, ctx), counts, kRoot, gathered, ctx.stream);
    if (!leader_) {
      return {};
    }
    Tensor logits = ctx.workspace.take(Slot::kLogits, {rows, vocab_});
    const float* from = gathered.data<float>();
    for (const Range& share : shares_) {
      for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(from, share.size(), logits.data<float>() + row * vocab_ + share.begin);
        from += share.size();
      }
    }
    return logits;
  }

  Norm norm_;
  Linear head_;
  bool leader_;
  int64_t width_;
  int64_t vocab_;
  std::vector<Range> shares_;
};

}  // namespace

std::unique_ptr<Inlet> make_embed_inlet(ParamTable& params, Workspace& workspace, const ModelConfig& config,
                                        const EdgeNames& names) {
  return std::make_unique<EmbedInlet>(params, workspace, config, names);
}

std::unique_ptr<Inlet> make_receive_inlet() {
  return std::make_unique<ReceiveInlet>();
}

std::unique_ptr<Outlet> make_head_outlet(ParamTable& params, Workspace& workspace, const ModelConfig& config,
                                         const EdgeNames& names) {
  return std::make_unique<HeadOutlet>(params, workspace, config, names);
}

std::unique_ptr<Outlet> make_send_outlet() {
  return std::make_unique<SendOutlet>();
}

}  // namespace longship
