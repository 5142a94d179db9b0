//! API calls as the API server saw them: its audit log, read as it grows.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::calls::Calls;

/// What both our controller and the reference's begin their user agent with.
const AGENT: &str = "rollouts-controller/";

/// An audit log, and what of it was read so far.
pub(crate) struct AuditLog {
    path: PathBuf,
    /// The name of the controller's program: others may call themselves that.
    program: String,
    read: u64,
    calls: Calls,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    #[serde(default)]
    user_agent: String,
    object_ref: Option<ObjectRef>,
}

#[derive(Deserialize)]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
}

impl AuditLog {
    /// Reads from the beginning of the log of a plane.
    pub(crate) fn new(path: PathBuf, program: &str) -> Self {
        Self { path, program: program.to_owned(), read: 0, calls: Calls::default() }
    }

    /// The controller's calls so far.
    pub(crate) fn calls(&mut self) -> Result<Calls> {
        let mut file = File::open(&self.path).with_context(|| format!("read {}", self.path.display()))?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        loop {
            line.clear();
            let length = reader.read_line(&mut line)?;
            // The last line may still be being written.
            if !line.ends_with('\n') {
                return Ok(self.calls.clone());
            }
            self.read += u64::try_from(length)?;
            if let Some((resource, verb)) = call_of(&line, &self.program) {
                self.calls.add(resource, verb);
            }
        }
    }
}

/// Resource and verb of a line about a call of the controller; none of others' calls.
fn call_of(line: &str, program: &str) -> Option<(String, String)> {
    // Most lines are somebody else's; looking at the text is much quicker than parsing it.
    if !line.contains(AGENT) && !line.contains(program) {
        return None;
    }
    let line: Line = serde_json::from_str(line).ok()?;
    if !line.user_agent.starts_with(AGENT) && !line.user_agent.starts_with(program) {
        return None;
    }
    let about = line.object_ref?;
    let resource = if about.subresource.is_empty() {
        about.resource
    } else {
        format!("{}/{}", about.resource, about.subresource)
    };
    Some((resource, line.verb))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn only_the_controllers_own_calls_count_and_half_a_line_waits() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let line = |agent: &str, verb: &str, resource: &str, subresource: &str| {
            format!(
                r#"{{"verb":"{verb}","userAgent":"{agent}","objectRef":{{"resource":"{resource}","subresource":"{subresource}"}}}}"#
            )
        };
        writeln!(file, "{}", line("rollouts-controller/v1", "patch", "rollouts", "status")).unwrap();
        writeln!(file, "{}", line("kube-scheduler/v1.36", "create", "pods", "binding")).unwrap();
        writeln!(file, "{}", line("rollouts-controller/v1", "update", "leases", "")).unwrap();
        writeln!(file, "{}", line("flagger/1", "get", "services", "")).unwrap();
        write!(file, "{}", line("rollouts-controller/v1", "create", "events", "")).unwrap();
        let mut log = AuditLog::new(file.path().to_owned(), "flagger");
        let calls = log.calls().unwrap();
        assert_eq!((calls.writes(), calls.reads(), calls.of("rollouts/status")), (1.0, 1.0, 1.0));
        writeln!(file).unwrap();
        assert_eq!(log.calls().unwrap().writes(), 2.0);
    }
}
