//! Commands beside a container (`kubectl exec`): started with its environment and in its folder, while it runs.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::process::{ChildStderr, ChildStdin, ChildStdout};

use super::group::{Launch, ProcessGroup, Registry};
use crate::object::Key;

/// What a running container lends to commands.
#[derive(Clone, Debug)]
struct Room {
    env: BTreeMap<String, String>,
    working_dir: Option<String>,
}

type Rooms = HashMap<(Key, String), Room>;

/// Starts commands beside the containers of a process kubelet. Cloning shares them.
#[derive(Clone, Debug)]
pub struct Commands {
    rooms: Arc<Mutex<Rooms>>,
    registry: Registry,
}

/// A command that runs. Dropping it ends the command.
#[derive(Debug)]
pub struct RunningCommand {
    /// Where its input goes, if it was asked for.
    pub stdin: Option<ChildStdin>,
    /// What it writes.
    pub stdout: Option<ChildStdout>,
    /// What it complains of.
    pub stderr: Option<ChildStderr>,
    group: ProcessGroup,
}

impl RunningCommand {
    /// Waits for its end; returns its exit code, 128 plus the signal's number if one ended it.
    pub async fn wait(mut self) -> i32 {
        self.group.wait().await
    }
}

/// A container takes commands for as long as this lives.
pub(super) struct Open<'a> {
    commands: &'a Commands,
    key: (Key, String),
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.commands.lock().remove(&self.key);
    }
}

impl Commands {
    pub(super) fn new(registry: Registry) -> Self {
        Self { rooms: Arc::default(), registry }
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a container that runs take commands.
    pub(super) fn open(
        &self,
        pod: &Key,
        container: &str,
        env: &BTreeMap<String, String>,
        working_dir: Option<&str>,
    ) -> Open<'_> {
        let key = (pod.clone(), container.to_owned());
        let room = Room { env: env.clone(), working_dir: working_dir.map(str::to_owned) };
        self.lock().insert(key.clone(), room);
        Open { commands: self, key }
    }

    /// Starts a command beside a container.
    ///
    /// # Errors
    /// In the kubelet's words, if the container does not run or the command cannot be started.
    pub fn start(
        &self,
        pod: &Key,
        container: &str,
        command: Vec<String>,
        stdin: bool,
    ) -> Result<RunningCommand, String> {
        let room = self.lock().get(&(pod.clone(), container.to_owned())).cloned();
        let room = room.ok_or_else(|| format!("container not found (\"{container}\")"))?;
        let launch = Launch { command, env: room.env, working_dir: room.working_dir, piped: true, stdin };
        let mut group = ProcessGroup::start(&self.registry, &launch).map_err(|error| {
            let program = launch.command.first().map_or("", String::as_str);
            format!("failed to exec in container: exec: \"{program}\": {error}")
        })?;
        let stdin = group.take_input();
        let (stdout, stderr) = group.take_output();
        Ok(RunningCommand { stdin, stdout, stderr, group })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn commands_share_a_containers_environment_while_it_runs() {
        let commands = Commands::new(Registry::default());
        let key = Key::new("n", "p");
        let line = |text: &str| ["sh", "-c", text].map(str::to_owned).to_vec();
        let absent = commands.start(&key, "c", line("true"), false).unwrap_err();
        assert_eq!(absent, "container not found (\"c\")");
        let env = BTreeMap::from([("COLOR".to_owned(), "blue".to_owned())]);
        let open = commands.open(&key, "c", &env, Some("/"));
        let mut running =
            commands.start(&key, "c", line("read x; echo $x $COLOR $PWD; exit 3"), true).unwrap();
        let mut stdin = running.stdin.take().unwrap();
        stdin.write_all(b"very\n").await.unwrap();
        let mut text = String::new();
        running.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "very blue /\n");
        assert_eq!(running.wait().await, 3);
        let missing = commands.start(&key, "c", vec!["/no/such/program".to_owned()], false).unwrap_err();
        assert!(
            missing.starts_with("failed to exec in container: exec: \"/no/such/program\": "),
            "{missing}"
        );
        drop(open);
        assert!(commands.start(&key, "c", line("true"), false).is_err());
    }
}
