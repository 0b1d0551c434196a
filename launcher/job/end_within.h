#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/error.h"

namespace longship {

/// A rank that failed waits for the others in MPI_Finalize, which is right if they failed alike. If they did not, the
/// rank would wait for ever: unless destroyed within two seconds this prints the error with the rank's number and ends
/// the process, on which the launcher ends the job.
class EndWithin {
 public:
  EndWithin(int rank, const Error& error);
  ~EndWithin();
  EndWithin(const EndWithin&) = delete;
  EndWithin& operator=(const EndWithin&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable destroyed_;
  bool done_ = false;
  std::thread thread_;
};

}  // namespace longship
