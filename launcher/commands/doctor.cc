#include <CLI/CLI.hpp>
#include <cstdio>

#include "core/json.h"
#include "launcher/commands/commands.h"
#include "launcher/doctor.h"

namespace longship {

namespace {

int doctor_command(bool json) {
  Json::Array facts;
  for (const HostFact& fact : examine_host()) {
    if (json) {
      Json entry;
      entry.set("topic", fact.topic);
      entry.set("usable", fact.usable);
      entry.set("text", fact.text);
      facts.push_back(std::move(entry));
    } else {
      std::printf("%-14s %-4s %s\n", fact.topic.c_str(), fact.usable ? "yes" : "no", fact.text.c_str());
    }
  }
  if (json) {
    Json document;
    document.set("version", LONGSHIP_VERSION);
    document.set("facts", std::move(facts));
    std::printf("%s\n", dump_json(document, 2).c_str());
  }
  return 0;
}

}  // namespace

void add_doctor_command(CLI::App& app, std::function<int()>& action) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = app.add_subcommand("doctor", "What this host can do, and what it lacks");
  command->add_flag("--json", *json, "Print JSON");
  command->callback([json, &action] { action = [json] { return doctor_command(*json); }; });
}

}  // namespace longship
