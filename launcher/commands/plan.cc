#include <CLI/CLI.hpp>

#include "core/error.h"
#include "launcher/commands/commands.h"
#include "launcher/device_choice.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/apply_settings.h"
#include "launcher/output/plan_report.h"

namespace longship {

namespace {

struct PlanFlags {
  EngineFlags engine;
  int64_t host_memory_bytes = 0;
  int64_t device_memory_bytes = 0;
  std::optional<int> ranks_per_host;
  bool json = false;

  // What each rank may use, if that was asked for: of this host's memory where only a part of it was named.
  std::optional<KvBudget> budget(const EngineOptions& options, const MeshShape& mesh) const {
    if (device_memory_bytes != 0) {
      if (options.device == "cpu") {
        throw Error(ErrorKind::kUsage, "--device-memory is of GPUs, and the plan is not for --device cuda",
                    "Add --device cuda, or use --host-memory.");
      }
      return KvBudget::of_device(options, {device_memory_bytes, device_memory_bytes}, 1);
    }
    const int ranks = ranks_per_host.value_or(mesh.ranks());
    if (host_memory_bytes != 0) {
      return KvBudget::of_host(options, host_memory_bytes, ranks);
    }
    const bool asked = ranks_per_host || options.kv_cache_bytes != 0 || options.kv_cache_fraction != 0;
    return asked ? budget_here(options, ranks) : std::nullopt;
  }
};

int plan_command(const PlanFlags& flags) {
  if (flags.engine.model.empty()) {
    throw Error(ErrorKind::kUsage, "plan needs a model", "For example: longship plan MODEL -tp 2 -pp 2");
  }
  const MeshShape mesh = resolve_mesh_alone(flags.engine.mesh);
  EngineFlags engine = flags.engine;
  if (flags.device_memory_bytes != 0 && engine.options.device == "auto") {
    engine.options.device = "cuda";  // of which there need be none here
  }
  const EngineOptions options = resolve_options(engine, mesh, mesh.ranks());
  const Checkpoint checkpoint = open_model(options);
  print_plan(plan_memory(options, checkpoint, flags.budget(options, mesh)), options, flags.json);
  return 0;
}

}  // namespace

void add_plan_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<PlanFlags>();
  CLI::App* command = app.add_subcommand("plan", "Memory of every rank of a mesh, without starting any");
  add_engine_flags(*command, flags->engine);
  add_synthetic_flags(*command, flags->engine);
  add_adapter_flag(*command, flags->engine.options.adapters);
  command
      ->add_option("--host-memory", flags->host_memory_bytes,
                   "Free memory of each host: what fits (default: not asked)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  command
      ->add_option("--device-memory", flags->device_memory_bytes,
                   "Memory of the GPU that each rank has: a plan for --device cuda (default: not asked)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE");
  command->add_option("--ranks-per-host", flags->ranks_per_host, "Ranks that share it (default: all)")
      ->type_name("N")
      ->check(CLI::Range(1, 1 << 16));
  add_config_flag(*command);
  command->add_flag("--json", flags->json, "Print JSON");
  command->callback([flags, &action] { action = [flags] { return plan_command(*flags); }; });
}

}  // namespace longship
