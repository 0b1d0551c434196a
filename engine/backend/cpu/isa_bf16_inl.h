// What a CPU with VDPBF16PS does in another way than one without; included once after the vector functions of AVX-512.
#include "engine/backend/cpu/isa.h"
#include "engine/backend/cpu/math_inl.h"
//
#include "engine/backend/cpu/formats_inl.h"
#include "engine/backend/cpu/quantise_inl.h"
//
#include "engine/backend/cpu/narrow_pairs_inl.h"
//
#include "engine/backend/cpu/pairs_dpbf16_inl.h"
//
#include "engine/backend/cpu/linear_inl.h"
//
#include "engine/backend/cpu/pair_format_inl.h"
//
#include "engine/backend/cpu/peak_inl.h"
//
#include "engine/backend/cpu/pair_table_inl.h"
