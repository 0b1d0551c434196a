#include <exception>
#include <thread>

#include "comm/agreement.h"
#include "comm/group_of_one.h"
#include "comm/thread_group.h"
#include "comm/transport.h"

namespace longship {

namespace {

constexpr int kLeader = 0;

class ThreadControl final : public ControlChannel {
 public:
  ThreadControl(ThreadGroup& all, int rank) : all_(all), rank_(rank) {}

  void publish(Bytes frame) override {
    for (int rank = 1; rank < all_.size(); ++rank) {
      all_.job().control(rank).push(frame);
    }
  }

  std::optional<Bytes> receive(Deadline deadline) override {
    std::optional<Bytes> frame = all_.job().control(rank_).pop(deadline);
    all_.job().check();
    if (!frame.has_value() && Deadline::clock::now() < deadline) {
      throw Error(ErrorKind::kRank, "rank 0, the leader, has ended");
    }
    return frame;
  }

  void tell(Bytes frame) override { all_.job().control(kLeader).push(std::move(frame)); }
  std::optional<Bytes> heard() override { return all_.job().control(kLeader).try_pop(); }

  void agree(const Error* failure, std::string_view phase) override {
    const std::string operation = "agreement after \"" + std::string(phase) + "\" with";
    const Bytes mine = pack_failure(failure);
    all_.seat(rank_).failure = &mine;
    all_.arrive(rank_, operation);
    std::vector<Bytes> failures;
    for (int rank = 0; rank < all_.size(); ++rank) {
      failures.push_back(*all_.seat(rank).failure);
    }
    all_.arrive(rank_, operation);
    throw_verdict(verdict(failures));
  }

 private:
  ThreadGroup& all_;
  int rank_;
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(std::shared_ptr<ThreadGroup> group, int rank)
      : group_(std::move(group)), all_(*group_), rank_(rank), control_(all_, rank) {}

  std::string_view name() const override { return "threads"; }
  int rank() const override { return rank_; }
  int size() const override { return all_.size(); }
  std::vector<int> ranks_per_host() const override { return {size()}; }
  HostPlace host_place() const override { return {rank_, size()}; }

  std::unique_ptr<Communicator> split(int color, int key) override {
    int place = 0;
    std::shared_ptr<ThreadGroup> group = all_.split(rank_, color, key, place);
    if (group->size() == 1) {
      return std::make_unique<GroupOfOne>();
    }
    return std::make_unique<ThreadCommunicator>(std::move(group), place);
  }

  std::unique_ptr<Transport> first(int count) override {
    int place = 0;
    std::shared_ptr<ThreadGroup> group = all_.split(rank_, rank_ < count ? 0 : 1, rank_, place);
    return rank_ < count ? std::make_unique<ThreadTransport>(std::move(group), place) : nullptr;
  }

  ControlChannel& control() override { return control_; }

  void abort(int exit_code) override {
    const std::string cause =
        "rank " + std::to_string(rank_) + " ended the job with exit code " + std::to_string(exit_code);
    all_.job().fail(rank_, std::make_exception_ptr(Error(ErrorKind::kRank, cause)));
  }

 private:
  std::shared_ptr<ThreadGroup> group_;
  ThreadGroup& all_;
  int rank_;
  ThreadControl control_;
};

void run_rank(const std::shared_ptr<ThreadGroup>& group, int rank, const std::function<void(Transport&)>& body) {
  try {
    ThreadTransport transport(group, rank);
    body(transport);
  } catch (...) {
    group->job().fail(rank, std::current_exception());
  }
  if (rank == 0) {
    group->job().close_control();
  }
}

}  // namespace

void run_thread_ranks(int ranks, const std::function<void(Transport&)>& body, const TransportOptions& options) {
  LONGSHIP_CHECK(ranks >= 1, "a job has at least one rank");
  ThreadJob job(ranks, options.deadline);
  std::vector<int> everyone;
  for (int rank = 0; rank < ranks; ++rank) {
    everyone.push_back(rank);
  }
  const auto all = std::make_shared<ThreadGroup>(job, everyone);
  {
    std::vector<std::jthread> threads;
    for (const int rank : everyone) {
      threads.emplace_back([&all, rank, &body] { run_rank(all, rank, body); });
    }
  }
  if (job.failure() != nullptr) {
    std::rethrow_exception(job.failure());
  }
}

}  // namespace longship
