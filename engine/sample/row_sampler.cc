#include "engine/sample/row_sampler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "engine/sample/row_edits.h"
#include "engine/sample/row_message.h"

namespace longship {

namespace {

constexpr int kLeader = 0;

// Whether sums over blocks cannot be put together from what the ranks have.
bool cut_blocks(std::span<const Range> shares) {
  return std::any_of(shares.begin(), shares.end(),
                     [](const Range& share) { return share.size() > 0 && share.begin % kSumBlock != 0; });
}

bool can_be_drawn_from_shares(const SampledRow& row, bool cuts_blocks) {
  return can_be_drawn(row) && !(cuts_blocks && needs(row).sums);
}

}  // namespace

bool can_be_drawn(const StepPlan& plan, std::span<const Range> shares) {
  const bool cuts_blocks = cut_blocks(shares);
  return plan.logit_rows() > 0 && std::ranges::all_of(plan.slices, [&](const PlanSlice& slice) {
           return !slice.whole_rows && std::ssize(slice.sampled) == slice.logit_rows &&
                  std::ranges::all_of(slice.sampled, [&](const SampledRow& row) {
                    return can_be_drawn_from_shares(row, cuts_blocks) && !may_fall_short(row);
                  });
         });
}

// One call of sample().
class RowSampler::Step {
 public:
  Step(RowSampler& sampler, const StepPlan& plan, const Tensor& logits, Communicator& group, Kernels& kernels,
       Stream& stream)
      : sampler_(sampler), logits_(logits), devices_(group), group_(group.host()), kernels_(kernels), stream_(stream) {
    result_.step = plan.step;
    if (sampler.leads()) {
      result_.rows = sampler.rows_.memory.slice(0, plan.whole_rows());
    }
    int64_t index = 0;
    for (const PlanSlice& slice : plan.slices) {
      const int64_t first_sampled = slice.logit_rows - std::ssize(slice.sampled);
      for (int64_t row = 0; row < slice.logit_rows; ++row, ++index) {
        if (slice.whole_rows) {
          wanted_.push_back(index);
        }
        if (row >= first_sampled) {
          sampled_.push_back({sampled_.size(), index, &slice.sampled[static_cast<std::size_t>(row - first_sampled)]});
        }
      }
    }
    result_.choices.resize(sampler.leads() ? sampled_.size() : 0);
  }

  StepResult run() {
    for (std::size_t i = 0; i < wanted_.size(); ++i) {
      const auto place = static_cast<int64_t>(i);
      gather_row(wanted_[i], sampler_.leads() ? result_.rows.slice(place, place + 1) : Tensor());
    }
    choose_on_device();
    choose_from_summaries();
    choose_from_rows();
    return std::move(result_);
  }

 private:
  struct Sampled {
    std::size_t place;  // of the choice
    int64_t index;      // of the row
    const SampledRow* row;
  };

  bool by_summary(const Sampled& one) const { return !sampler_.cuts_blocks_ && !needs(*one.row).whole; }

  // This rank's part of a row of logits.
  std::span<float> read(int64_t index) {
    const Tensor& buffer = sampler_.raw_.memory;
    if (!buffer.empty()) {
      kernels_.read(logits_.slice(index, index + 1), buffer.data<void>(), stream_);
    }
    return buffer.values<float>();
  }

  // The whole row on the leader.
  void gather_row(int64_t index, Tensor row) {
    read(index);
    std::vector<int64_t> counts;
    for (const Range& share : sampler_.shares_) {
      counts.push_back(share.size());
    }
    group_.gather(sampler_.raw_.memory, counts, kLeader, row, stream_);
  }

  // Rows whose choices are made on the devices are done with, alike on every rank; one that these find too long stays.
  void choose_on_device() {
    std::vector<TokenDraw> draws;
    std::vector<const Sampled*> drawn;
    for (const Sampled& one : sampled_) {
      if (sampler_.can_be_drawn_from_shares(*one.row)) {
        draws.push_back(token_draw(*one.row, one.index));
        drawn.push_back(&one);
      }
    }
    const auto chosen = sampler_.draw(draws, logits_, devices_, kernels_, stream_);
    if (chosen == nullptr) {
      return;
    }
    const std::span<const int32_t> tokens = chosen->read();
    std::vector<bool> done(sampled_.size());
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] != kNotAmongFirst) {
        if (sampler_.leads() && tokens[i] != kNoToken) {
          result_.choices[drawn[i]->place].token = tokens[i];
        }
        done[drawn[i]->place] = true;
      }
    }
    std::erase_if(sampled_, [&](const Sampled& one) { return done[one.place]; });
  }

  void write_summary(const Sampled& one, const RowMessage& message, int32_t* to) {
    const std::span<const float> raw = read(one.index);
    std::span<const float> behind_edits = raw;
    const int64_t first = sampler_.share().begin;
    if (one.row->edited()) {
      const std::span<float> edited = sampler_.edited_.memory.values<float>();
      std::copy(raw.begin(), raw.end(), edited.begin());
      apply_edits(*one.row, first, edited);
      behind_edits = edited;
    }
    message.write(summarise(*one.row, raw, behind_edits, first), to);
  }

  void choose_from_summaries() {
    std::vector<int64_t> counts;
    for (const Range& share : sampler_.shares_) {
      int64_t words = 0;
      for (const Sampled& one : sampled_) {
        words += by_summary(one) ? RowMessage(*one.row, share).words() : 0;
      }
      counts.push_back(words);
    }
    const int64_t all = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    if (all == 0) {
      return;
    }
    const Tensor mine = sampler_.message_.memory.slice(0, counts[static_cast<std::size_t>(sampler_.rank_)]);
    int32_t* to = mine.data<int32_t>();
    for (const Sampled& one : sampled_) {
      if (by_summary(one)) {
        const RowMessage message(*one.row, sampler_.share());
        write_summary(one, message, to);
        to += message.words();
      }
    }
    Tensor received = sampler_.leads() ? sampler_.messages_.memory.slice(0, all) : Tensor();
    group_.gather(mine, counts, kLeader, received, stream_);
    if (sampler_.leads()) {
      merge(received.data<int32_t>(), counts);
    }
  }

  // Messages of the ranks, one after the other, each of all rows.
  void merge(const int32_t* from, std::span<const int64_t> counts) {
    std::vector<RowSummary> summaries(sampled_.size());
    for (std::size_t rank = 0; rank < counts.size(); ++rank) {
      const int32_t* next = from;
      for (std::size_t i = 0; i < sampled_.size(); ++i) {
        if (by_summary(sampled_[i])) {
          const RowMessage message(*sampled_[i].row, sampler_.shares_[rank]);
          message.append_to(summaries[i], next);
          next += message.words();
        }
      }
      from += counts[rank];
    }
    short_.assign(sampled_.size(), 0);
    for (std::size_t i = 0; i < sampled_.size(); ++i) {
      if (by_summary(sampled_[i])) {
        finish_merge(*sampled_[i].row, summaries[i]);
        std::optional<RowChoice> choice = choose(*sampled_[i].row, summaries[i]);
        short_[i] = choice ? 0 : 1;
        result_.choices[sampled_[i].place] = choice ? std::move(*choice) : RowChoice();
      }
    }
  }

  // From rows of which all ranks know that they must travel, and those of which the leader has just found out.
  void choose_from_rows() {
    short_.resize(sampled_.size());
    if (std::any_of(sampled_.begin(), sampled_.end(),
                    [&](const Sampled& one) { return by_summary(one) && may_fall_short(*one.row); })) {
      Tensor told = Tensor::wrap(DType::kI32, {std::ssize(short_)}, short_.data());
      group_.broadcast(told, kLeader, stream_);
    }
    for (std::size_t i = 0; i < sampled_.size(); ++i) {
      if (!by_summary(sampled_[i]) || short_[i] != 0) {
        gather_row(sampled_[i].index, sampler_.row_.memory);
        if (sampler_.leads()) {
          result_.choices[sampled_[i].place] = choose(*sampled_[i].row, sampler_.row_.memory.values<float>());
        }
      }
    }
  }

  RowSampler& sampler_;
  const Tensor& logits_;
  Communicator& devices_;
  Communicator& group_;
  Kernels& kernels_;
  Stream& stream_;
  std::vector<int64_t> wanted_;
  std::vector<Sampled> sampled_;
  std::vector<int32_t> short_;  // of sampled rows: summaries that did not suffice
  StepResult result_;
};

RowSampler::RowSampler(std::vector<Range> shares, int rank, int64_t most_rows)
    : shares_(std::move(shares)), rank_(rank), vocab_(shares_.back().end) {
  cuts_blocks_ = cut_blocks(shares_);
  raw_.values = edited_.values = share().size();
  message_.values = most_rows * RowMessage::most_words(share());
  if (leads()) {
    for (const Range& share : shares_) {
      messages_.values += most_rows * RowMessage::most_words(share);
    }
    row_.values = vocab_;
    rows_.values = most_rows * vocab_;
  }
}

int64_t RowSampler::bytes() const {
  int64_t bytes = 0;
  for (const Buffer* buffer : {&raw_, &edited_, &message_, &messages_, &row_, &rows_}) {
    bytes += Tensor::aligned_bytes(bytes_of(DType::kF32, buffer->values));
  }
  return bytes;
}

void RowSampler::allocate() {
  for (Buffer* buffer : {&raw_, &edited_, &row_}) {
    buffer->memory = Tensor::allocate(DType::kF32, {buffer->values});
  }
  for (Buffer* buffer : {&message_, &messages_}) {
    buffer->memory = Tensor::allocate(DType::kI32, {buffer->values});
  }
  rows_.memory = Tensor::allocate(DType::kF32, {rows_.values / std::max<int64_t>(1, vocab_), vocab_});
}

StepResult RowSampler::sample(const StepPlan& plan, const Tensor& logits, Communicator& group, Kernels& kernels,
                              Stream& stream) {
  return Step(*this, plan, logits, group, kernels, stream).run();
}

bool RowSampler::can_be_drawn_from_shares(const SampledRow& row) const {
  return longship::can_be_drawn_from_shares(row, cuts_blocks_);
}

std::unique_ptr<DrawnTokens> RowSampler::draw(const std::vector<TokenDraw>& draws, const Tensor& logits,
                                              Communicator& group, Kernels& kernels, Stream& stream) const {
  if (draws.empty()) {
    return nullptr;
  }
  if (shares_.size() == 1) {
    return kernels.draw_tokens(logits, draws, stream);
  }
  if (!group.gathers_recordably()) {
    return nullptr;
  }
  const auto gather = [&](const Tensor& mine, Tensor& all, Stream& order) {
    group.all_gather(mine, std::vector<int64_t>(shares_.size(), mine.elements()), all, order);
  };
  return kernels.draw_tokens(logits, {.shares = shares_, .rank = rank_, .gather = gather}, draws, stream);
}

std::unique_ptr<DrawnTokens> RowSampler::draw(const StepPlan& plan, const Tensor& logits, Communicator& group,
                                              Kernels& kernels, Stream& stream) const {
  if (!can_be_drawn(plan, shares_)) {
    return nullptr;
  }
  std::vector<TokenDraw> draws;
  for (const PlanSlice& slice : plan.slices) {
    for (const SampledRow& row : slice.sampled) {
      draws.push_back(token_draw(row, std::ssize(draws)));
    }
  }
  return draw(draws, logits, group, kernels, stream);
}

}  // namespace longship
