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

/// residual + (x + bias) of `lanes` values from i on; bias and residual may be null.
LONGSHIP_INLINE F32 sum_with_residual(const float* x, const float* bias, const float* residual, int64_t i,
                                      int64_t lanes) {
  F32 value = load_n(x + i, lanes);
  if (bias != nullptr) {
    value = add(value, load_n(bias + i, lanes));
  }
  if (residual != nullptr) {
    value = add(load_n(residual + i, lanes), value);
  }
  return value;
}

/// 1 / sqrt(mean + eps), where `squares` are the partial sums of the squares of n values.
LONGSHIP_INLINE F32 inverse_rms(F32 squares, int64_t n, float eps) {
  return broadcast(1.0F / square_root(sum_lanes(squares) / static_cast<float>(n) + eps));
}

LONGSHIP_INLINE void scale_row(const float* x, F32 scale, const float* gain, int64_t n, float* y) {
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    store_n(y + i, mul(mul(load_n(x + i, lanes), scale), load_n(gain + i, lanes)), lanes);
  });
}

inline void rms_norm(const float* x, const float* gain, float eps, int64_t n, float* y) {
  F32 squares = zero();
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 value = load_n(x + i, lanes);
    squares = fma(value, value, squares);
  });
  scale_row(x, inverse_rms(squares, n, eps), gain, n, y);
}

/// The chain of the sum of squares leaves room for all of the addition.
inline void add_rms_norm(const float* x, const float* bias, const float* gain, float eps, int64_t n, float* hidden,
                         float* y) {
  F32 squares = zero();
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 value = sum_with_residual(x, bias, hidden, i, lanes);
    store_n(hidden + i, value, lanes);
    squares = fma(value, value, squares);
  });
  scale_row(hidden, inverse_rms(squares, n, eps), gain, n, y);
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
  const F32 scale = inverse_rms(squares, n, eps);
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 normal = mul(sub(load_n(x + i, lanes), mean), scale);
    store_n(y + i, fma(normal, load_n(gain + i, lanes), load_n(bias + i, lanes)), lanes);
  });
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
