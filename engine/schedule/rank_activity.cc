#include "engine/schedule/rank_activity.h"

namespace longship {

Bytes RankActivity::serialize() const {
  ByteWriter out;
  out.put(static_cast<int32_t>(rank));
  out.put(static_cast<int32_t>(tp));
  out.put(static_cast<int32_t>(pp));
  out.put_string(host);
  out.put(pid);
  for (const std::string* name : {&device, &tp_wire, &pp_wire}) {
    out.put_string(*name);
  }
  out.put(layers);
  out.put(weights_bytes);
  out.put(kv_bytes);
  out.put(clock_ns);
  out.put(moving_ns);
  for (const SpanTotals* totals : {&steps, &collectives, &sends, &receives}) {
    out.put(*totals);
  }
  return out.take();
}

RankActivity RankActivity::parse(std::span<const std::byte> frame) {
  ByteReader in(frame);
  RankActivity activity;
  activity.rank = in.get<int32_t>();
  activity.tp = in.get<int32_t>();
  activity.pp = in.get<int32_t>();
  activity.host = in.get_string();
  activity.pid = in.get<int64_t>();
  for (std::string* name : {&activity.device, &activity.tp_wire, &activity.pp_wire}) {
    *name = in.get_string();
  }
  activity.layers = in.get<Range>();
  activity.weights_bytes = in.get<int64_t>();
  activity.kv_bytes = in.get<int64_t>();
  activity.clock_ns = in.get<int64_t>();
  activity.moving_ns = in.get<int64_t>();
  for (SpanTotals* totals : {&activity.steps, &activity.collectives, &activity.sends, &activity.receives}) {
    *totals = in.get<SpanTotals>();
  }
  if (!in.done()) {
    throw Error(ErrorKind::kRank, "a frame between ranks is not what a rank has done",
                "Check that every rank runs the same version of longship.");
  }
  return activity;
}

}  // namespace longship
