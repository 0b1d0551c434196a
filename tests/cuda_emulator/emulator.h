#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cuda/api.h"

// What stands beside the emulated runtime may use of it: emulated libraries (cuBLASLt, NCCL) and tests.

namespace longship::cuda::emulator {

/// Ends the process: prints what a kernel or the host did wrong and, where a kernel runs, its name, block and thread,
/// then aborts.
[[noreturn]] void fail(const std::string& what);

/// Queues work that the device does at this place of the stream, as a library call would. It runs on the host thread
/// that waits for it, may use device memory and may block for other processes, with a deadline of its own. While the
/// stream is captured the work becomes a node of the graph and may run many times. `name` must outlive the process.
Status enqueue(const char* name, StreamHandle stream, std::function<void()> work);

/// As enqueue(), for work that waits for other ranks: called until it returns true, and between the calls other streams
/// go on and the host may look at the stream.
Status enqueue_until_done(const char* name, StreamHandle stream, std::function<bool()> work);

/// If the stream is captured, `count` counts the recording, and then the graphs that are kept of it.
void hold_while_recorded(StreamHandle stream, const std::shared_ptr<std::atomic<int>>& count);

/// Lets work of this host thread's streams run, on a thread of its own, also while the host thread is away for long:
/// for transports, as other ranks may wait for work whose host thread waits for something else. A second call does
/// nothing.
void run_without_host();

/// Restarts the random order of streams and blocks, which begins from LONGSHIP_EMULATOR_SEED.
void reseed(uint64_t seed);

}  // namespace longship::cuda::emulator
