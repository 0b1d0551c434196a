#include "launcher/eval/logits_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/json.h"

namespace longship {

namespace {

constexpr std::size_t kCopyBytes = std::size_t{1} << 20;
constexpr std::size_t kHeaderAlignment = 8;

bool write_at(int file, const void* data, std::size_t size, int64_t offset) {
  const char* next = static_cast<const char*>(data);
  while (size != 0) {
    const ssize_t written = pwrite(file, next, size, offset);
    if (written < 0 && errno != EINTR) {
      return false;
    }
    const auto advance = static_cast<std::size_t>(written < 0 ? 0 : written);
    next += advance;
    size -= advance;
    offset += static_cast<int64_t>(advance);
  }
  return true;
}

// A new file beside `path`, open; `name` receives its name.
int open_beside(const std::filesystem::path& path, std::string& name) {
  name = path.native() + ".XXXXXX";
  return mkostemp(name.data(), O_CLOEXEC);
}

}  // namespace

LogitsFile::LogitsFile(std::filesystem::path path) : path_(std::move(path)) {
  std::string name;
  staging_ = open_beside(path_, name);
  if (staging_ < 0) {
    fail();
  }
  unlink(name.c_str());  // it ends with this process
}

LogitsFile::~LogitsFile() {
  close(staging_);
}

void LogitsFile::fail() const {
  const int code = errno;
  throw Error(ErrorKind::kUsage, "cannot write " + path_.native() + ": " + std::generic_category().message(code),
              "Choose another place for the logits.");
}

std::size_t LogitsFile::add(std::string name, int64_t rows, int64_t columns) {
  matrices_.push_back({std::move(name), rows, columns, staged_bytes_});
  staged_bytes_ += matrices_.back().bytes();
  return matrices_.size() - 1;
}

void LogitsFile::write(std::size_t matrix, int64_t first_row, std::span<const float> rows) {
  const Matrix& target = matrices_[matrix];
  const auto size = static_cast<int64_t>(rows.size());
  LONGSHIP_CHECK(size % target.columns == 0 && first_row + size / target.columns <= target.rows,
                 "logits lie inside their matrix");
  const int64_t offset = target.offset + first_row * target.columns * static_cast<int64_t>(sizeof(float));
  if (!write_at(staging_, rows.data(), rows.size_bytes(), offset)) {
    fail();
  }
}

std::string LogitsFile::header() const {
  Json::Object entries;
  int64_t offset = 0;
  for (const Matrix& matrix : matrices_) {
    if (matrix.dropped) {
      continue;
    }
    Json entry;
    entry.set("dtype", "F32");
    entry.set("shape", Json::Array{matrix.rows, matrix.columns});
    entry.set("data_offsets", Json::Array{offset, offset + matrix.bytes()});
    entries.emplace_back(matrix.name, std::move(entry));
    offset += matrix.bytes();
  }
  std::string text = dump_json(Json(std::move(entries)));
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  const auto size = static_cast<uint64_t>(text.size());
  std::string result(sizeof(size), '\0');
  std::memcpy(result.data(), &size, sizeof(size));
  return result + text;
}

void LogitsFile::copy_staged(int target) const {
  std::vector<char> buffer(kCopyBytes);
  int64_t end = 0;
  const std::string head = header();
  if (!write_at(target, head.data(), head.size(), end)) {
    fail();
  }
  end += static_cast<int64_t>(head.size());
  for (const Matrix& matrix : matrices_) {
    const int64_t bytes = matrix.dropped ? 0 : matrix.bytes();
    for (int64_t done = 0; done < bytes;) {
      const auto want = static_cast<std::size_t>(std::min<int64_t>(bytes - done, static_cast<int64_t>(kCopyBytes)));
      const ssize_t count = pread(staging_, buffer.data(), want, matrix.offset + done);
      if (count <= 0 || !write_at(target, buffer.data(), static_cast<std::size_t>(count), end)) {
        fail();
      }
      done += count;
      end += count;
    }
  }
}

void LogitsFile::finish() {
  std::string name;
  const int target = open_beside(path_, name);
  if (target < 0) {
    fail();
  }
  try {
    copy_staged(target);
    const mode_t mask = umask(0);
    umask(mask);
    if (fchmod(target, 0666 & ~mask) != 0 || std::rename(name.c_str(), path_.c_str()) != 0) {
      fail();
    }
  } catch (...) {
    close(target);
    unlink(name.c_str());
    throw;
  }
  close(target);
}

}  // namespace longship
