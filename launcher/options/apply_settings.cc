#include "launcher/options/apply_settings.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "launcher/options/command_line.h"
#include "launcher/options/parse_error.h"
#include "launcher/options/settings_file.h"

namespace longship {

namespace {

constexpr const char* kConfig = "config";

bool has_name(const CLI::Option& option, const std::string& name) {
  const std::vector<std::string>& names = option.get_lnames();
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Options for users: help and version are none, nor is what longship tells its own ranks.
std::vector<CLI::Option*> settable_options(CLI::App& command) {
  std::vector<CLI::Option*> options = command.get_options();
  std::erase_if(options, [&](const CLI::Option* option) {
    return option == command.get_help_ptr() || option == command.get_version_ptr() || option->get_group().empty() ||
           option->get_lnames().empty();
  });
  return options;
}

void set(CLI::Option& option, const Setting& setting) {
  try {
    for (const std::string& value : setting.values) {
      option.add_result(option.get_expected_min() == 0 ? option.get_flag_value(setting.name, value) : value);
    }
    option.run_callback();
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorKind::kUsage, setting.place + ": " + parse_error_text(error), "Correct it, or leave it out.");
  }
}

void apply_environment(CLI::App& command) {
  for (CLI::Option* option : settable_options(command)) {
    for (const std::string& name : option->get_lnames()) {
      const std::string variable = environment_name(name);
      const char* value = std::getenv(variable.c_str());
      if (value != nullptr && *value != '\0' && option->count() == 0) {
        set(*option, {.name = name, .values = {value}, .place = "environment " + variable});
      }
    }
  }
}

CLI::Option* find_option(CLI::App& command, const std::string& name) {
  for (CLI::Option* option : settable_options(command)) {
    if (has_name(*option, name)) return option;
  }
  return nullptr;
}

bool known_to_any(CLI::App& command, const std::string& name) {
  const std::vector<CLI::App*> commands = command.get_subcommands([](CLI::App*) { return true; });
  return find_option(command, name) != nullptr ||
         std::any_of(commands.begin(), commands.end(), [&](CLI::App* sub) { return known_to_any(*sub, name); });
}

void apply_file(CLI::App& program, CLI::App& command) {
  const CLI::Option* config = find_option(command, kConfig);
  if (config == nullptr || config->count() == 0) {
    return;
  }
  for (const Setting& setting : read_settings(config->as<std::string>())) {
    CLI::Option* option = setting.name == kConfig ? nullptr : find_option(command, setting.name);
    if (option == nullptr) {
      refuse_foreign_option("--" + setting.name);
      if (setting.name == kConfig || !known_to_any(program, setting.name)) {
        throw Error(ErrorKind::kUsage, setting.place + ": there is no option " + setting.name,
                    "Keys are the long options of longship " + command.get_name() + " --help.");
      }
    } else if (option->count() == 0) {
      set(*option, setting);
    }
  }
}

void apply_to(CLI::App& program, CLI::App& command) {
  apply_environment(command);
  apply_file(program, command);
  for (CLI::App* chosen : command.get_subcommands()) {
    apply_to(program, *chosen);
  }
}

}  // namespace

void add_config_flag(CLI::App& command) {
  command
      .add_option("--" + std::string(kConfig), CLI::callback_t(),
                  "Read options from a YAML file; those here win over it")
      ->type_name("FILE.yaml");
}

void apply_settings(CLI::App& program) {
  for (CLI::App* command : program.get_subcommands()) {
    if (!command->get_group().empty()) {  // ranks that longship starts are told everything
      apply_to(program, *command);
    }
  }
}

std::string environment_name(std::string_view option) {
  std::string name = "LONGSHIP_";
  for (const char c : option) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

}  // namespace longship
