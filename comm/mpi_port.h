#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "core/backoff.h"
#include "core/bytes.h"

namespace longship {

/// Messages under way that move on only while their owner lets them.
class Outbox {
 public:
  /// Moves what can move. Never waits.
  virtual void advance() = 0;
  /// Nothing is under way.
  virtual bool empty() const = 0;

 protected:
  ~Outbox() = default;
};

/// Settings and state that all MPI objects of a process share.
struct MpiJob {
  std::chrono::milliseconds deadline;
  bool reads_peers = true;  ///< Ranks may copy from one process to another at once, where the system lets them.
  bool broken = false;      ///< A wait was in vain: other ranks may be gone, so nothing waits for them any more.
  int spins = Backoff::kUsualSpins;  ///< Looks before a wait in shared memory yields: none with more ranks than cores.
  std::vector<Outbox*> outboxes = {};

  /// Called in every wait: others may wait for what this rank has sent.
  void advance() {
    for (Outbox* outbox : outboxes) {
      outbox->advance();
    }
  }
  /// Whether this rank has sent something that moves on only while it calls advance().
  bool anything_under_way() const {
    return !std::ranges::all_of(outboxes, [](const Outbox* outbox) { return outbox->empty(); });
  }
};

/// Messages between the ranks of a group, over an MPI communicator of their own. Messages of one pair and tag
/// arrive in order. Every wait lets all outstanding messages progress and throws kRank at the deadline.
/// Used by the thread that initialised MPI.
class MpiPort final : public Outbox {
 public:
  struct Message {
    int tag = 0;
    Bytes bytes;
  };

  /// All ranks of `parent`, or of the whole job where it is null: the port of the ranks of one color, ordered by key.
  MpiPort(MpiJob& job, const MpiPort* parent, int color, int key);
  /// Waits for the messages of send(), unless an exception ends the job.
  ~MpiPort();
  MpiPort(const MpiPort&) = delete;
  MpiPort& operator=(const MpiPort&) = delete;

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(job_ranks_.size()); }
  /// The rank in the job of a rank of the group.
  int job_rank(int rank) const { return job_ranks_[static_cast<std::size_t>(rank)]; }

  /// Begins to move a message out of or into memory that stays untouched until finish().
  void give(const void* from, int64_t bytes, int to, int tag);
  void take(void* to, int64_t bytes, int from, int tag);
  /// Waits for everything that give() and take() began. `operation` reads well before "rank 2: ...".
  void finish(std::string_view operation);
  /// All ranks together: whether `mine` holds on every one of them.
  bool all(bool mine, int tag, std::string_view operation);

  /// Begins to send a message that the port keeps until it is gone. Waits only while `most` messages to that
  /// rank are under way.
  void send(std::shared_ptr<const Bytes> message, int to, int tag, std::size_t most);
  /// The next message from `from`, of any size, if one is there; of one tag, or of any.
  std::optional<Message> try_receive(int from, std::optional<int> tag);
  /// Lets MPI move whatever it still has under way in this process. Never waits.
  void poke();
  /// Lets the messages of send() progress and frees those that are gone.
  void advance() override;
  bool empty() const override;

 private:
  struct Outgoing;
  struct State;  // What is typed by MPI.

  void wait_for_room(int to, std::size_t most);
  int first_unfinished();
  [[noreturn]] void give_up(const Error& error);

  MpiJob& job_;
  std::unique_ptr<State> state_;
  int rank_ = 0;
  std::vector<int> job_ranks_;
};

}  // namespace longship
