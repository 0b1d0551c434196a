# Build rules shared by every folder: one warning set, one floating-point contract, one way to add a library or test.

find_program(LONGSHIP_CCACHE ccache)
if(LONGSHIP_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${LONGSHIP_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${LONGSHIP_CCACHE})
endif()
find_program(LONGSHIP_MOLD mold)
if(LONGSHIP_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# -ffp-contract=off: an output element must be the same function of its inputs in every
# translation unit, so the compiler may never fuse a multiply-add on its own.
# -Wno-restrict, -Wno-maybe-uninitialized: GCC 12 warns falsely of its own std::string (GCC bug 105651 and others).
add_library(longship_options INTERFACE)
target_compile_options(longship_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor
                                            "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-maybe-uninitialized>" -ffp-contract=off)
target_include_directories(longship_options INTERFACE ${PROJECT_SOURCE_DIR})
if(LONGSHIP_WERROR)
  target_compile_options(longship_options INTERFACE -Werror)
endif()
if(LONGSHIP_SANITIZE)
  target_compile_options(longship_options INTERFACE -fsanitize=${LONGSHIP_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(longship_options INTERFACE -fsanitize=${LONGSHIP_SANITIZE})
endif()
if(LONGSHIP_FUZZ)
  target_compile_options(longship_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# longship_library(NAME core SRCS a.cc b.cc DEPS parallel PRIVATE_DEPS spdlog::spdlog)
# makes the static target longship::NAME. DEPS are longship libraries, PRIVATE_DEPS third-party ones.
function(longship_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  add_library(longship_${ARG_NAME} STATIC ${ARG_SRCS})
  add_library(longship::${ARG_NAME} ALIAS longship_${ARG_NAME})
  target_link_libraries(longship_${ARG_NAME} PUBLIC longship_options PRIVATE ${ARG_PRIVATE_DEPS})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(longship_${ARG_NAME} PUBLIC longship::${dep})
  endforeach()
endfunction()

# longship_test(NAME json_test SRCS unit/core/json_test.cc DEPS core LABEL unit [TIMEOUT 120])
# One GoogleTest binary, one ctest entry with the label.
function(longship_test)
  cmake_parse_arguments(ARG "" "NAME;LABEL;TIMEOUT" "SRCS;DEPS;PRIVATE_DEPS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SRCS})
  target_link_libraries(${ARG_NAME} PRIVATE longship_options longship_test_data GTest::gtest_main ${ARG_PRIVATE_DEPS})
  foreach(dep IN LISTS ARG_DEPS)
    target_link_libraries(${ARG_NAME} PRIVATE longship::${dep})
  endforeach()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_NAME})
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# What mpirun needs so that a test passes quietly as root, with more ranks than cores, on any machine.
set(LONGSHIP_MPI_ENVIRONMENT
    OMPI_ALLOW_RUN_AS_ROOT=1
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    OMPI_MCA_rmaps_base_oversubscribe=1
    OMPI_MCA_mpi_yield_when_idle=1
    OMPI_MCA_hwloc_base_binding_policy=none
    OMPI_MCA_pml=ob1
    OMPI_MCA_odls_base_sigkill_timeout=0
    ASAN_OPTIONS=detect_leaks=0
    TSAN_OPTIONS=detect_deadlocks=0)

# What makes a suite run on the device of the emulator instead of the CPU.
set(LONGSHIP_CUDA_EMULATED_ENVIRONMENT LONGSHIP_TEST_DEVICE=cuda-emulated LONGSHIP_PLUGIN_DIR=${PROJECT_BINARY_DIR})

# longship_mpi_test(NAME comm_mpi_test SRCS mpi_main.cc DEPS comm LABEL comm RANKS 1 2 4 [TIMEOUT 120]
#                   [ARGS word ...] [EXIT_CODE 5])
# One binary with a main of its own, and one ctest entry NAME_np<N> for each number of ranks, under mpirun.
# It passes if mpirun's exit code is EXIT_CODE (0 where not given). NAME may be called again with other ARGS
# and no SRCS: the entries are then NAME_<words>_np<N> of the same binary.
function(longship_mpi_test)
  cmake_parse_arguments(ARG "" "NAME;LABEL;TIMEOUT;EXIT_CODE" "SRCS;DEPS;PRIVATE_DEPS;RANKS;ARGS" ${ARGN})
  if(ARG_SRCS)
    add_executable(${ARG_NAME} ${ARG_SRCS})
    target_link_libraries(${ARG_NAME} PRIVATE longship_options longship_test_data GTest::gtest ${ARG_PRIVATE_DEPS})
    foreach(dep IN LISTS ARG_DEPS)
      target_link_libraries(${ARG_NAME} PRIVATE longship::${dep})
    endforeach()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  if(NOT ARG_EXIT_CODE)
    set(ARG_EXIT_CODE 0)
  endif()
  list(JOIN ARG_ARGS "_" words)
  foreach(ranks IN LISTS ARG_RANKS)
    string(REGEX REPLACE "_+" "_" entry "${ARG_NAME}_${words}_np${ranks}")
    add_test(NAME ${entry}
             COMMAND sh -c "\"$@\"; code=$?; echo \"mpirun ended with $code\"; test $code -eq ${ARG_EXIT_CODE}" sh
                     ${MPIEXEC_EXECUTABLE} --quiet -n ${ranks} $<TARGET_FILE:${ARG_NAME}> ${ARG_ARGS})
    set_tests_properties(
      ${entry}
      PROPERTIES LABELS "${ARG_LABEL}" TIMEOUT ${ARG_TIMEOUT} PROCESSORS ${ranks} ENVIRONMENT "${LONGSHIP_MPI_ENVIRONMENT}")
  endforeach()
endfunction()
