/// Milliseconds that all processes of this machine read alike: the clock that Node calls `hrtime`.
pub fn monotonic_ms() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the call writes into the place that is given.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// Processor time of this process, in microseconds.
pub fn cpu_us() -> f64 {
    let usage = usage();
    let us = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    us(usage.ru_utime) + us(usage.ru_stime)
}

/// The most memory that this process has had.
pub fn max_rss_mb() -> f64 {
    usage().ru_maxrss as f64 / 1024.0
}

/// The memory that it has now.
pub fn rss_mb() -> f64 {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    let resident = pages.and_then(|text| text.split(' ').nth(1)?.parse::<f64>().ok());
    resident.map_or(f64::NAN, |count| count * 4096.0 / 1024.0 / 1024.0)
}

fn usage() -> libc::rusage {
    // SAFETY: the structure is plain data, and the call writes into the place that is given.
    unsafe {
        let mut usage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    }
}
