#include "engine/schedule/step_plan.h"

namespace longship {

int64_t StepPlan::logit_rows() const {
  int64_t rows = 0;
  for (const PlanSlice& slice : slices) {
    rows += slice.logit_rows;
  }
  return rows;
}

int64_t StepPlan::whole_rows() const {
  int64_t rows = 0;
  for (const PlanSlice& slice : slices) {
    rows += slice.whole_rows ? slice.logit_rows : 0;
  }
  return rows;
}

StepPlan StepPlan::draft_part() const {
  StepPlan part;
  part.step = step;
  part.model = PlanModel::kDraft;
  auto next = tokens.begin();
  for (const PlanSlice& slice : slices) {
    const auto end = next + static_cast<std::ptrdiff_t>(slice.rows);
    if (slice.with_draft) {
      part.tokens.insert(part.tokens.end(), next, end);
      part.slices.push_back({.sequence = slice.sequence,
                             .epoch = slice.epoch,
                             .begin = slice.begin,
                             .rows = slice.rows,
                             .pages = slice.pages});
    }
    next = end;
  }
  return part;
}

Bytes StepPlan::serialize() const {
  ByteWriter out;
  out.put(step);
  out.put(report);
  out.put(model);
  out.put_span(std::span<const int32_t>(tokens));
  out.put(static_cast<uint64_t>(slices.size()));
  for (const PlanSlice& slice : slices) {
    out.put(slice.sequence);
    out.put(slice.epoch);
    out.put(slice.begin);
    out.put(slice.rows);
    out.put(slice.logit_rows);
    out.put(slice.adapter);
    out.put(static_cast<uint8_t>(slice.with_draft));
    out.put(static_cast<uint8_t>(slice.whole_rows));
    out.put_span(std::span<const int32_t>(slice.pages));
    out.put(static_cast<uint64_t>(slice.sampled.size()));
    for (const SampledRow& row : slice.sampled) {
      row.serialize(out);
    }
  }
  return out.take();
}

namespace {

void require(bool holds) {
  if (!holds) {
    throw Error(ErrorKind::kRank, "a frame between ranks is not a step plan",
                "Check that every rank runs the same version of longship.");
  }
}

}  // namespace

StepPlan StepPlan::parse(std::span<const std::byte> frame) {
  ByteReader in(frame);
  StepPlan plan;
  plan.step = in.get<uint64_t>();
  plan.report = in.get<ReportKind>();
  require(plan.report <= ReportKind::kRoofline);
  plan.model = in.get<PlanModel>();
  require(plan.model <= PlanModel::kDraft);
  plan.tokens = in.get_vector<int32_t>();
  auto rows_left = static_cast<int64_t>(plan.tokens.size());
  const auto count = in.get<uint64_t>();
  for (uint64_t i = 0; i < count; ++i) {
    PlanSlice slice;
    slice.sequence = in.get<uint64_t>();
    slice.epoch = in.get<uint32_t>();
    slice.begin = in.get<int64_t>();
    slice.rows = in.get<int64_t>();
    slice.logit_rows = in.get<int64_t>();
    slice.adapter = in.get<int32_t>();
    slice.with_draft = in.get<uint8_t>() != 0;
    slice.whole_rows = in.get<uint8_t>() != 0;
    slice.pages = in.get_vector<int32_t>();
    const auto sampled = in.get<uint64_t>();
    require(slice.adapter >= 0 && slice.begin >= 0 && slice.rows > 0 && slice.rows <= rows_left);
    require(slice.logit_rows >= 0 && slice.logit_rows <= slice.rows);
    require(sampled <= static_cast<uint64_t>(slice.logit_rows));
    for (uint64_t row = 0; row < sampled; ++row) {
      slice.sampled.push_back(SampledRow::parse(in));
    }
    rows_left -= slice.rows;
    plan.slices.push_back(std::move(slice));
  }
  require(rows_left == 0 && in.done());
  return plan;
}

}  // namespace longship
