"""Parts shared by the tests, the crash tools and the benchmark: `from support import postgres`."""
