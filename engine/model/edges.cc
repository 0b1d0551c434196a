#include "engine/model/edges.h"

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
  bool is_local() const override { return false; }
};

class SendOutlet : public Outlet {
 public:
  Tensor put(const Tensor& hidden, const Tensor&, RankContext& ctx) override {
    ctx.pp.send(hidden, ctx.pp.rank() + 1, ctx.stream);
    return {};
  }
  bool is_local() const override { return false; }
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
        width_(config.width) {
    const int64_t rows = workspace.limits().logit_rows;
    workspace.declare(Slot::kSelected, rows * width_);
    workspace.declare(Slot::kLogits, rows * head_.rows());
  }

  Tensor put(const Tensor& hidden, const Tensor& logit_rows, RankContext& ctx) override {
    const int64_t rows = logit_rows.dim(0);
    if (rows == 0) {
      return {};
    }
    Tensor selected = ctx.workspace.take(Slot::kSelected, {rows, width_});
    ctx.ops.gather_rows(hidden, logit_rows, selected, ctx.stream);
    norm_.forward(selected, selected, ctx);
    Tensor logits = ctx.workspace.take(Slot::kLogits, {rows, head_.rows()});
    head_.forward(selected, logits, {}, ctx);
    return logits;
  }

  int64_t head_ops() const override { return 2 * head_.rows() * width_; }

 private:
  Norm norm_;
  Linear head_;
  int64_t width_;
};

}  // namespace

std::vector<Range> vocabulary_shares(const ModelConfig& config, int tp) {
  std::vector<Range> shares;
  for (int rank = 0; rank < tp; ++rank) {
    shares.push_back(slices(head_spec(config, {}, tp), tp, rank).front().global);
  }
  return shares;
}

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
