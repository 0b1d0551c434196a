// An instruction set with products of bf16 pairs of its own; included once after these.

namespace longship::LONGSHIP_CPU_NAMESPACE {

inline cpu::Isa with_pair_products(cpu::Isa isa, std::string_view name) {
  isa.name = name;
  isa.round_to_pairs = round_to_pairs;
  isa.pair_bytes = kPairBytes;
  isa.linear_pairs = linear_pairs;
  isa.multiply_pairs = multiply_pairs;
  return isa;
}

}  // namespace longship::LONGSHIP_CPU_NAMESPACE
