# cmake -D CONFIG=gateway.yaml -D TEMPLATE=gateway.yaml.5.in -D OUTPUT=gateway.yaml.5 -P settings.cmake
# Puts the packaged configuration into its manual page, so that the page is always true.
file(READ ${CONFIG} SETTINGS)
string(REPLACE "\\" "\\e" SETTINGS "${SETTINGS}")
string(REPLACE "-" "\\-" SETTINGS "${SETTINGS}")
string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" SETTINGS "${SETTINGS}")
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)
