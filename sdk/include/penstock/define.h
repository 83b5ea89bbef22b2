/* clang-format off */
/* Defines the plugin in one statement, with config.schema.json embedded:
 *
 *   PST_PLUGIN(.id = "org.example.connector.thing", .kind = PST_KIND_CONNECTOR, .version = "1.0.0", .title = "Thing",
 *              .licence = "Apache-2.0", .get_interface = on_get_interface, .create = on_create, .destroy = on_destroy);
 *
 * The schema is looked for where the compiler runs. penstock_add_plugin (CMake) links it in by itself, so that a changed
 * schema is noticed. Without this header, define `penstock_plugin_v1` as penstock/plugin.h says; C only. */
#ifndef PENSTOCK_DEFINE_H
#define PENSTOCK_DEFINE_H
#include "penstock/plugin.h"

#ifdef PST_SCHEMA_IS_LINKED
#define PST_EMBED_SCHEMA(file)
#else
#define PST_EMBED_SCHEMA(file)                                                                                          \
    __asm__(".pushsection .rodata\n.global config_schema\n.hidden config_schema\n"                                      \
            "config_schema: .incbin \"" file "\"\n.byte 0\n.size config_schema, . - config_schema\n.popsection\n");
#endif

#define PST_PLUGIN(...)                                                                                                 \
    PST_EMBED_SCHEMA("config.schema.json")                                                                              \
    extern __attribute__((visibility("hidden"))) const char config_schema[];                                            \
    PST_EXPORT const pst_plugin penstock_plugin_v1 = {                                                                  \
        .struct_size = sizeof(pst_plugin), .abi_minor = PST_ABI_MINOR, .config_schema = config_schema, __VA_ARGS__}
#endif
