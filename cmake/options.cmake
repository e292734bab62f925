# Compiler options that hold for every target, and the helper that makes a room's library.

add_library(nnefrun_options INTERFACE)
target_include_directories(nnefrun_options INTERFACE "${PROJECT_SOURCE_DIR}")
# -Wno-restrict: GCC 12 sees overlaps in std::string that are not there (GCC bug 105651).
# FMA is written explicitly, so that results do not depend on the compiler's mood.
target_compile_options(nnefrun_options INTERFACE -Wall -Wextra $<$<CXX_COMPILER_ID:GNU>:-Wshadow=local> -Wno-unused-parameter $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict> -ffp-contract=off)
# Functions that nobody calls are left out, libraries that nobody needs are not loaded.
target_link_options(nnefrun_options INTERFACE -Wl,--gc-sections -Wl,--as-needed)
if(NNEFRUN_WERROR)
  target_compile_options(nnefrun_options INTERFACE -Werror)
endif()

# nnefrun_room(NAME target LIBS a b c): a static library of all .cpp files of the current folder.
# FOR_SIZE: code that runs once for a model. What a process has of the program's text in memory counts as its memory, and
# the kernel brings it in by pieces of 64 KiB, whichever function is called; so in release builds such rooms are compiled
# for size. FAST names the files that runs go through; they are compiled for speed all the same.
function(nnefrun_room name)
  cmake_parse_arguments(ROOM "FOR_SIZE" "" "LIBS;SOURCES;FAST" ${ARGN})
  if(NOT ROOM_SOURCES)
    file(GLOB ROOM_SOURCES CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cpp")
  endif()
  if(ROOM_SOURCES)
    add_library(${name} STATIC ${ROOM_SOURCES})
    target_link_libraries(${name} PUBLIC nnefrun_options ${ROOM_LIBS})
    if(ROOM_FOR_SIZE)
      target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-Os> -ffunction-sections -fdata-sections)
    endif()
    foreach(source IN LISTS ROOM_FAST)
      set_property(SOURCE "${CMAKE_CURRENT_SOURCE_DIR}/${source}" APPEND PROPERTY COMPILE_OPTIONS
                   $<$<CONFIG:Release>:-O3> $<$<CONFIG:RelWithDebInfo>:-O1>)  # the latter: sanitizers, -Og else
      set_property(SOURCE "${CMAKE_CURRENT_SOURCE_DIR}/${source}" PROPERTY SKIP_PRECOMPILE_HEADERS ON)
    endforeach()
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE nnefrun_options ${ROOM_LIBS})
  endif()
endfunction()

# nnefrun_precompile(target header...): what nearly every file of the target reads, read once. Not beside a compiler cache,
# which does not see through it; nor for files that are compiled with options of their own (FAST above).
function(nnefrun_precompile target)
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
