#include <algorithm>

#include "tests/comm/conformance.h"
#include "tests/comm/values.h"

namespace longship::conformance {
namespace {

constexpr int64_t kLarge = 1 << 20;

struct Ring {
  int next;
  int previous;
  explicit Ring(const Communicator& group)
      : next((group.rank() + 1) % group.size()), previous((group.rank() + group.size() - 1) % group.size()) {}
};

// Sends a tensor that is overwritten at once, as an activation buffer is.
void send_values(Communicator& group, int64_t count, uint64_t seed, int to, Stream& stream) {
  Tensor x = filled({count}, seed, wide_value);
  group.send(x, to, stream);
  std::ranges::fill(x.values<float>(), -1.0F);
}

void expect_values(Communicator& group, int64_t count, uint64_t seed, int from, Stream& stream) {
  Tensor x = filled({count}, 99, whole_value);
  group.recv(x, from, stream);
  EXPECT_EQ(differing_bits(x, filled({count}, seed, wide_value)), 0)
      << "message " << seed << " of " << count << " values from rank " << from;
}

TEST_P(Conformance, MessagesOfAPairArriveInOrder) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    if (group->size() == 1) {
      return;
    }
    const Ring ring(*group);
    Stream stream;
    for (uint64_t round = 0; round < 30; ++round) {
      send_values(*group, static_cast<int64_t>(1 + mix(round, 1) % 3000), round, ring.next, stream);
      expect_values(*group, static_cast<int64_t>(1 + mix(round, 1) % 3000), round, ring.previous, stream);
    }
    for (uint64_t round = 0; round < 4; ++round) {
      send_values(*group, 10, round, ring.next, stream);
    }
    for (uint64_t round = 0; round < 4; ++round) {
      expect_values(*group, 10, round, ring.previous, stream);
    }
  });
}

TEST_P(Conformance, LargeMessagesBothWaysAtOnce) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    if (group->size() == 1) {
      return;
    }
    const Ring ring(*group);
    Stream stream;
    for (uint64_t i = 0; i < 2; ++i) {
      send_values(*group, kLarge, 2 * i, ring.next, stream);
      send_values(*group, kLarge, 2 * i + 1, ring.previous, stream);
    }
    // In a ring of two, next and previous are one rank, and its messages come in the order of its sends.
    for (uint64_t i = 0; i < 2; ++i) {
      expect_values(*group, kLarge, 2 * i, ring.previous, stream);
      expect_values(*group, kLarge, 2 * i + 1, ring.next, stream);
    }
  });
}

TEST_P(Conformance, ASenderFarAheadOfItsReceiver) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    if (group->size() == 1) {
      return;
    }
    Stream stream;
    constexpr uint64_t kMessages = 60;
    if (group->rank() == 0) {
      for (uint64_t i = 0; i < kMessages; ++i) {
        send_values(*group, 30011, i, group->size() - 1, stream);
      }
    } else if (group->rank() == group->size() - 1) {
      for (uint64_t i = 0; i < kMessages; ++i) {
        expect_values(*group, 30011, i, 0, stream);
      }
    }
  });
}

// A stage of a pipeline: messages under way while the group computes collectives.
TEST_P(Conformance, MessagesUnderWayDuringCollectives) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    if (group->size() == 1) {
      return;
    }
    const Ring ring(*group);
    Stream stream;
    for (uint64_t round = 0; round < 10; ++round) {
      send_values(*group, 100003, round, ring.next, stream);
      Tensor x = filled({64}, 1, whole_value);
      group->all_reduce(x, stream);
      group->progress();
      EXPECT_EQ(x.data<float>()[0], static_cast<float>(group->size()) * whole_value(1, 0));
      expect_values(*group, 100003, round, ring.previous, stream);
    }
  });
}

TEST_P(Conformance, MessagesOfOtherTypesAndEmptyOnes) {
  run([](Transport& transport) {
    const auto group = transport.split(0, transport.rank());
    if (group->size() == 1) {
      return;
    }
    const Ring ring(*group);
    Stream stream;
    Tensor bytes = Tensor::allocate(DType::kU8, {5});
    bytes.data<uint8_t>()[4] = static_cast<uint8_t>(group->rank());
    group->send(bytes, ring.next, stream);
    group->send(Tensor::allocate(DType::kF16, {0, 8}), ring.next, stream);
    Tensor received = Tensor::allocate(DType::kU8, {5});
    group->recv(received, ring.previous, stream);
    EXPECT_EQ(received.data<uint8_t>()[4], ring.previous);
    Tensor empty = Tensor::allocate(DType::kF16, {0, 8});
    group->recv(empty, ring.previous, stream);
  });
}

}  // namespace
}  // namespace longship::conformance
