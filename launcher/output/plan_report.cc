#include "launcher/output/plan_report.h"

#include <algorithm>
#include <cstdio>

#include "comm/transport.h"
#include "core/json.h"
#include "launcher/device_choice.h"
#include "launcher/job/rank_environment.h"

namespace longship {

namespace {

double concurrency(const MemoryPlan& plan) {
  return static_cast<double>(plan.kv_tokens) / static_cast<double>(plan.max_model_len);
}

Json rank_json(const RankPlan& rank) {
  Json json;
  json.set("rank", rank.rank);
  json.set("tp", rank.coord.tp);
  json.set("pp", rank.coord.pp);
  json.set("first_layer", rank.layers.begin);
  json.set("layers", rank.layers.size());
  json.set("weights_bytes", rank.memory.weights_bytes);
  json.set("kv_bytes", rank.memory.kv_bytes);
  json.set("workspace_bytes", rank.memory.workspace_bytes);
  json.set("total_bytes", rank.memory.total_bytes());
  json.set("source_bytes", rank.source_bytes);
  return json;
}

Json plan_json(const MemoryPlan& plan, const EngineOptions& options) {
  Json::Array ranks;
  for (const RankPlan& rank : plan.ranks) {
    ranks.push_back(rank_json(rank));
  }
  Json json;
  json.set("model", options.model.native());
  json.set("tp", options.tp);
  json.set("pp", options.pp);
  json.set("max_model_len", plan.max_model_len);
  json.set("kv_tokens", plan.kv_tokens);
  json.set("max_concurrency", concurrency(plan));
  json.set("ranks", std::move(ranks));
  return json;
}

double megabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

void print_table(const MemoryPlan& plan) {
  std::printf("KV cache size: %lld tokens\nMaximum concurrency for %lld tokens per request: %.2fx\n\n",
              static_cast<long long>(plan.kv_tokens), static_cast<long long>(plan.max_model_len), concurrency(plan));
  std::printf("rank  stage  shard  layers      weights MB   kv MB  workspace MB  total MB\n");
  for (const RankPlan& rank : plan.ranks) {
    const std::string layers =
        std::to_string(rank.layers.begin) + ".." + std::to_string(std::max(rank.layers.begin, rank.layers.end) - 1);
    std::printf("%4d  %5d  %5d  %-10s  %10.1f  %6.1f  %12.1f  %8.1f\n", rank.rank, rank.coord.pp, rank.coord.tp,
                layers.c_str(), megabytes(rank.memory.weights_bytes), megabytes(rank.memory.kv_bytes),
                megabytes(rank.memory.workspace_bytes), megabytes(rank.memory.total_bytes()));
  }
}

}  // namespace

void print_plan(const MemoryPlan& plan, const EngineOptions& options, bool json) {
  if (json) {
    std::printf("%s\n", dump_json(plan_json(plan, options), 2).c_str());
  } else {
    print_table(plan);
  }
}

int dry_run(const EngineFlags& flags, bool json) {
  const bool launched = launched_as_rank();
  const std::vector<int> hosts = launched ? environment_ranks_per_host() : std::vector<int>();
  const MeshShape mesh = launched ? resolve_mesh(flags.mesh, hosts) : resolve_mesh_alone(flags.mesh);
  const int here = launched ? *std::max_element(hosts.begin(), hosts.end()) : mesh.ranks();
  const EngineOptions options = resolve_options(flags, mesh, here);
  const MemoryPlan plan = plan_memory(options, open_model(options), budget_here(options, here));
  if (environment_rank() == 0) {
    print_plan(plan, options, json);
  }
  return 0;
}

}  // namespace longship
