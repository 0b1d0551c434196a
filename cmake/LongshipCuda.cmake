# Libraries with CUDA kernels. Each is built twice from the same sources: for the emulator, by the host's compiler, and
# where nvcc is found for devices.

find_program(LONGSHIP_NVCC nvcc HINTS ENV CUDA_HOME PATHS /usr/local/cuda PATH_SUFFIXES bin)
if(LONGSHIP_NVCC)
  option(LONGSHIP_CUDA "Build the CUDA plug-in" ON)
else()
  set(LONGSHIP_CUDA OFF)
endif()

# -fmad=false: as -ffp-contract=off, kernels state their multiply-adds. Relaxed: kernels call constexpr functions of
# core. PTX of compute_80 is for other devices than Hopper's; architecture words are spelled out because -arch=sm_90a
# would add a pass that ptxas refuses.
set(LONGSHIP_NVCC_FLAGS
    -std=c++20
    -O3
    -fmad=false
    --expt-relaxed-constexpr
    -gencode
    arch=compute_90a,code=sm_90a
    -Xptxas
    -v
    -Xcompiler
    -fPIC,-ffp-contract=off,-fvisibility=hidden)

set(LONGSHIP_NVCC_OTHER_DEVICES -gencode arch=compute_80,code=compute_80)

# Compiles one kernel file with nvcc, with more flags behind the object's variable. What ptxas says of it, registers and spills, stays beside the object.
function(longship_nvcc_object source object_variable)
  get_filename_component(name ${source} NAME)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda/${name}.o)
  add_custom_command(
    OUTPUT ${object}
    COMMAND
      sh -c "\"$@\" 2> ${object}.ptxas || { cat ${object}.ptxas >&2; exit 1; }" nvcc ${LONGSHIP_NVCC} ${LONGSHIP_NVCC_FLAGS} ${ARGN}
      -I${PROJECT_SOURCE_DIR} -MD -MF ${object}.d -MT ${object} -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source}
    DEPFILE ${object}.d
    COMMENT "Building CUDA object ${name}"
    VERBATIM)
  set(${object_variable}
      ${object}
      PARENT_SCOPE)
endfunction()

# longship_cuda_library(NAME backend_cuda SRCS a.cc KERNELS b.cu HOPPER_KERNELS c.cu DEPS core) makes longship::backend_cuda_emulated
# and, with LONGSHIP_CUDA, longship::backend_cuda. DEPS are longship libraries that know nothing of CUDA, CUDA_DEPS ones
# made by this function. Both go into shared libraries.
# HOPPER_KERNELS are for no other device.
function(longship_cuda_library)
  cmake_parse_arguments(ARG "" "NAME" "SRCS;KERNELS;HOPPER_KERNELS;DEPS;CUDA_DEPS" ${ARGN})
  set_source_files_properties(${ARG_KERNELS} ${ARG_HOPPER_KERNELS} PROPERTIES LANGUAGE CXX COMPILE_OPTIONS "-x;c++;-Wno-unknown-pragmas")
  list(TRANSFORM ARG_CUDA_DEPS APPEND _emulated OUTPUT_VARIABLE emulated_deps)
  longship_library(
    NAME ${ARG_NAME}_emulated
    SRCS ${ARG_SRCS} ${ARG_KERNELS} ${ARG_HOPPER_KERNELS}
    DEPS ${ARG_DEPS} ${emulated_deps} cuda_emulator)
  set_target_properties(longship_${ARG_NAME}_emulated PROPERTIES POSITION_INDEPENDENT_CODE ON)
  if(LONGSHIP_CUDA)
    set(objects)
    foreach(kernel IN LISTS ARG_KERNELS)
      longship_nvcc_object(${kernel} object ${LONGSHIP_NVCC_OTHER_DEVICES})
      list(APPEND objects ${object})
    endforeach()
    foreach(kernel IN LISTS ARG_HOPPER_KERNELS)
      longship_nvcc_object(${kernel} object)
      list(APPEND objects ${object})
    endforeach()
    longship_library(
      NAME ${ARG_NAME}
      SRCS ${ARG_SRCS} ${objects}
      DEPS ${ARG_DEPS} ${ARG_CUDA_DEPS})
    set_target_properties(longship_${ARG_NAME} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
endfunction()
