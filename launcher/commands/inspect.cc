#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>

#include "launcher/assemble.h"
#include "launcher/commands/commands.h"
#include "launcher/inspection.h"
#include "launcher/options/add_flags.h"
#include "launcher/options/mesh_options.h"
#include "launcher/output/text_output.h"

namespace longship {

namespace {

struct InspectFlags {
  std::string path;
  MeshRequest mesh;
  bool json = false;
  std::vector<MetadataOverride> overrides;
};

Json shape_json(const Shape& shape) {
  Json::Array dims;
  for (const int64_t extent : shape) {
    dims.emplace_back(extent);
  }
  return Json(std::move(dims));
}

int64_t bytes_of_tensor(const SourceTensor& tensor) {
  return bytes_of(tensor.dtype, element_count(tensor.shape));
}

Json config_json(const ModelConfig& config) {
  Json json;
  json.set("architecture", config.architecture);
  json.set("layers", config.layers);
  json.set("width", config.width);
  json.set("heads", config.heads);
  json.set("kv_heads", config.kv_heads);
  json.set("head_dim", config.head_dim);
  json.set("ffn", config.ffn);
  json.set("vocab", config.vocab);
  json.set("max_positions", config.max_positions);
  json.set("tied_head", config.tied_head);
  return json;
}

// Tensors and bytes of each type.
Json types_json(const WeightSource& weights) {
  std::map<std::string, std::pair<int64_t, int64_t>> types;
  for (const SourceTensor& tensor : weights.tensors()) {
    auto& [count, bytes] = types[std::string(name(tensor.dtype))];
    ++count;
    bytes += bytes_of_tensor(tensor);
  }
  Json json(Json::Object{});
  for (const auto& [type, sizes] : types) {
    Json entry;
    entry.set("tensors", sizes.first);
    entry.set("bytes", sizes.second);
    json.set(type, std::move(entry));
  }
  return json;
}

Json weights_json(const WeightSource& weights) {
  Json::Array tensors;
  int64_t total = 0;
  for (const SourceTensor& tensor : weights.tensors()) {
    Json entry;
    entry.set("name", tensor.name);
    entry.set("type", std::string(name(tensor.dtype)));
    entry.set("shape", shape_json(tensor.shape));
    entry.set("bytes", bytes_of_tensor(tensor));
    total += bytes_of_tensor(tensor);
    tensors.push_back(std::move(entry));
  }
  Json json;
  json.set("bytes", total);
  json.set("types", types_json(weights));
  json.set("tensors", std::move(tensors));
  return json;
}

Json mesh_json(const MemoryPlan& plan) {
  Json::Array ranks;
  for (const RankPlan& rank : plan.ranks) {
    Json entry;
    entry.set("rank", rank.rank);
    entry.set("tp", rank.coord.tp);
    entry.set("pp", rank.coord.pp);
    entry.set("source_bytes", rank.source_bytes);
    entry.set("weights_bytes", rank.memory.weights_bytes);
    ranks.push_back(std::move(entry));
  }
  return Json(std::move(ranks));
}

Json report(const InspectFlags& flags, const Inspection& found) {
  Json json;
  json.set("path", flags.path);
  json.set("kind", found.kind);
  if (found.config) {
    json.set("config", config_json(*found.config));
  }
  if (found.tokenizer != nullptr) {
    Json tokenizer;
    tokenizer.set("tokens", found.tokenizer->vocab_size());
    json.set("tokenizer", std::move(tokenizer));
  }
  if (found.weights != nullptr) {
    json.set("weights", weights_json(*found.weights));
  }
  if (flags.mesh.tp || flags.mesh.pp) {
    if (found.kind != "model") {
      throw Error(ErrorKind::kUsage, "a mesh needs a whole model, and " + flags.path + " is none",
                  "Give a model folder or a GGUF file, or leave -tp and -pp out.");
    }
    const MeshShape mesh = resolve_mesh_alone(flags.mesh);
    EngineOptions options;
    options.model = flags.path;
    options.tp = mesh.tp;
    options.pp = mesh.pp;
    json.set("ranks", mesh_json(plan_memory(options, {flags.path, *found.config, found.weights, found.gguf})));
  }
  return json;
}

std::string members_text(const Json& object) {
  std::string text;
  for (const Json::Member& member : object.as_object()) {
    text += "  " + member.first + " " +
            (member.second.is_string() ? member.second.as_string() : dump_json(member.second)) + "\n";
  }
  return text;
}

std::string weights_text(const Json& weights) {
  const Json::Array& tensors = weights.find("tensors")->as_array();
  std::string text = std::to_string(tensors.size()) + " tensors, " + dump_json(*weights.find("bytes")) + " bytes\n";
  for (const Json::Member& type : weights.find("types")->as_object()) {
    text += "  " + type.first + ": " + dump_json(*type.second.find("tensors")) + " tensors, " +
            dump_json(*type.second.find("bytes")) + " bytes\n";
  }
  for (const Json& tensor : tensors) {
    text += "  " + tensor.find("name")->as_string() + "  " + tensor.find("type")->as_string() + "  " +
            dump_json(*tensor.find("shape")) + "  " + dump_json(*tensor.find("bytes")) + "\n";
  }
  return text;
}

std::string text_report(const Json& json) {
  std::string text = json.find("path")->as_string() + ": " + json.find("kind")->as_string() + "\n";
  if (const Json* config = json.find("config")) {
    text += members_text(*config);
  }
  if (const Json* tokenizer = json.find("tokenizer")) {
    text += "tokenizer\n" + members_text(*tokenizer);
  }
  if (const Json* ranks = json.find("ranks")) {
    text += "bytes of each rank: read from the checkpoint, kept in memory\n";
    for (const Json& rank : ranks->as_array()) {
      text += "  rank " + dump_json(*rank.find("rank")) + " (pp " + dump_json(*rank.find("pp")) + ", tp " +
              dump_json(*rank.find("tp")) + "): " + dump_json(*rank.find("source_bytes")) + ", " +
              dump_json(*rank.find("weights_bytes")) + "\n";
    }
  }
  if (const Json* weights = json.find("weights")) {
    text += weights_text(*weights);
  }
  return text;
}

int inspect_command(const InspectFlags& flags) {
  const Json json = report(flags, inspect_path(flags.path, flags.overrides));
  write_output(flags.json ? dump_json(json, 2) + "\n" : text_report(json));
  return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<InspectFlags>();
  CLI::App* command = app.add_subcommand("inspect", "Check a model file and show what it holds");
  command->add_option("PATH", flags->path, "Model folder, GGUF, safetensors file, index, config.json or tokenizer.json")
      ->required();
  command->add_option("--tp,--tensor-parallel-size,--tp-size", flags->mesh.tp, "With a mesh: bytes of each rank")
      ->type_name("N");
  command->add_option("--pp,--pipeline-parallel-size,--pp-size", flags->mesh.pp, "Pipeline stages of that mesh")
      ->type_name("N");
  command->add_flag("--json", flags->json, "Print JSON");
  add_override_flag(*command, flags->overrides);
  command->callback([flags, &action] { action = [flags] { return inspect_command(*flags); }; });
}

}  // namespace longship
