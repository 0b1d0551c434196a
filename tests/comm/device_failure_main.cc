#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <thread>

#include "tests/comm/device_memory.h"
#include "tests/comm/device_transport.h"

// device_failure_main FAULT OPERATION WIRE [DEADLINE_MS], on three ranks with devices: the last one is lost before the
// operation, and the others must notice by themselves. FAULT: "late" stays away until after the deadline, "killed" is
// killed. LONGSHIP_TEST_NOTES names a file to which they add what they print: mpirun forwards little once it ends the
// job. Others print "noticed" and end with 5 if they throw kRank naming the operation in time, with 1 if not.

namespace longship::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kDeadline(300);  // enough for emulated devices; within it groups are made, too
// What a loaded machine may take on top.
constexpr seconds kGrace(5);

void reduce(Communicator& group, int64_t count, DeviceStream& stream) {
  const Tensor nodes = to_device(Tensor::allocate(DType::kF32, {1, count}), stream);
  Tensor out = device_tensor(DType::kF32, {count});
  group.tree_reduce(nodes, ReductionTree(3, {0, 1, 2, 3}), out, stream);
  stream.synchronise();
}

using Enter = void (*)(Communicator&, DeviceStream&);

const std::map<std::string, Enter> kOperations = {
    {"tree_reduce", [](Communicator& group, DeviceStream& stream) { reduce(group, 64, stream); }},
    {"large tree_reduce", [](Communicator& group, DeviceStream& stream) { reduce(group, 1 << 18, stream); }},
    {"recv",
     [](Communicator& group, DeviceStream& stream) {
       Tensor x = device_tensor(DType::kF32, {64});
       group.recv(x, group.size() - 1, stream);
       stream.synchronise();
     }},
};

void be_lost(const std::string& fault) {
  if (fault == "killed") {
    std::raise(SIGKILL);
  }
  std::this_thread::sleep_for(seconds(20));
}

// What the launcher does about a lost rank must not end this one first.
void stay() {
  std::signal(SIGTERM, SIG_IGN);
}

void note(int rank, const char* what) {
  std::fprintf(stderr, "rank %d: %s\n", rank, what);
  if (const char* path = std::getenv("LONGSHIP_TEST_NOTES"); path != nullptr) {
    std::ofstream(path, std::ios::app) << "rank " << rank << ": " << what << std::endl;
  }
}

bool notices(const std::string& operation, milliseconds deadline, Communicator& group, DeviceStream& stream) {
  const auto start = Clock::now();
  try {
    kOperations.at(operation)(group, stream);
  } catch (const Error& error) {
    const std::string named = operation.substr(operation.rfind(' ') + 1);
    std::fprintf(stderr, "rank %d: %s\n", group.rank(), error.what());
    return error.kind() == ErrorKind::kRank && error.cause().find(named) != std::string::npos &&
           !error.remedy().empty() && Clock::now() - start < deadline + kGrace;
  }
  return false;
}

int run(const std::string& fault, const std::string& operation, const std::string& wire, milliseconds deadline) {
  const auto transport = make_mpi_transport({.deadline = seconds(20)});
  const auto group = device_group(*transport, device_wire_of(wire), deadline);
  DeviceStream stream;
  if (transport->rank() == transport->size() - 1) {
    be_lost(fault);
    return 1;
  }
  stay();
  const bool noticed = notices(operation, deadline, *group, stream);
  note(transport->rank(), noticed ? "noticed" : "did not notice");
  // The launcher ends the job with the first rank that ends.
  std::this_thread::sleep_for(seconds(1));
  transport->abort(noticed ? 5 : 1);
  return 1;
}

}  // namespace
}  // namespace longship::conformance

int main(int argc, char** argv) {
  try {
    using namespace longship::conformance;
    if (argc != 4 && argc != 5) {
      return 2;
    }
    return run(argv[1], argv[2], argv[3], argc == 5 ? milliseconds(std::atoi(argv[4])) : kDeadline);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
