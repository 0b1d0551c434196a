#include "launcher/server/random_id.h"

#include <random>

namespace longship {

std::string random_id(std::string prefix, int digits) {
  static thread_local std::mt19937_64 random{std::random_device{}()};
  constexpr char kDigits[] = "0123456789abcdef";
  for (int i = 0; i < digits; ++i) {
    prefix += kDigits[random() % 16];
  }
  return prefix;
}

}  // namespace longship
