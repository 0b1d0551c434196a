#pragma once

#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace longship {

/// Adds --config FILE.
void add_config_flag(CLI::App& command);

/// Gives each option of the chosen commands that the command line did not give its value from the environment, or else
/// from the file of --config: LONGSHIP_MAX_MODEL_LEN and max-model-len both stand for --max-model-len. A key of the
/// file that is an option of another command only is passed over. Errors: kUsage, with the place of the value.
void apply_settings(CLI::App& program);

/// "LONGSHIP_MAX_MODEL_LEN" for "max-model-len".
std::string environment_name(std::string_view option);

}  // namespace longship
