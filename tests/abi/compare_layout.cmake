# What PROGRAM prints must be LOCK, byte for byte.
execute_process(COMMAND ${PROGRAM} OUTPUT_VARIABLE printed RESULT_VARIABLE code)
file(READ ${LOCK} locked)
if(NOT code EQUAL 0 OR NOT printed STREQUAL locked)
  message(FATAL_ERROR "the layout of the ABI differs from ${LOCK}.\nFields are only appended. While the interfaces are "
    "drafts, write the lock anew in the commit that says why:\n  ${PROGRAM} > ${LOCK}\n\n${printed}")
endif()
