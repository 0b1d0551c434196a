#include "launcher/job/end_within.h"

#include <unistd.h>

#include <chrono>

#include "launcher/output/report.h"

namespace longship {

namespace {
constexpr std::chrono::seconds kPatience(2);
}

EndWithin::EndWithin(int rank, const Error& error)
    : thread_([this, rank, error] {
        std::unique_lock lock(mutex_);
        if (!destroyed_.wait_for(lock, kPatience, [this] { return done_; })) {
          print_error(Error(error.kind(), "rank " + std::to_string(rank) + ": " + error.cause(), error.remedy()));
          _exit(error.exit_code());
        }
      }) {}

EndWithin::~EndWithin() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  destroyed_.notify_one();
  thread_.join();
}

}  // namespace longship
