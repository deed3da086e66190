# find_package(BoneSoup) gives the target BoneSoup::bonesoup. Paths follow from this file's place.
get_filename_component(_bonesoup_root "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
if(NOT EXISTS "${_bonesoup_root}/lib/libbonesoup.so")
  set(BoneSoup_FOUND FALSE)
  set(BoneSoup_NOT_FOUND_MESSAGE "${_bonesoup_root}/lib/libbonesoup.so is missing: unpack the whole package")
elseif(NOT TARGET BoneSoup::bonesoup)
  add_library(BoneSoup::bonesoup SHARED IMPORTED)
  set_target_properties(BoneSoup::bonesoup PROPERTIES
    IMPORTED_LOCATION "${_bonesoup_root}/lib/libbonesoup.so"
    IMPORTED_SONAME "libbonesoup.so"
    INTERFACE_INCLUDE_DIRECTORIES "${_bonesoup_root}/include")
endif()
unset(_bonesoup_root)
