#include "tests/cuda_emulator/shared.h"

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

namespace longship::cuda::emulator {

namespace {

std::string thread_name(int thread) {
  return thread < 0 ? "threads of several warps" : format("thread %d", thread);
}

[[noreturn]] void report(const Piece& piece, int cell, Hazard hazard, const Accessor& who, const char* verb) {
  const ShadowCell& shadow = piece.cells[cell];
  const std::string bytes = format("byte %d of shared memory (byte %d of its array)",
                                   piece.begin + (cell << piece.shift), cell << piece.shift);
  switch (hazard) {
    case Hazard::kNone:
      break;
    case Hazard::kNeverWritten:
      fail(format("reads %s, which no thread has written", bytes.c_str()));
    case Hazard::kStillCopied:
      fail(format("%s %s, which an asynchronous copy of thread %d still fills; that thread must wait for it first",
                  verb, bytes.c_str(), shadow.writer()));
    case Hazard::kReadAfterWrite:
    case Hazard::kWriteAfterWrite:
      fail(format("race: %s %s, which thread %d has written, with no barrier between", verb, bytes.c_str(),
                  shadow.writer()));
    case Hazard::kWriteAfterRead:
      fail(format("race: %s %s, which %s read, with no barrier between", verb, bytes.c_str(),
                  thread_name(shadow.reader(who)).c_str()));
  }
  std::abort();
}

/// Checks the bounds, then calls `visit` for each cell of an access.
template <class Visit>
void visit_cells(Piece& piece, int offset, int bytes, const char* verb, Visit visit) {
  if (offset < 0 || offset + bytes > piece.bytes) {
    fail(format("%s %d bytes at byte %d of a shared array of %d bytes", verb, bytes, offset, piece.bytes));
  }
  if (offset % bytes != 0) {
    fail(format("%s %d bytes of shared memory at byte %d, which is not aligned", verb, bytes, offset));
  }
  const Accessor& who = current_thread->accessor;
  const int last = (offset + bytes - 1) >> piece.shift;
  for (int cell = offset >> piece.shift; cell <= last; ++cell) {
    const Hazard hazard = visit(piece.cells[cell], who);
    if (hazard != Hazard::kNone) [[unlikely]] {
      report(piece, cell, hazard, who, verb);
    }
  }
}

}  // namespace

void check_shared_read_slowly(Piece& piece, int offset, int bytes) {
  visit_cells(piece, offset, bytes, "reads", [](ShadowCell& cell, const Accessor& who) { return cell.read(who); });
}

void check_shared_write(Piece& piece, int offset, int bytes, ShadowCell::Write kind) {
  visit_cells(piece, offset, bytes, "writes",
              [kind](ShadowCell& cell, const Accessor& who) { return cell.write(who, kind); });
}

void check_unit_read(Piece& piece, int offset, int bytes) {
  visit_cells(piece, offset, bytes, "a product reads",
              [](ShadowCell& cell, const Accessor& who) { return cell.read_by_unit(who); });
}

void begin_bulk_copy(Piece& piece, int offset, int bytes) {
  visit_cells(piece, offset, bytes, "a copy writes", [](ShadowCell& cell, const Accessor& who) {
    cell.begin_bulk_copy(who);
    return Hazard::kNone;
  });
}

void end_bulk_copy(Piece& piece, int offset, int bytes) {
  visit_cells(piece, offset, bytes, "a copy writes", [](ShadowCell& cell, const Accessor&) {
    cell.end_bulk_copy();
    return Hazard::kNone;
  });
}

}  // namespace longship::cuda::emulator
