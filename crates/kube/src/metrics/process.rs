//! Figures about the process and the build (O-570, O-571, O-573).

use super::exposition::Text;

/// Writes what is known of the process; on systems without `/proc` only the build.
pub(super) fn write(text: &mut Text) {
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    text.head("argo_rollouts_controller_info", "gauge", "The running controller.");
    text.sample("argo_rollouts_controller_info", &[("version", version)], 1.0);
    text.head("build_info", "gauge", "The build.");
    let labels =
        [("version", version), ("goversion", ""), ("goarch", std::env::consts::ARCH), ("commit", "")];
    text.sample("build_info", &labels, 1.0);
    let Some(process) = read() else { return };
    text.head("process_cpu_seconds_total", "counter", "User and system time spent.");
    text.sample("process_cpu_seconds_total", &[], process.cpu_seconds);
    text.head("process_resident_memory_bytes", "gauge", "Resident memory.");
    text.count("process_resident_memory_bytes", &[], process.resident_bytes);
    text.head("process_virtual_memory_bytes", "gauge", "Virtual memory.");
    text.count("process_virtual_memory_bytes", &[], process.virtual_bytes);
    text.head("process_open_fds", "gauge", "Open file descriptors.");
    text.count("process_open_fds", &[], process.open_files);
    text.head("process_threads", "gauge", "Threads.");
    text.count("process_threads", &[], process.threads);
}

struct Process {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_files: u64,
    threads: u64,
}

fn read() -> Option<Process> {
    /// Ticks per second of `/proc/self/stat`, 100 on every Linux that runs containers.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = |label: &str| -> Option<u64> {
        let line = status.lines().find(|line| line.starts_with(label))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    #[expect(clippy::cast_precision_loss, reason = "ticks since the process began fit a float")]
    let cpu_seconds = (number(11)? + number(12)?) as f64 / TICKS;
    Some(Process {
        cpu_seconds,
        resident_bytes: kibibytes("VmRSS:")? * 1024,
        virtual_bytes: kibibytes("VmSize:")? * 1024,
        open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        threads: number(17)?,
    })
}
