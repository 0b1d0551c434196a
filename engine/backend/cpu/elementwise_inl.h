// Operations on the values of one row.

namespace longship::LONGSHIP_CPU_NAMESPACE {

/// y = residual + (x + bias); bias and residual may be null.
inline void add_row(const float* x, const float* bias, const float* residual, int64_t n, float* y) {
  for_each_vector(
      n, [&](int64_t i, int64_t lanes) { store_n(y + i, sum_with_residual(x, bias, residual, i, lanes), lanes); });
}

inline void rope(float* head, const float* cos, const float* sin, int64_t half) {
  for_each_vector(half, [&](int64_t i, int64_t lanes) {
    const F32 c = load_n(cos + i, lanes);
    const F32 s = load_n(sin + i, lanes);
    const F32 a = load_n(head + i, lanes);
    const F32 b = load_n(head + half + i, lanes);
    store_n(head + i, fma_minus(a, c, mul(b, s)), lanes);
    store_n(head + half + i, fma(b, c, mul(a, s)), lanes);
  });
}

inline void silu_mul(const float* gate, const float* up, int64_t n, float* y) {
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 g = load_n(gate + i, lanes);
    store_n(y + i, mul(times_logistic(g, g), load_n(up + i, lanes)), lanes);
  });
}

/// x (1 + tanh u) / 2 = x times the logistic function of 2 u, u = sqrt(2 / pi) (x + 0.044715 x^3).
inline void gelu_tanh(const float* x, int64_t n, float* y) {
  constexpr float kTwiceRoot = 1.5957691216057308F;
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    const F32 v = load_n(x + i, lanes);
    const F32 cubic = fma(mul(broadcast(0.044715F), mul(v, v)), v, v);
    store_n(y + i, times_logistic(v, mul(broadcast(kTwiceRoot), cubic)), lanes);
  });
}

inline void to_f16(const float* x, int64_t n, uint16_t* y) {
  for_each_vector(n, [&](int64_t i, int64_t lanes) {
    if (lanes == cpu::kLanes) {
      store_f16(y + i, load(x + i));
    } else {
      uint16_t last[cpu::kLanes];
      store_f16(last, load_n(x + i, lanes));
      __builtin_memcpy(y + i, last, static_cast<size_t>(lanes) * sizeof(uint16_t));
    }
  });
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
