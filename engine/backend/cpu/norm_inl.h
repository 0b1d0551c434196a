// Norms of one row. Sums keep 16 partial sums, value i in lane i mod 16, added up by sum_lanes.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// Calls body(offset, lanes) for each vector of n values; `lanes` is 16 but for the last.
template <class Body>
LONGSHIP_INLINE void for_each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + cpu::kLanes <= n; i += cpu::kLanes) {
    body(i, cpu::kLanes);
  }
  if (i < n) {
    body(i, n - i);
  }
}

inline void rms_norm(const float* x, const float* gain, float eps, int64_t n, float* y) {
  F32 squares = zero();
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 value = load_n(x + i, lanes);
    squares = fma(value, value, squares);
  });
  const F32 scale = broadcast(1.0F / square_root(sum_lanes(squares) / static_cast<float>(n) + eps));
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    store_n(y + i, mul(mul(load_n(x + i, lanes), scale), load_n(gain + i, lanes)), lanes);
  });
}

inline void layer_norm(const float* x, const float* gain, const float* bias, float eps, int64_t n, float* y) {
  F32 sum = zero();
  for_each_vector(n, [&](int64_t i, int64_t lanes) { sum = add(sum, load_n(x + i, lanes)); });
  const F32 mean = broadcast(sum_lanes(sum) / static_cast<float>(n));
  F32 squares = zero();
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 centred = select_lanes(0, lanes, sub(load_n(x + i, lanes), mean), zero());
    squares = fma(centred, centred, squares);
  });
  const F32 scale = broadcast(1.0F / square_root(sum_lanes(squares) / static_cast<float>(n) + eps));
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 normal = mul(sub(load_n(x + i, lanes), mean), scale);
    store_n(y + i, fma(normal, load_n(gain + i, lanes), load_n(bias + i, lanes)), lanes);
  });
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
