// Under mpirun: logits of a mesh of MPI ranks are equal, bit for bit, to those of one rank. Arguments: tp pp [model], a
// part of the name of those models that count.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "comm/transport.h"
#include "core/error.h"
#include "launcher/assemble.h"
#include "tests/invariance/workload.h"

namespace longship {
namespace {

std::vector<testing::RequestResult> run_alone(const EngineOptions& options,
                                              const std::vector<GenerationRequest>& requests) {
  return testing::run_on_threads(options, requests);
}

int compare(Transport& transport, int tp, int pp, const std::string& model) {
  int failures = 0;
  bool any = false;
  for (const testing::Workload& workload : testing::workloads()) {
    if (pp > workload.layers || workload.name.find(model) == std::string::npos) {
      continue;
    }
    any = true;
    for (const bool exact : {false, true}) {
      const testing::Layout layout{.tp = tp, .pp = pp, .threads = 1, .chunk = 48, .batch = 5};
      const auto run_here = [&](const EngineOptions& options, const std::vector<GenerationRequest>& requests) {
        std::vector<testing::RequestResult> results;
        run_rank(
            options, transport, [](int64_t, int64_t) {},
            [&](Engine& engine) {
              results = testing::collect(engine, requests);
              return 0;
            });
        return results;
      };
      const auto mesh = testing::run_workload(workload, layout, exact, run_here);
      if (!mesh.empty()) {
        const std::string difference = testing::difference(testing::run_workload(workload, {}, exact, run_alone), mesh);
        std::printf("%s%s: %s\n", workload.name.c_str(), exact ? " exact" : "",
                    difference.empty() ? "equal" : difference.c_str());
        failures += difference.empty() ? 0 : 1;
      }
    }
  }
  return any ? failures : 1;
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  using namespace longship;
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: %s TP PP [MODEL]\n", argv[0]);
    return 2;
  }
  try {
    const auto transport = make_mpi_transport();
    return compare(*transport, std::atoi(argv[1]), std::atoi(argv[2]), argc == 4 ? argv[3] : "") == 0 ? 0 : 1;
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
}
