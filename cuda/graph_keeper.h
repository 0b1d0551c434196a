#pragma once

namespace longship::cuda {

/// Keeps graphs of recorded work, in which communicators of NCCL may take part: to end one of these, in order or by an
/// abort, waits until the graphs that hold its operations are gone. Graphs that still run may be destroyed.
class GraphKeeper {
 public:
  /// Destroys the graphs, and ends what is being recorded without one.
  virtual void release() = 0;

 protected:
  /// Registers with the calling thread, which is the only one to use it.
  GraphKeeper();
  ~GraphKeeper();
  GraphKeeper(const GraphKeeper&) = delete;
  GraphKeeper& operator=(const GraphKeeper&) = delete;
};

/// Releases what the keepers of the calling thread keep: before a communicator ends.
void release_graphs();

}  // namespace longship::cuda
