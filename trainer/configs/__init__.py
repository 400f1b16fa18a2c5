"""LazyConfigs: `common/` has the parts, each file here one experiment."""
