#include "launcher/options/engine_flags.h"

#include "launcher/device_choice.h"
#include "launcher/host/host_cores.h"
#include "launcher/options/speculative_config.h"

namespace longship {

std::vector<std::string> engine_arguments(const EngineFlags& flags) {
  const EngineOptions& options = flags.options;
  std::vector<std::string> words = {options.synthetic ? "--synthetic" : "--model", flags.model};
  const auto add = [&words](const char* name, const std::string& value) {
    words.emplace_back(name);
    words.push_back(value);
  };
  const auto add_number = [&add](const char* name, std::optional<int64_t> value) {
    if (value) add(name, std::to_string(*value));
  };
  if (options.synthetic) add("--synthetic-type", std::string(name(*options.synthetic)));
  add_number("--tp", flags.mesh.tp);
  add_number("--pp", flags.mesh.pp);
  add_number("--threads", flags.threads);
  add("--device", options.device);
  add("--backend", options.backend);
  add("--comm", options.comm);
  add("--comm-dtype", options.comm_dtype);
  add("--kv-cache-dtype", options.kv_cache_dtype);
  if (!options.pack_cache.empty()) add("--pack-cache-dir", std::filesystem::absolute(options.pack_cache).native());
  if (options.max_model_len != 0) add_number("--max-model-len", options.max_model_len);
  if (options.kv_cache_bytes != 0) add_number("--kv-cache-memory", options.kv_cache_bytes);
  if (options.kv_cache_fraction != 0) add("--kv-cache-fraction", std::to_string(options.kv_cache_fraction));
  add_number("--max-num-seqs", options.max_num_seqs);
  if (options.max_batched_tokens != 0) add_number("--max-num-batched-tokens", options.max_batched_tokens);
  add_number("--least-model-len", options.least_model_len);
  add_number("--usual-kv-tokens", options.usual_kv_tokens);
  if (options.fill_kv_cache) words.emplace_back("--fill-kv-cache");
  if (options.exact) words.emplace_back("--exact");
  if (options.deterministic) words.emplace_back("--deterministic");
  if (!options.prefix_cache) words.emplace_back("--no-enable-prefix-caching");
  if (options.speculation.tokens() != 0) add("--speculative-config", speculative_config_text(options.speculation));
  for (const AdapterOption& adapter : options.adapters) {
    add("--lora-modules", adapter.name + "=" + std::filesystem::absolute(adapter.path).native());
  }
  if (options.prompt_logits) words.emplace_back("--prompt-logits");
  if (options.kv_pages != 0) add_number("--kv-pages", options.kv_pages);
  add_number("--recording", static_cast<int64_t>(options.recording));
  for (const MetadataOverride& override_kv : options.overrides) {
    add("--override-kv", override_kv.key + "=" + override_kv.value);
  }
  return words;
}

TransportOptions transport_options(const EngineOptions& options) {
  return {.wire = wire_of(host_wire(options.comm)), .format = wire_format_of(options.comm_dtype)};
}

EngineOptions resolve_options(const EngineFlags& flags, const MeshShape& mesh, int local_ranks) {
  EngineOptions options = flags.options;
  options.model = flags.model;
  options.tp = mesh.tp;
  options.pp = mesh.pp;
  options.threads = flags.threads ? *flags.threads : threads_per_rank(allowed_cores(), local_ranks);
  return options;
}

}  // namespace longship
