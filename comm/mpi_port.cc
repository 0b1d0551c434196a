#include "comm/mpi_port.h"

#include <mpi.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <utility>

#include "comm/mpi_try.h"
#include "comm/patience.h"

namespace longship {

namespace {

// MPI counts in int.
constexpr int64_t kLongestPiece = int64_t{1} << 30;

template <class Move>
void in_pieces(int64_t bytes, const Move& move) {
  int64_t begin = 0;
  do {
    const int64_t piece = std::min(bytes - begin, kLongestPiece);
    move(begin, static_cast<int>(piece));
    begin += piece;
  } while (begin < bytes);
}

}  // namespace

struct MpiPort::Outgoing {
  std::shared_ptr<const Bytes> message;
  MPI_Request request = MPI_REQUEST_NULL;
  int to = 0;
};

struct MpiPort::State {
  MPI_Comm comm = MPI_COMM_NULL;
  std::vector<MPI_Request> begun;  // By give() and take() ...
  std::vector<int> peers;          // ... with these ranks.
  std::deque<Outgoing> outgoing;
};

MpiPort::MpiPort(MpiJob& job, const MpiPort* parent, int color, int key)
    : job_(job), state_(std::make_unique<State>()) {
  const MPI_Comm from = parent == nullptr ? MPI_COMM_WORLD : parent->state_->comm;
  MPI_TRY(MPI_Comm_split(from, color, key, &state_->comm));
  int size = 0;
  MPI_TRY(MPI_Comm_rank(state_->comm, &rank_));
  MPI_TRY(MPI_Comm_size(state_->comm, &size));
  int job_rank = 0;
  MPI_TRY(MPI_Comm_rank(MPI_COMM_WORLD, &job_rank));
  job_ranks_.resize(static_cast<std::size_t>(size));
  MPI_TRY(MPI_Allgather(&job_rank, 1, MPI_INT, job_ranks_.data(), 1, MPI_INT, state_->comm));
  job_.outboxes.push_back(this);
}

MpiPort::~MpiPort() {
  try {
    if (!job_.broken && std::uncaught_exceptions() == 0) {
      for (int to = 0; to < size(); ++to) {
        wait_for_room(to, 1);
      }
      MPI_TRY(MPI_Comm_free(&state_->comm));
    }
  } catch (const std::exception&) {
    job_.broken = true;
  }
  std::erase(job_.outboxes, static_cast<Outbox*>(this));
  if (!state_->outgoing.empty()) {
    // MPI may still read these messages, so they are left to it.
    static_cast<void>(state_.release());
  }
}

void MpiPort::give(const void* from, int64_t bytes, int to, int tag) {
  in_pieces(bytes, [&](int64_t begin, int piece) {
    state_->peers.push_back(to);
    MPI_TRY(MPI_Isend(static_cast<const std::byte*>(from) + begin, piece, MPI_BYTE, to, tag, state_->comm,
                      &state_->begun.emplace_back(MPI_REQUEST_NULL)));
  });
}

void MpiPort::take(void* to, int64_t bytes, int from, int tag) {
  in_pieces(bytes, [&](int64_t begin, int piece) {
    state_->peers.push_back(from);
    MPI_TRY(MPI_Irecv(static_cast<std::byte*>(to) + begin, piece, MPI_BYTE, from, tag, state_->comm,
                      &state_->begun.emplace_back(MPI_REQUEST_NULL)));
  });
}

void MpiPort::finish(std::string_view operation) {
  std::vector<MPI_Request>& begun = state_->begun;
  Patience patience(operation, job_.deadline);
  int done = 0;
  while (true) {
    MPI_TRY(MPI_Testall(static_cast<int>(begun.size()), begun.data(), &done, MPI_STATUSES_IGNORE));
    if (done != 0) {
      break;
    }
    job_.advance();
    if (!patience.pause()) {
      give_up(patience.error(first_unfinished()));
    }
  }
  begun.clear();
  state_->peers.clear();
}

int MpiPort::first_unfinished() {
  for (std::size_t i = 0; i < state_->begun.size(); ++i) {
    int done = 0;
    MPI_TRY(MPI_Test(&state_->begun[i], &done, MPI_STATUS_IGNORE));
    if (done == 0) {
      return job_rank(state_->peers[i]);
    }
  }
  return job_rank(rank_);
}

void MpiPort::give_up(const Error& error) {
  job_.broken = true;
  // What has begun may still write to its memory: receives are called back, as far as MPI lets us.
  for (MPI_Request& request : state_->begun) {
    if (request != MPI_REQUEST_NULL) {
      MPI_Cancel(&request);
      MPI_Request_free(&request);
    }
  }
  state_->begun.clear();
  state_->peers.clear();
  throw error;
}

bool MpiPort::all(bool mine, int tag, std::string_view operation) {
  const auto own = static_cast<uint8_t>(mine);
  std::vector<uint8_t> others(job_ranks_.size(), 1);
  for (int other = 0; other < size(); ++other) {
    if (other != rank()) {
      take(&others[static_cast<std::size_t>(other)], 1, other, tag);
      give(&own, 1, other, tag);
    }
  }
  finish(operation);
  return mine && std::ranges::all_of(others, [](uint8_t other) { return other != 0; });
}

void MpiPort::send(std::shared_ptr<const Bytes> message, int to, int tag, std::size_t most) {
  job_.advance();
  wait_for_room(to, most);
  in_pieces(static_cast<int64_t>(message->size()), [&](int64_t begin, int piece) {
    Outgoing& outgoing = state_->outgoing.emplace_back(Outgoing{message, MPI_REQUEST_NULL, to});
    MPI_TRY(MPI_Isend(message->data() + begin, piece, MPI_BYTE, to, tag, state_->comm, &outgoing.request));
  });
}

void MpiPort::wait_for_room(int to, std::size_t most) {
  Patience patience("send to", job_.deadline);
  const auto under_way = [&] {
    return static_cast<std::size_t>(std::ranges::count(state_->outgoing, to, &Outgoing::to));
  };
  while (under_way() >= most) {
    job_.advance();
    if (!patience.pause()) {
      give_up(patience.error(job_rank(to)));
    }
  }
}

std::optional<MpiPort::Message> MpiPort::try_receive(int from, std::optional<int> tag) {
  int found = 0;
  MPI_Message handle = MPI_MESSAGE_NULL;
  MPI_Status status = {};
  MPI_TRY(MPI_Improbe(from, tag.value_or(MPI_ANY_TAG), state_->comm, &found, &handle, &status));
  if (found == 0) {
    return std::nullopt;
  }
  int bytes = 0;
  MPI_TRY(MPI_Get_count(&status, MPI_BYTE, &bytes));
  Message message{status.MPI_TAG, Bytes(static_cast<std::size_t>(bytes))};
  state_->peers.push_back(from);
  MPI_TRY(MPI_Imrecv(message.bytes.data(), bytes, MPI_BYTE, &handle, &state_->begun.emplace_back(MPI_REQUEST_NULL)));
  finish("a message from");
  return message;
}

void MpiPort::poke() {
  int found = 0;
  MPI_TRY(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, state_->comm, &found, MPI_STATUS_IGNORE));
}

void MpiPort::advance() {
  std::erase_if(state_->outgoing, [](Outgoing& outgoing) {
    int done = 0;
    MPI_TRY(MPI_Test(&outgoing.request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  });
}

bool MpiPort::empty() const {
  return state_->outgoing.empty();
}

}  // namespace longship
