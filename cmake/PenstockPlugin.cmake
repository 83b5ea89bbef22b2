# penstock_add_plugin(<name> KIND connectors|notifiers|metrics|models [LIBRARIES …])
#   Builds <name>.so from the folder's .c files with config.schema.json embedded as `config_schema`.
