#include <signal.h>
#include <sys/mman.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>

#include "comm/transport.h"

// mpi_failure_main WAIT [WIRE], on three ranks: the last one stays away from an operation until after the deadline, and
// the others must notice by themselves. Ends with 5 if they throw kRank naming the operation, with 1 if not.
// With WAIT unreadable, the last one comes, and is gone when others want to read what it has.
// mpi_failure_main abort: one rank aborts with 42 while the others wait.
// mpi_failure_main leader_ends: rank 0 ends while the others wait for a frame; all end with 5.

namespace longship {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kDeadline(300);

struct Case {
  std::string operation;  ///< What the message must name.
  void (*enter)(Transport&, Communicator&, Stream&);
  bool last_comes = false;
};

void reduce(Communicator& group, int64_t count, Stream& stream) {
  Tensor out = Tensor::allocate(DType::kF32, {count});
  group.tree_reduce(Tensor::allocate(DType::kF32, {1, count}), ReductionTree(3, {0, 1, 2, 3}), out, stream);
}

[[noreturn]] void stay_away(int /*signal*/) {
  std::this_thread::sleep_for(seconds(20));
  std::_Exit(1);
}

// Nodes that can be read in this rank's part alone, by whoever reads them, as those of a process that ends.
void reduce_unreadable(Communicator& group, int64_t count, Stream& stream) {
  signal(SIGSEGV, stay_away);
  const auto bytes = static_cast<std::size_t>(count) * sizeof(float);
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(memory, bytes / 2, PROT_NONE);
  Tensor out = Tensor::allocate(DType::kF32, {count});
  group.tree_reduce(Tensor::wrap(DType::kF32, {1, count}, memory), ReductionTree(3, {0, 1, 2, 3}), out, stream);
}

void receive_from_last(Communicator& group, Stream& stream) {
  Tensor x = Tensor::allocate(DType::kF32, {16});
  group.recv(x, group.size() - 1, stream);
}

const std::map<std::string, Case> kCases = {
    {"recv",
     {"recv from rank 2", [](Transport&, Communicator& group, Stream& stream) { receive_from_last(group, stream); }}},
    {"tree_reduce",
     {"tree_reduce", [](Transport&, Communicator& group, Stream& stream) { reduce(group, 64, stream); }}},
    {"large_tree_reduce",
     {"tree_reduce", [](Transport&, Communicator& group, Stream& stream) { reduce(group, 1 << 18, stream); }}},
    {"unreadable",
     {"tree_reduce with rank 2: nothing came",
      [](Transport&, Communicator& group, Stream& stream) {
        const bool last = group.rank() == group.size() - 1;
        last ? reduce_unreadable(group, 1 << 20, stream) : reduce(group, 1 << 20, stream);
      },
      true}},
    {"agree",
     {"load", [](Transport& transport, Communicator&, Stream&) { transport.control().agree(nullptr, "load"); }}},
};

int wait_beyond_deadline(Transport& transport, const Case& test) {
  const auto group = transport.split(0, transport.rank());
  Stream stream;
  const bool last = transport.rank() == transport.size() - 1;
  if (last && !test.last_comes) {
    stay_away(0);
  }
  try {
    test.enter(transport, *group, stream);
  } catch (const Error& error) {
    if (last) {
      stay_away(0);
    }
    const bool expected = error.kind() == ErrorKind::kRank && error.cause().find(test.operation) != std::string::npos &&
                          !error.remedy().empty();
    std::fprintf(stderr, "rank %d: %s\n", transport.rank(), error.what());
    transport.abort(expected ? 5 : 1);
  }
  return 1;
}

int abort_while_others_wait(Transport& transport) {
  if (transport.rank() == 1) {
    transport.abort(42);
  }
  transport.control().agree(nullptr, "load");
  return 1;
}

// The leader leaves while the others wait for its next frame.
int wait_for_a_leader_that_ends() {
  const auto transport = make_mpi_transport({.deadline = seconds(20)});
  if (transport->rank() == 0) {
    return 5;
  }
  try {
    transport->control().receive(std::chrono::steady_clock::now() + seconds(20));
  } catch (const Error& error) {
    return error.exit_code();
  }
  return 1;
}

int run(const std::string& name, Wire wire) {
  if (name == "leader_ends") {
    return wait_for_a_leader_that_ends();
  }
  if (name == "abort") {
    const auto transport = make_mpi_transport({.deadline = seconds(20)});
    return abort_while_others_wait(*transport);
  }
  const auto transport = make_mpi_transport({.deadline = kDeadline, .wire = wire});
  return wait_beyond_deadline(*transport, kCases.at(name));
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  try {
    return longship::run(argc > 1 ? argv[1] : "", longship::wire_of(argc > 2 ? argv[2] : "auto"));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
