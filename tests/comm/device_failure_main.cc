#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "cuda/graph_keeper.h"
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

constexpr milliseconds kDeadline(1500);  // enough for emulated devices; within it groups are made, too
// What a loaded machine may take on top.
constexpr seconds kGrace(5);

void reduce(Communicator& group, int64_t count, DeviceStream& stream) {
  const Tensor nodes = to_device(Tensor::allocate(DType::kF32, {1, count}), stream);
  Tensor out = device_tensor(DType::kF32, {count});
  group.tree_reduce(nodes, ReductionTree(3, {0, 1, 2, 3}), out, stream);
  stream.synchronise();
}

// From the last rank.
void receive(Communicator& group, int64_t count, DeviceStream& stream) {
  Tensor x = device_tensor(DType::kF32, {count});
  group.recv(x, group.size() - 1, stream);
  stream.synchronise();
}

/// A reduction as a graph, which ends before what it knows of does.
class RecordedReduction final : public cuda::GraphKeeper {
 public:
  ~RecordedReduction() { RecordedReduction::release(); }

  /// All ranks together.
  void record(Communicator& group, DeviceStream& stream) {
    nodes_ = to_device(Tensor::allocate(DType::kF32, {1, 64}), stream);
    out_ = device_tensor(DType::kF32, {64});
    reduce(group, stream);
    stream.synchronise();
    cuda::GraphHandle graph = nullptr;
    cuda::check(cuda::api().stream_begin_capture(stream.handle()), "a test");
    reduce(group, stream);
    cuda::check(cuda::api().stream_end_capture(stream.handle(), &graph), "a test");
    cuda::check(cuda::api().graph_instantiate(&exec_, graph), "a test");
    cuda::check(cuda::api().graph_destroy(graph), "a test");
  }
  void run(DeviceStream& stream) {
    cuda::check(cuda::api().graph_launch(exec_, stream.handle()), "a test");
    stream.synchronise();
  }
  void release() override {
    if (exec_ != nullptr) {
      cuda::api().graph_exec_destroy(std::exchange(exec_, nullptr));
    }
  }

 private:
  void reduce(Communicator& group, DeviceStream& stream) {
    group.tree_reduce(nodes_, ReductionTree(3, {0, 1, 2, 3}), out_, stream);
  }

  Tensor nodes_{};
  Tensor out_{};
  cuda::GraphExecHandle exec_ = nullptr;
};

using Enter = std::function<void(Communicator&, DeviceStream&)>;

std::map<std::string, Enter> operations(RecordedReduction& recorded) {
  return {
      {"tree_reduce", [](Communicator& group, DeviceStream& stream) { reduce(group, 64, stream); }},
      {"large tree_reduce", [](Communicator& group, DeviceStream& stream) { reduce(group, 1 << 18, stream); }},
      {"recorded tree_reduce", [&](Communicator& /*group*/, DeviceStream& stream) { recorded.run(stream); }},
      {"recv", [](Communicator& group, DeviceStream& stream) { receive(group, 64, stream); }},
      {"large recv", [](Communicator& group, DeviceStream& stream) { receive(group, 1 << 18, stream); }},
      {"send",
       [](Communicator& group, DeviceStream& stream) {
         const Tensor x = to_device(Tensor::allocate(DType::kF32, {64}), stream);
         for (int message = 0; message < 8; ++message) {  // more than may be under way
           group.send(x, group.size() - 1, stream);
         }
         stream.synchronise();
       }},
  };
}

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

bool notices(const std::string& operation, const Enter& enter, milliseconds deadline, Communicator& group,
             DeviceStream& stream) {
  const auto start = Clock::now();
  try {
    enter(group, stream);
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
  RecordedReduction recorded;
  if (operation.starts_with("recorded")) {
    recorded.record(*group, stream);
  }
  if (transport->rank() == transport->size() - 1) {
    be_lost(fault);
    return 1;
  }
  stay();
  const bool noticed = notices(operation, operations(recorded).at(operation), deadline, *group, stream);
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
