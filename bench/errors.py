"""The benchmark's own failures: it could not measure. (A run that measured something wrong is VOID instead.)"""

from hookline.errors import HooklineError


class BenchError(HooklineError):
    """A part of the benchmark did not start or did not answer."""

    code = "bench_failed"
