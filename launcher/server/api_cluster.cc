// GET /cluster: the ranks and what they do, for the page and for scripts.
#include "launcher/server/api.h"

namespace longship {

namespace {

double milliseconds(double seconds) {
  return seconds * 1e3;
}

Json rank_json(const RankRate& rate) {
  const RankActivity& activity = rate.activity;
  Json rank;
  rank.set("rank", activity.rank);
  rank.set("host", activity.host);
  rank.set("pid", activity.pid);
  rank.set("device", activity.device);
  rank.set("tp_wire", activity.tp_wire);
  rank.set("pp_wire", activity.pp_wire);
  rank.set("tp", activity.tp);
  rank.set("pp", activity.pp);
  rank.set("layers", Json::Array{Json(activity.layers.begin), Json(activity.layers.end)});
  rank.set("weights_bytes", activity.weights_bytes);
  rank.set("kv_bytes", activity.kv_bytes);
  rank.set("steps", activity.steps.count);
  rank.set("step_ms", rate.known ? Json(milliseconds(rate.step_s)) : Json());
  rank.set("comm_share", rate.known ? Json(rate.comm_share) : Json());
  rank.set("wait_share", rate.known ? Json(rate.wait_share) : Json());
  rank.set("busy", rate.busy);
  return rank;
}

}  // namespace

void Api::cluster(const HttpRequest&, const std::shared_ptr<HttpExchange>& exchange) {
  const auto now = Cluster::Clock::now();
  const bool attached = hub_ != nullptr;
  const EngineCounters counters = attached ? hub_->counters() : EngineCounters{};
  const EngineStats stats = attached ? hub_->stats() : EngineStats{};
  const EngineLosses losses = attached ? hub_->losses() : EngineLosses{};
  const std::vector<RankRate> rates = attached ? hub_->cluster().rates(now) : std::vector<RankRate>{};
  const Cluster::TokenRates tokens = attached ? hub_->cluster().token_rates(now) : Cluster::TokenRates{};

  Json body;
  body.set("version", options_.version);
  body.set("model", options_.served_names.front());
  body.set("state", draining_ ? "draining" : !attached ? "loading" : !hub_->ready() ? "recovering" : "ready");
  body.set("uptime_s", std::chrono::duration<double>(now - started_).count());
  body.set("recoveries", losses.count);
  body.set("last_loss", losses.count == 0 ? Json() : Json(losses.last_cause));
  Json mesh;
  mesh.set("tp", info_.tp);
  mesh.set("pp", info_.pp);
  body.set("mesh", std::move(mesh));
  body.set("max_model_len", info_.max_model_len);
  Json::Array ranks;
  for (const RankRate& rate : rates) {
    ranks.push_back(rank_json(rate));
  }
  body.set("ranks", std::move(ranks));
  const std::optional<int> slowest = slowest_rank(rates);
  body.set("slowest_rank", slowest ? Json(*slowest) : Json());
  Json kv;
  kv.set("pages_used", stats.pages_used);
  kv.set("pages", stats.pages);
  body.set("kv", std::move(kv));
  body.set("running", counters.running);
  body.set("waiting", counters.waiting);
  Json rate;
  rate.set("prompt", tokens.prompt);
  rate.set("generation", tokens.generation);
  body.set("tokens_per_s", std::move(rate));
  exchange->respond({.status = 200, .body = dump_json(body), .headers = {{"Cache-Control", "no-store"}}});
}

}  // namespace longship
