#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "core/json.h"
#include "launcher/add_flags.h"
#include "launcher/assemble.h"
#include "launcher/commands/commands.h"

namespace longship {

namespace {

struct PlanFlags {
  EngineFlags engine;
  bool json = false;
};

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
  json.set("ranks", std::move(ranks));
  return json;
}

double megabytes(int64_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

void print_plan(const MemoryPlan& plan) {
  std::printf("context %lld tokens, key/value cache %lld tokens\n\n", static_cast<long long>(plan.max_model_len),
              static_cast<long long>(plan.kv_tokens));
  std::printf("rank  stage  shard  layers      weights MB   kv MB  workspace MB  total MB\n");
  for (const RankPlan& rank : plan.ranks) {
    const std::string layers =
        std::to_string(rank.layers.begin) + ".." + std::to_string(std::max(rank.layers.begin, rank.layers.end) - 1);
    std::printf("%4d  %5d  %5d  %-10s  %10.1f  %6.1f  %12.1f  %8.1f\n", rank.rank, rank.coord.pp, rank.coord.tp,
                layers.c_str(), megabytes(rank.memory.weights_bytes), megabytes(rank.memory.kv_bytes),
                megabytes(rank.memory.workspace_bytes), megabytes(rank.memory.total_bytes()));
  }
}

int plan_command(const PlanFlags& flags) {
  if (flags.engine.model.empty()) {
    throw Error(ErrorKind::kUsage, "plan needs a model", "For example: longship plan MODEL -tp 2 -pp 2");
  }
  const MeshShape mesh = resolve_mesh_alone(flags.engine.mesh);
  const EngineOptions options = resolve_options(flags.engine, mesh, mesh.ranks());
  const Checkpoint checkpoint = open_model(options);
  const MemoryPlan plan = plan_memory(options, checkpoint);
  if (flags.json) {
    std::printf("%s\n", dump_json(plan_json(plan, options), 2).c_str());
  } else {
    print_plan(plan);
  }
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand("plan", "Memory of every rank of a mesh, without starting any");
  add_engine_flags(*command, flags->engine);
  add_synthetic_flags(*command, flags->engine);
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return plan_command(*flags); }; });
}

}  // namespace longship
