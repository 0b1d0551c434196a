#include "launcher/job/rank_job.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "launcher/job/mpirun.h"

namespace longship {

namespace {

using Clock = std::chrono::steady_clock;

// Between looks at what followers have sent: silence is counted in them, all else wakes.
constexpr std::chrono::milliseconds kLook(50);
constexpr std::chrono::milliseconds kShortestLook(1);
constexpr std::chrono::milliseconds kLookAtEnd(20);
constexpr std::chrono::seconds kHelloDeadline(2);
// Behind the first hello. Ranks start together; those that are there wait in MPI for the others, for ever.
constexpr std::chrono::seconds kAllConnect(10);
// mpirun ends every rank at once when asked to; a launcher that hangs in its tear-down is killed after this.
constexpr std::chrono::milliseconds kGrace(1500);
// How long mpirun may need to notice that a rank has ended, and to say which.
constexpr std::chrono::milliseconds kLossDeadline(2500);
constexpr std::size_t kMaxOutputBytes = std::size_t{1} << 16;

std::string random_secret() {
  std::array<unsigned char, 16> bytes{};
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    throw Error(ErrorKind::kRank, "the system gives no random numbers");
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

// A job of one rank is that rank; more need mpirun.
std::unique_ptr<ChildProcess> start(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                                    int ranks, const std::vector<ChildProcess::Variable>& environment) {
  if (ranks == 1) {
    return std::make_unique<ChildProcess>(program, arguments, environment);
  }
  return std::make_unique<ChildProcess>(mpirun_program(), mpirun_arguments(ranks, program, arguments), environment,
                                        variables_of_other_hosts());
}

std::vector<ChildProcess::Variable> job_environment(const JobDirectory& directory, const std::string& secret,
                                                    const std::vector<ChildProcess::Variable>& more) {
  std::vector<ChildProcess::Variable> variables =
      mpirun_environment({{"OMPI_MCA_orte_tmpdir_base", directory.files().native()},
                          {"OMPI_MCA_btl_vader_backing_directory", directory.shared_memory().native()}});
  variables.emplace_back(kJobSocketVariable, directory.socket().native());
  variables.emplace_back(kJobSecretVariable, secret);
  variables.insert(variables.end(), more.begin(), more.end());
  return variables;
}

}  // namespace

RankJob::RankJob(const std::filesystem::path& program, const std::vector<std::string>& arguments, int ranks,
                 const std::vector<ChildProcess::Variable>& variables, std::chrono::milliseconds silence_limit,
                 ProgressSink progress)
    : sweeper_(program, {"sweep", directory_.files().native(), directory_.shared_memory().native()}, {}),
      secret_(random_secret()),
      ranks_(ranks),
      silence_limit_(silence_limit),
      progress_(std::move(progress)),
      listener_(listen_at(directory_.socket())),
      process_(start(program, arguments, ranks, job_environment(directory_, secret_, variables))),
      wake_monitor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      monitor_([this] { monitor(); }) {}

RankJob::~RankJob() {
  kill();
  {
    const std::lock_guard lock(mutex_);
    stop_monitor_ = true;
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_monitor_, &one, sizeof(one));
  monitor_.join();
  close(wake_monitor_);
}

void RankJob::monitor() {
  for (;;) {
    wait_for_news();
    read_output();
    accept_peer();
    end_missing();
    read_followers();
    const std::lock_guard lock(mutex_);
    if (const auto status = process_->poll_exit(); status && !ended_) {
      lost_.exit_code = status->code;
      ended_ = true;
      changed_.notify_all();
    }
    if (stop_monitor_) {
      return;
    }
  }
}

// Heartbeats do not end it, but the end of a follower does.
void RankJob::wait_for_news() {
  std::vector<pollfd> news = {{.fd = listener_.descriptor(), .events = POLLIN, .revents = 0},
                              {.fd = process_->output(), .events = POLLIN, .revents = 0},
                              {.fd = wake_monitor_, .events = POLLIN, .revents = 0}};
  std::chrono::milliseconds most = kLook;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [rank, peer] : peers_) {
      if (rank == 0 || !peer.socket) continue;
      news.push_back({.fd = peer.socket->descriptor(), .events = POLLRDHUP, .revents = 0});
      most = std::min(most, std::max(peer.socket->until_silent(), kShortestLook));
    }
  }
  poll(news.data(), news.size(), static_cast<int>(most.count()));
  if ((news[1].revents & POLLHUP) != 0) {  // a closed pipe is always ready
    std::this_thread::sleep_for(kLookAtEnd);
  }
}

void RankJob::read_output() {
  std::array<char, 4096> bytes;
  for (;;) {
    const ssize_t count = read(process_->output(), bytes.data(), bytes.size());
    if (count <= 0) {
      return;
    }
    const std::lock_guard lock(mutex_);
    lost_.output.append(bytes.data(), static_cast<std::size_t>(count));
    if (lost_.output.size() > kMaxOutputBytes) {
      lost_.output.erase(0, lost_.output.size() - kMaxOutputBytes);
    }
  }
}

void RankJob::accept_peer() {
  const int descriptor = accept4(listener_.descriptor(), nullptr, nullptr, SOCK_CLOEXEC);
  if (descriptor < 0) {
    return;
  }
  auto socket = std::make_unique<FrameSocket>(descriptor);
  try {
    Frame frame;
    if (socket->receive(frame, Clock::now() + kHelloDeadline) != Received::kFrame || frame.kind != FrameKind::kHello) {
      return;
    }
    const Hello hello = decode_hello(frame.payload);
    const std::lock_guard lock(mutex_);
    if (hello.secret == secret_ && hello.rank >= 0 && hello.rank < ranks_ && !peers_.contains(hello.rank)) {
      socket->expect_heartbeats(silence_limit_);
      lost_.pids[hello.rank] = hello.pid;
      if (peers_.empty()) all_connect_ = Clock::now() + kAllConnect;
      peers_[hello.rank] = {.socket = std::move(socket),
                            .pid = hello.pid,
                            .progress = {},
                            .process = std::make_shared<ProcessHandle>(hello.pid)};
      changed_.notify_all();
    }
  } catch (const Error&) {
    return;  // not one of ours
  }
}

void RankJob::end_missing() {
  const std::lock_guard lock(mutex_);
  const bool all = std::ssize(peers_) == ranks_;
  if (peers_.empty() || all || ended_ || lost_.silent_rank || Clock::now() < all_connect_) {
    return;
  }
  int rank = 0;
  while (peers_.contains(rank)) ++rank;
  lost_.silent_rank = rank;
  process_->signal(SIGTERM);  // its process is known to mpirun only
}

void RankJob::read_followers() {
  std::vector<std::pair<int, FrameSocket*>> followers;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [rank, peer] : peers_) {
      if (rank != 0 && peer.socket) followers.emplace_back(rank, peer.socket.get());
    }
  }
  for (const auto& [rank, socket] : followers) {
    read_follower(rank, *socket);
  }
}

void RankJob::read_follower(int rank, FrameSocket& socket) {
  Frame frame;
  Received received = Received::kFrame;
  while ((received = socket.receive(frame, Clock::now())) == Received::kFrame) {
    note_progress(rank, decode_progress(frame.payload));
  }
  if (received == Received::kSilent) {
    end_silent(rank);  // on which mpirun ends the job
  } else if (received == Received::kClosed) {
    const std::lock_guard lock(mutex_);
    peers_[rank].socket.reset();
    if (!lost_.first_lost_rank) {
      lost_.first_lost_rank = rank;
    }
  }
}

void RankJob::end_silent(int rank) {
  const std::lock_guard lock(mutex_);
  if (!lost_.silent_rank) {
    lost_.silent_rank = rank;
  }
  ::kill(lost_.pids.at(rank), SIGKILL);
}

void RankJob::note_progress(int rank, const LoadProgressReport& report) {
  LoadProgressReport sum;
  {
    const std::lock_guard lock(mutex_);
    peers_[rank].progress = report;
    for (const auto& [other, peer] : peers_) {
      sum.bytes_done += peer.progress.bytes_done;
      sum.bytes_total += peer.progress.bytes_total;
    }
  }
  progress_(sum);
}

FrameSocket& RankJob::leader(FrameSocket::Deadline deadline) {
  std::unique_lock lock(mutex_);
  changed_.wait_until(lock, deadline, [this] { return ended_ || peers_.contains(0); });
  if (const auto found = peers_.find(0); found != peers_.end()) {
    return *found->second.socket;
  }
  lock.unlock();
  throw loss();
}

bool RankJob::wait_until_ended(FrameSocket::Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline, [this] { return ended_; });
}

Error RankJob::loss() {
  if (!wait_until_ended(Clock::now() + kLossDeadline)) {
    kill();
  }
  std::this_thread::sleep_for(2 * kLookAtEnd);  // the last of the output
  const std::lock_guard lock(mutex_);
  lost_.ranks = ranks_;
  return diagnose(lost_);
}

Error RankJob::loss_by_silence(int rank) {
  end_silent(rank);
  return loss();
}

void RankJob::finish(FrameSocket::Deadline deadline) {
  if (!wait_until_ended(deadline)) {
    kill();
  }
}

void RankJob::kill() {
  process_->signal(SIGTERM);
  if (!wait_until_ended(Clock::now() + kGrace)) {
    process_->signal(SIGKILL);
  }
  end_ranks();
  directory_.remove();
}

// A launcher that was killed itself, or has lost sight of a rank, leaves ranks behind.
void RankJob::end_ranks() {
  std::vector<std::shared_ptr<ProcessHandle>> ranks;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [rank, peer] : peers_) {
      ranks.push_back(peer.process);
    }
  }
  for (const auto& rank : ranks) {
    rank->signal(SIGKILL);
  }
  const auto deadline = Clock::now() + kGrace;
  const bool ended =
      std::all_of(ranks.begin(), ranks.end(), [&](const auto& rank) { return rank->wait_until_ended(deadline); });
  const std::lock_guard lock(mutex_);
  ranks_ended_ = ended;
}

bool RankJob::left_sound_memory() {
  const std::lock_guard lock(mutex_);
  return ranks_ended_ && ended_from_outside(lost_);
}

}  // namespace longship
