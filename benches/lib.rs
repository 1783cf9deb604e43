//! Empty: the benchmarks are next to this file.
