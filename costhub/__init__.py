"""Settings, URLs and processes: everything that ties the apps together."""
