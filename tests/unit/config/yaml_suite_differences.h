static const difference different_valid[] = {{"none", "none"}};
static const difference different_invalid[] = {{"none", "none"}};
