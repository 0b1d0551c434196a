#include <CLI/CLI.hpp>

#include "launcher/commands/commands.h"
#include "launcher/job/job_directory.h"

namespace longship {

void add_sweep_command(CLI::App& app, std::function<int()>& action) {
  auto folders = std::make_shared<std::vector<std::filesystem::path>>();
  CLI::App* command = app.add_subcommand("sweep", "Removes the folders of a job whose parent was killed")->group("");
  command->add_option("FOLDER", *folders, "Folders of the job")->required();
  command->callback([folders, &action] {
    action = [folders] {
      remove_when_orphaned(*folders);
      return 0;
    };
  });
}

}  // namespace longship
